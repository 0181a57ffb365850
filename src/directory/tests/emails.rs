//! Users by their e-mail addresses.

use super::*;

#[tokio::test]
async fn a_user_is_found_by_an_address_within_the_organization_whatever_its_capitals() {
    let (_folder, directory) = two_organizations().await;
    for (org_id, id, email) in [
        ("airline", "mia", Some("Mia@x.org")),
        ("airline", "leo", None),
        ("bank", "eve", Some("eve@x.org")),
    ] {
        let user = new_user(org_id, id, email);
        directory.create_user(&user, now()).await.unwrap();
    }
    for (org_id, email, expected) in [
        ("airline", "mia@X.org", Some("mia")),
        ("airline", "eve@x.org", None),
        ("bank", "eve@x.org", Some("eve")),
        ("airline", "%", None),
        ("airline", "", None),
    ] {
        let found = directory
            .user_with_email(&org(org_id), email)
            .await
            .unwrap();
        assert_eq!(found, expected.map(user_id), "{org_id} {email}");
    }
}
