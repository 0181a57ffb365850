use super::*;
use crate::{
    Caller, OrgId, PERMISSIONS, RequiredPermission, UserId, covers, decide, is_greater, permissions,
};
use std::fmt::Write;

/// The page of all roles and permissions; `UPDATE_DOCS=1` writes it anew.
const MATRIX: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/roles-matrix.md");

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

/// Whose a thing can be, from nearest to farthest, and the word of the matrix for reaching so far.
const REACH: [(&str, &[(&str, &str)]); 4] = [
    ("own", &[("org_id", "acme"), ("user_id", "mia")]),
    ("organization", &[("org_id", "acme"), ("user_id", "leo")]),
    ("organization", &[("org_id", "acme")]),
    ("everything", &[("org_id", "globex"), ("user_id", "mia")]),
];

/// How far user mia of acme reaches with a permission in a role.
fn reach(role: &Role, permission: &str) -> &'static str {
    let may = |attributes: &[(&str, &str)]| {
        let required = attributes.iter().fold(
            RequiredPermission::new(permission),
            |required, (key, value)| required.with(*key, *value),
        );
        decide(&caller(role.clone()), &required).is_allowed()
    };
    let may_with = REACH.map(|(_, thing)| may(thing));
    // The words are honest only where roles reach in this order, and all of an organization at once.
    let in_order = may_with.is_sorted_by(|nearer, farther| nearer >= farther);
    assert!(in_order && may_with[1] == may_with[2], "{permission}");
    // What nothing is known of may be anybody's.
    assert_eq!(may(&[]), may_with[3], "{permission}");
    let farthest = may_with.iter().rposition(|&may| may);
    farthest.map_or("–", |farthest| REACH[farthest].0)
}

/// Rows of the matrix; a family stands for a permission of it.
fn rows<'a>(permissions: impl IntoIterator<Item = &'a str>) -> Vec<String> {
    let roles = default_roles().map(|role| role.role);
    let row = |permission: &str| {
        let asked = permission.replace('*', "Anything");
        let cells = roles.each_ref().map(|role| reach(role, &asked));
        format!("`{permission}` | {}", cells.join(" | "))
    };
    permissions.into_iter().map(row).collect()
}

/// All roles and permissions on one page.
fn matrix() -> String {
    const ROLES: &str = "User | Administrator | AmigoAdministrator | SuperAdministrator";
    let mut page = format!(
        "# The default roles and what they may\n\n\
         Made from what the server decides: `UPDATE_DOCS=1 cargo test -p rules matrix` writes it anew. A column is a default\n\
         role (`DefaultUserRole` and so on). A cell says what its user reaches with the permission: `own`, what carries their\n\
         own `org_id` and `user_id`; `organization`, all that carries their organization's `org_id`; `everything`, other\n\
         organizations and what is nobody's as well; –, nothing. How to make roles and check them: [roles](roles.md).\n\n\
         ## What this server asks for\n\n\
         | permission | {ROLES} | lets |\n|---|---|---|---|---|---|\n"
    );
    let asked = rows(PERMISSIONS.map(|(name, _)| name));
    for (row, (_, lets)) in asked.iter().zip(PERMISSIONS) {
        writeln!(page, "| {row} | {lets} |").unwrap();
    }
    write!(
        page,
        "\nSQL asks for a role that is greater than `DefaultAdministratorRole`, not for a permission:\n\
         `DefaultAmigoAdministratorRole` and `DefaultSuperAdministratorRole` are.\n\n\
         ## What the roles grant beyond it\n\n\
         For the platform's other services, and for prompt logs that require it. `Family:*` stands for any permission of the\n\
         family, `Unheard:*` for what no grant names.\n\n\
         | permission | {ROLES} |\n|---|---|---|---|---|\n"
    )
    .unwrap();
    let is_asked = |name: &&str| PERMISSIONS.iter().any(|(asked, _)| asked == name);
    let mut others = [&USER_PERMISSIONS[..], &ADMINISTRATOR_PERMISSIONS].concat();
    others.retain(|name| !is_asked(name));
    others.sort_unstable();
    others.push("Unheard:*");
    for row in rows(others) {
        writeln!(page, "| {row} |").unwrap();
    }
    page
}

#[test]
fn the_matrix_of_roles_and_permissions_is_as_written() {
    let expected = matrix();
    if std::env::var_os("UPDATE_DOCS").is_some() {
        std::fs::write(MATRIX, &expected).unwrap();
    }
    assert_eq!(
        std::fs::read_to_string(MATRIX).unwrap_or_default(),
        expected,
        "docs/roles-matrix.md is out of date: run with UPDATE_DOCS=1"
    );
}

#[test]
fn the_list_of_permissions_is_in_order_without_wildcards() {
    assert!(PERMISSIONS.is_sorted_by(|(one, _), (next, _)| one < next));
    for (permission, lets) in PERMISSIONS {
        RequiredPermission::new(permission).validate().unwrap();
        assert!(!lets.is_empty(), "{permission}");
    }
    assert!(
        PERMISSIONS
            .iter()
            .any(|(name, _)| *name == permissions::GET_MESSAGE)
    );
}

fn caller(role: Role) -> Caller {
    Caller {
        org_id: OrgId::parse("acme").unwrap(),
        user_id: UserId::parse("mia").unwrap(),
        role,
        temporary_grants: vec![],
    }
}
