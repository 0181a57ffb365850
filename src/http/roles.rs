//! `/v1/{organization}/role/`: roles are listed, made, changed and assigned (the wire contract, section 5).

use std::sync::Arc;

use axum::body::Bytes;
use axum::extract::rejection::BytesRejection;
use axum::extract::{RawQuery, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::{Extension, Json};
use rules::{Caller, Error, Grant, OrgId, Result, Role, RoleName, UserId, decide};
use serde::Serialize;
use serde_json::{Value, json};
use utoipa::ToSchema;

use super::audited::tell;
use super::caller::{
    Organization, Within, administer, admit, covers_all, has, needed, outranks, role_to_take_away,
};
use super::fields::{self, Fields, Flaw};
use super::layers::Seen;
use super::openapi::{
    BodyErrors, FrontendView, InOrganization, LimitedErrors, PermissionErrors, PermissionGrant,
    RoleAssignRoleRequest, RoleCreateRoleRequest, RoleModifyRoleRequest, RolesQuery,
};
use super::problem::{ErrorResponse, Problem};
use crate::app::App;
use crate::directory::{NewRole, StoredRole};
use crate::guard::{Action, Endpoint};

const VIEWS: [&str; 2] = ["client", "admin"];
const DESCRIPTION_CHARS_MAX: usize = 2_000;

#[derive(Serialize, ToSchema)]
#[schema(as = RoleGetRolesResponse)]
struct Roles {
    roles: Vec<RoleInstance>,
}

/// A role.
#[derive(Serialize, ToSchema)]
struct RoleInstance {
    id: String,
    #[schema(value_type = String)]
    name: RoleName,
    description: String,
    #[schema(value_type = FrontendView)]
    frontend_view: String,
    /// None unless they were asked for.
    #[schema(value_type = Vec<PermissionGrant>)]
    permission_grants: Vec<Grant>,
}

/// Get roles
///
/// Those that the caller has `Role:GetRole` on.
#[utoipa::path(
    get, path = "/v1/{organization}/role/", operation_id = "get_roles_v1__organization__role__get", tag = "Role",
    params(InOrganization, RolesQuery),
    responses((status = 200, body = Roles, description = "The roles."), LimitedErrors)
)]
pub(super) async fn list(
    State(app): State<Arc<App>>,
    Organization(org): Organization,
    RawQuery(query): RawQuery,
    Extension(seen): Extension<Seen>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let mut query = Fields::of_query(query.as_deref());
    let flag = fields::last(fields::boolean);
    let with_grants = query.optional("return_permission_grants", flag);
    let ids = query.optional("id", fields::each(fields::object_id));
    let names = query.optional("name", fields::each(fields::any));
    query.finish(Some(()))?;
    let (ids, names) = (ids.unwrap_or_default(), names.unwrap_or_default());
    let (app, org) = (&app, &org);
    let list = Endpoint::ListRoles;
    admit(app, org, &headers, &seen, list, |caller| async move {
        let mut roles = app.directory.roles(org).await?;
        roles.retain(|stored| {
            let name = stored.role.name.as_str();
            (ids.is_empty() || ids.contains(&stored.role_id))
                && (names.is_empty() || names.iter().any(|one| one == name))
                && decide(&caller, &on(org, "Role:GetRole", name)).is_allowed()
        });
        let with_grants = with_grants.unwrap_or(false);
        let roles = roles
            .into_iter()
            .map(|role| instance(role, with_grants))
            .collect();
        Ok(Json(Roles { roles }).into_response())
    })
    .await
}

fn on(org: &OrgId, permission: &str, role: &str) -> rules::RequiredPermission {
    needed(org, permission).with("role_name", role)
}

fn instance(stored: StoredRole, with_grants: bool) -> RoleInstance {
    let Role { name, grants } = stored.role;
    RoleInstance {
        id: stored.role_id,
        name,
        description: stored.description,
        frontend_view: stored.frontend_view,
        permission_grants: if with_grants { grants } else { Vec::new() },
    }
}

#[derive(Serialize, ToSchema)]
#[schema(as = RoleCreateRoleResponse)]
struct Created {
    role_id: String,
}

/// Create a role
///
/// Needs `Role:CreateRole`, and a role with all the privileges of the new one.
#[utoipa::path(
    post, path = "/v1/{organization}/role/", operation_id = "create-role", tag = "Role",
    params(InOrganization),
    request_body = RoleCreateRoleRequest,
    responses(
        (status = 201, body = Created, description = "The role's id."),
        LimitedErrors,
        PermissionErrors,
        BodyErrors,
        (status = 409, body = ErrorResponse, description = "There is a role of this name."),
    )
)]
pub(super) async fn post(
    State(app): State<Arc<App>>,
    Organization(org): Organization,
    Extension(seen): Extension<Seen>,
    headers: HeaderMap,
    body: Result<Bytes, BytesRejection>,
) -> Result<Response, Problem> {
    let mut body = Fields::of_body(body)?;
    let name = body.required(
        "role_name",
        fields::parsed(|text| RoleName::parse(text.trim())),
    );
    let description = body.required("description", fields::line(DESCRIPTION_CHARS_MAX));
    let grants = body.required("permission_grants", grants);
    let view = body.required("frontend_view", fields::one_of(VIEWS));
    let made = name.zip(description).zip(grants.zip(view));
    let made = made.map(|((name, description), (grants, view))| NewRole {
        role: Role { name, grants },
        description,
        frontend_view: view.to_owned(),
    });
    let new = body.finish(made)?;
    let (app, org) = (&app, &org);
    let create = Endpoint::CreateRole;
    let deed = Action::CreateRole.on(&new.role.name).with(json!({
        "description": new.description,
        "permission_grants": new.role.grants,
        "frontend_view": new.frontend_view,
    }));
    let work = |caller| async move {
        has(&caller, &on(org, "Role:CreateRole", new.role.name.as_str()))?;
        covers_all(&caller, org, &new.role, "the role you would make")?;
        let role_id = app
            .directory
            .create_role(org, &new, app.clock.now())
            .await?;
        let told = tell(json!({ "role_id": role_id }));
        Ok((StatusCode::CREATED, told, Json(Created { role_id })).into_response())
    };
    administer(app, org, &headers, &seen, create, deed, work).await
}

fn grants(value: &Value) -> Result<Vec<Grant>, Flaw> {
    let grants: Vec<Grant> = fields::value(value)?;
    grants
        .iter()
        .try_for_each(Grant::validate)
        .map_err(Flaw::new)?;
    Ok(grants)
}

/// What of a role is to change.
struct Change {
    description: Option<String>,
    grants: Option<Vec<Grant>>,
    view: Option<&'static str>,
}

#[derive(Serialize, ToSchema)]
#[schema(as = RoleModifyRoleResponse)]
struct Modified {
    role_id: String,
}

/// Modify a role
///
/// The description is changed in place. Other grants or another view make a new role of the name, which the users and keys
/// of the old one get; that takes a role with greater privileges than the new one, and all those of the old one. Needs
/// `Role:ModifyRole`.
#[utoipa::path(
    post, path = "/v1/{organization}/role/{role_name}", operation_id = "modify-role", tag = "Role",
    params(InOrganization, ("role_name" = String, Path, description = "The role's name.")),
    request_body = RoleModifyRoleRequest,
    responses(
        (status = 200, body = Modified, description = "The id of the role of this name."),
        LimitedErrors,
        PermissionErrors,
        BodyErrors,
    )
)]
pub(super) async fn modify(
    State(app): State<Arc<App>>,
    Within(org, name): Within,
    Extension(seen): Extension<Seen>,
    headers: HeaderMap,
    body: Result<Bytes, BytesRejection>,
) -> Result<Response, Problem> {
    let name = role_name(&name)?;
    let mut body = Fields::of_body(body)?;
    let change = Change {
        description: body.optional("description", fields::line(DESCRIPTION_CHARS_MAX)),
        grants: body.optional("permission_grants", grants),
        view: body.optional("frontend_view", fields::one_of(VIEWS)),
    };
    let change = body.finish(Some(change))?;
    let (app, org) = (&app, &org);
    let modify = Endpoint::ModifyRole;
    let deed = Action::ModifyRole.on(&name).with(json!({
        "description": change.description,
        "permission_grants": change.grants,
        "frontend_view": change.view,
    }));
    let work = |caller| async move {
        has(&caller, &on(org, "Role:ModifyRole", name.as_str()))?;
        let stored = app.directory.known_role(org, &name).await?;
        let role_id = change.apply(app, org, &caller, stored).await?;
        let told = tell(json!({ "role_id": role_id }));
        Ok((told, Json(Modified { role_id })).into_response())
    };
    administer(app, org, &headers, &seen, modify, deed, work).await
}

impl Change {
    /// The description alone is changed in place. Anything else makes a new role, which the caller must outrank as if they
    /// assigned it to all its users; and the old one must be theirs to take away.
    async fn apply(
        self,
        app: &App,
        org: &OrgId,
        caller: &Caller,
        stored: StoredRole,
    ) -> Result<String> {
        let now = app.clock.now();
        if self.grants.is_none() && self.view.is_none() {
            if let Some(description) = &self.description {
                app.directory
                    .describe_role(org, &stored.role_id, description, now)
                    .await?;
            }
            return Ok(stored.role_id);
        }
        covers_all(caller, org, &stored.role, "the role you would change")?;
        let new = NewRole {
            role: Role {
                name: stored.role.name,
                grants: self.grants.unwrap_or(stored.role.grants),
            },
            description: self.description.unwrap_or(stored.description),
            frontend_view: self.view.map_or(stored.frontend_view, str::to_owned),
        };
        outranks(caller, org, &new.role)?;
        app.directory
            .replace_role(org, &stored.role_id, &new, now)
            .await
    }
}

#[derive(Serialize, ToSchema)]
#[schema(as = RoleAssignRoleResponse)]
struct Assigned {
    role_id: String,
}

/// Assign a role to a user
///
/// Takes a role with greater privileges than the assigned one, and all those of the user's present one.
#[utoipa::path(
    post, path = "/v1/{organization}/role/{role_name}/assign", operation_id = "assign-role", tag = "Role",
    params(InOrganization, ("role_name" = String, Path, description = "The role's name.")),
    request_body = RoleAssignRoleRequest,
    responses(
        (status = 200, body = Assigned, description = "The role's id."),
        LimitedErrors,
        PermissionErrors,
        BodyErrors,
    )
)]
pub(super) async fn assign(
    State(app): State<Arc<App>>,
    Within(org, name): Within,
    Extension(seen): Extension<Seen>,
    headers: HeaderMap,
    body: Result<Bytes, BytesRejection>,
) -> Result<Response, Problem> {
    let name = role_name(&name)?;
    let mut body = Fields::of_body(body)?;
    let user_id = body.required("user_id", fields::parsed(UserId::parse));
    let user_id = body.finish(user_id)?;
    let (app, org) = (&app, &org);
    let assign = Endpoint::AssignRole;
    let deed = Action::AssignRole
        .on(&user_id)
        .with(json!({ "role": name }));
    let work = |caller| async move {
        let stored = app.directory.known_role(org, &name).await?;
        outranks(&caller, org, &stored.role)?;
        let what = "the role you would take away";
        let from = role_to_take_away(app, org, &caller, &user_id, what).await?;
        let now = app.clock.now();
        app.directory
            .assign_role(org, &user_id, Some(&from), &stored.role_id, now)
            .await?;
        let role_id = stored.role_id;
        let told = tell(json!({ "role_id": role_id }));
        Ok((told, Json(Assigned { role_id })).into_response())
    };
    administer(app, org, &headers, &seen, assign, deed, work).await
}

/// The role of a path. What cannot be one is not there.
fn role_name(name: &str) -> Result<RoleName> {
    RoleName::parse(name).map_err(|error| Error::not_found("there is no such role").because(error))
}
