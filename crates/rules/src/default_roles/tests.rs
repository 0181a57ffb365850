use super::*;
use crate::{Caller, OrgId, RequiredPermission, UserId, covers, decide, is_greater};
use expect_test::expect_file;

#[test]
fn each_role_is_greater_than_every_one_before_it() {
    let roles = default_roles();
    for (low, lesser) in roles.iter().enumerate() {
        for (high, role) in roles.iter().enumerate() {
            assert_eq!(
                is_greater(&role.role, &lesser.role),
                high > low,
                "{high} over {low}"
            );
            assert_eq!(
                covers(&role.role, &lesser.role),
                high >= low,
                "{high} over {low}"
            );
        }
    }
}

#[test]
fn the_names_are_the_documented_ones_in_ascending_order() {
    let names = default_roles().map(|role| role.role.name.to_string());
    assert_eq!(
        names,
        [
            DEFAULT_USER_ROLE,
            DEFAULT_ADMINISTRATOR_ROLE,
            DEFAULT_AMIGO_ADMINISTRATOR_ROLE,
            DEFAULT_SUPER_ADMINISTRATOR_ROLE
        ]
    );
}

#[test]
fn every_grant_can_be_stored() {
    for role in default_roles() {
        for grant in &role.role.grants {
            grant.validate().unwrap();
        }
        assert!(["client", "admin"].contains(&role.frontend_view));
    }
}

/// What is asked of each role in the matrix, beside every permission it names itself.
const ASKED: [&str; 16] = [
    "Admin:DeleteOrganization",
    "Admin:SetMaintenance",
    "Agent:CreateAgent",
    "Organization:CreateAPIKey",
    "Organization:DeleteAPIKey",
    "Organization:GetAPIKey",
    "Organization:GetOrganizationDetails",
    "Role:CreateRole",
    "Role:CreateTemporaryPermissionGrant",
    "Role:GetRole",
    "Role:ModifyRole",
    "Service:GetService",
    "Tool:InvokeTool",
    "Unheard:OfPermission",
    "User:DeleteUser",
    "User:InviteUser",
];

#[test]
fn the_matrix_of_roles_and_permissions_is_as_written() {
    let mut permissions: Vec<&str> = [&USER_PERMISSIONS[..], &ADMINISTRATOR_PERMISSIONS, &ASKED]
        .concat()
        .into_iter()
        .filter(|name| !name.ends_with('*'))
        .collect();
    permissions.sort_unstable();
    permissions.dedup();

    let things = [
        ("their own", &[("org_id", "acme"), ("user_id", "mia")][..]),
        ("a colleague's", &[("org_id", "acme"), ("user_id", "leo")]),
        ("the organization's", &[("org_id", "acme")]),
        ("another's", &[("org_id", "globex"), ("user_id", "mia")]),
        ("unknown", &[]),
    ];
    let mut lines = vec![
        "What user mia of acme may do in each default role, by whose the thing is.".to_owned(),
        String::new(),
        row(
            "permission",
            "whose",
            [
                "User",
                "Administrator",
                "AmigoAdministrator",
                "SuperAdministrator",
            ],
        ),
    ];
    for permission in permissions {
        for (index, (whose, attributes)) in things.iter().enumerate() {
            let required = attributes.iter().fold(
                RequiredPermission::new(permission),
                |required, (key, value)| required.with(*key, *value),
            );
            let may = default_roles().map(|role| {
                match decide(&caller(role.role), &required).is_allowed() {
                    true => "yes",
                    false => "-",
                }
            });
            lines.push(row(if index == 0 { permission } else { "" }, whose, may));
        }
    }
    expect_file!["matrix.txt"].assert_eq(&(lines.join("\n") + "\n"));
}

fn row(permission: &str, whose: &str, may: [&str; 4]) -> String {
    let [user, administrator, amigo, superuser] = may;
    format!("{permission:<39}{whose:<20}{user:<6}{administrator:<15}{amigo:<20}{superuser}")
        .trim_end()
        .to_owned()
}

fn caller(role: Role) -> Caller {
    Caller {
        org_id: OrgId::parse("acme").unwrap(),
        user_id: UserId::parse("mia").unwrap(),
        role,
        temporary_grants: vec![],
    }
}
