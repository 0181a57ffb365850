//! `/v1/{organization}/user/`: users are made, listed and deleted.

use std::collections::BTreeMap;
use std::sync::Arc;

use axum::body::Bytes;
use axum::extract::rejection::BytesRejection;
use axum::extract::{RawQuery, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::{Extension, Json};
use rules::{Error, OrgId, Result, RoleName, UserId, decide};
use serde::Serialize;
use serde_json::{Map, Value, json};
use utoipa::ToSchema;

use super::audited::tell;
use super::caller::{
    Organization, Within, administer, admit, has, needed, outranks, permitted, role_to_take_away,
};
use super::fields::{self, Fields};
use super::layers::Seen;
use super::openapi::{
    BodyErrors, InOrganization, LimitedErrors, PermissionErrors, UserCreateInvitedUserRequest,
    UsersQuery,
};
use super::page::{self, Order, Page};
use super::problem::{ErrorResponse, Problem};
use crate::app::App;
use crate::directory::{NewUser, User, UserDetails};
use crate::guard::{Action, Endpoint};

/// The most users of one page.
const PAGE_MAX: usize = 100;

/// A request to make a user. `login_link` is taken and not used: this server sends no e-mail.
struct Invitation {
    first_name: String,
    last_name: String,
    email: String,
    role: RoleName,
    details: UserDetails,
}

#[derive(Serialize, ToSchema)]
#[schema(as = UserCreateInvitedUserResponse)]
struct Invited {
    #[schema(value_type = String)]
    user_id: UserId,
    /// None: no e-mail is sent.
    #[schema(required = true)]
    verify_link: Option<String>,
}

/// Create a new user
///
/// Needs `User:InviteUser`, and a role with greater privileges than the user's.
#[utoipa::path(
    post, path = "/v1/{organization}/user/", operation_id = "create-invited-user", tag = "User",
    params(InOrganization),
    request_body = UserCreateInvitedUserRequest,
    responses(
        (status = 201, body = Invited, description = "The user's id."),
        LimitedErrors,
        PermissionErrors,
        BodyErrors,
        (status = 409, body = ErrorResponse, description = "Another user has this e-mail address."),
    )
)]
pub(super) async fn post(
    State(app): State<Arc<App>>,
    Organization(org): Organization,
    Extension(seen): Extension<Seen>,
    headers: HeaderMap,
    body: Result<Bytes, BytesRejection>,
) -> Result<Response, Problem> {
    let invitation = parse(Fields::of_body(body)?)?;
    let (app, org) = (&app, &org);
    let create = Endpoint::CreateUser;
    let deed = Action::InviteUser
        .on(&invitation.email)
        .with(json!({"role": invitation.role}));
    let work = |caller| async move {
        permitted(&caller, org, "User:InviteUser")?;
        let stored = app.directory.known_role(org, &invitation.role).await?;
        outranks(&caller, org, &stored.role)?;
        let user_id = app
            .identity
            .new_user_id(&invitation.first_name, &invitation.last_name)?;
        let new = NewUser {
            org_id: org.clone(),
            user_id: user_id.clone(),
            role: invitation.role,
            email: Some(invitation.email),
            first_name: Some(invitation.first_name),
            last_name: Some(invitation.last_name),
        };
        let now = app.clock.now();
        app.directory
            .create_user_with(&new, &invitation.details, now)
            .await?;
        let told = tell(json!({ "user_id": user_id }));
        let made = Invited {
            user_id,
            verify_link: None,
        };
        Ok((StatusCode::CREATED, told, Json(made)).into_response())
    };
    administer(app, org, &headers, &seen, create, deed, work).await
}

fn parse(mut body: Fields) -> Result<Invitation> {
    let first_name = body.required("first_name", fields::line(256));
    let last_name = body.required("last_name", fields::line(256));
    let email = body.required("email", fields::parsed(User::check_email));
    let role = body.required("role_name", fields::parsed(RoleName::parse));
    body.optional("login_link", fields::text(2_048));
    let preferences = body.optional("user_preferences", fields::value::<Map<_, _>>);
    let nonsensitive = body.optional("nonsensitive_user_variables", fields::variables(19));
    let sensitive = body.optional("sensitive_user_variables", fields::variables(20));
    let sensitive: BTreeMap<String, String> = sensitive.unwrap_or_default();
    let details = UserDetails {
        preferences: preferences.unwrap_or_default(),
        nonsensitive_variables: nonsensitive.unwrap_or_default(),
        sensitive_variables: sensitive.into_keys().collect(),
    };
    let names = first_name.zip(last_name);
    let made = names.zip(email.zip(role)).map(|(names, (email, role))| {
        let (first_name, last_name) = names;
        Invitation {
            first_name,
            last_name,
            email,
            role,
            details,
        }
    });
    body.finish(made)
}

/// Which users, in which order. Nobody named means all.
struct Wanted {
    user_ids: Vec<String>,
    emails: Vec<String>,
    page: Page,
    orders: Vec<Order>,
}

/// One page of users.
#[derive(Serialize, ToSchema)]
#[schema(as = UserGetUsersResponse)]
struct Users {
    users: Vec<UserInstance>,
    has_more: bool,
    /// For the next page.
    #[schema(required = true)]
    continuation_token: Option<usize>,
}

/// A user. Texts that are not known are empty, for clients of the published API want texts.
#[derive(Serialize, ToSchema)]
#[schema(as = UserGetUsersResponseUserInstance)]
struct UserInstance {
    #[schema(value_type = String)]
    org_id: OrgId,
    #[schema(value_type = String)]
    user_id: UserId,
    first_name: String,
    last_name: String,
    email: String,
    user_stats: UserStats,
    /// The id of the user's role.
    role: String,
    #[schema(value_type = Object)]
    preferences: Map<String, Value>,
    nonsensitive_variables: BTreeMap<String, String>,
    /// Their names.
    sensitive_variables: Vec<String>,
    enable_actions_access: bool,
}

/// Conversations are not counted here.
#[derive(Serialize, ToSchema)]
struct UserStats {
    num_conversations: u64,
    num_messages: u64,
    #[schema(format = DateTime, required = true)]
    last_message_time: Option<String>,
}

/// Get users
///
/// Those that the caller has `User:GetUserInfo` on, in pages.
#[utoipa::path(
    get, path = "/v1/{organization}/user/", operation_id = "get-users", tag = "User",
    params(InOrganization, UsersQuery),
    responses((status = 200, body = Users, description = "One page of users."), LimitedErrors)
)]
pub(super) async fn list(
    State(app): State<Arc<App>>,
    Organization(org): Organization,
    RawQuery(query): RawQuery,
    Extension(seen): Extension<Seen>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let wanted = wanted(Fields::of_query(query.as_deref()))?;
    let (app, org) = (&app, &org);
    let list = Endpoint::ListUsers;
    admit(app, org, &headers, &seen, list, |caller| async move {
        let mut users = app.directory.users(org).await?;
        users.retain(|user| {
            let needed = needed(org, "User:GetUserInfo").with("user_id", user.user_id.as_str());
            wanted.holds(user) && decide(&caller, &needed).is_allowed()
        });
        page::sort(&mut users, &wanted.orders, |user, field| {
            let value = match field {
                "first_name" => &user.first_name,
                "last_name" => &user.last_name,
                _ => &user.email,
            };
            value.as_deref().unwrap_or_default().to_lowercase()
        });
        let (users, next) = wanted.page.cut(users);
        let answer = Users {
            users: users.into_iter().map(|user| instance(org, user)).collect(),
            has_more: next.is_some(),
            continuation_token: next,
        };
        Ok(Json(answer).into_response())
    })
    .await
}

fn wanted(mut query: Fields) -> Result<Wanted> {
    let user_ids = query.optional("user_id", fields::each(fields::any));
    let emails = query.optional("email", fields::each(fields::any));
    let page = Page::of(&mut query, PAGE_MAX);
    let orders = page::orders(&mut query, ["first_name", "last_name", "email"]);
    query.finish(Some(Wanted {
        user_ids: user_ids.unwrap_or_default(),
        emails: emails.unwrap_or_default(),
        page,
        orders,
    }))
}

impl Wanted {
    fn holds(&self, user: &User) -> bool {
        let has_id = self.user_ids.iter().any(|id| id == user.user_id.as_str());
        let email = user.email.as_deref().unwrap_or_default();
        let has_email = self
            .emails
            .iter()
            .any(|one| one.eq_ignore_ascii_case(email));
        (self.user_ids.is_empty() || has_id) && (self.emails.is_empty() || has_email)
    }
}

fn instance(org: &OrgId, user: User) -> UserInstance {
    UserInstance {
        org_id: org.clone(),
        user_id: user.user_id,
        first_name: user.first_name.unwrap_or_default(),
        last_name: user.last_name.unwrap_or_default(),
        email: user.email.unwrap_or_default(),
        user_stats: UserStats {
            num_conversations: 0,
            num_messages: 0,
            last_message_time: None,
        },
        role: user.role_id,
        preferences: user.details.preferences,
        nonsensitive_variables: user.details.nonsensitive_variables,
        sensitive_variables: user.details.sensitive_variables,
        enable_actions_access: false,
    }
}

/// Delete a user
///
/// The user's tokens end with them. Needs `User:DeleteUser`.
#[utoipa::path(
    delete, path = "/v1/{organization}/user/{requested_user_id}", operation_id = "delete-user", tag = "User",
    params(InOrganization, ("requested_user_id" = String, Path, description = "The user's id.")),
    responses((status = 204, description = "Deleted."), LimitedErrors, PermissionErrors)
)]
pub(super) async fn delete(
    State(app): State<Arc<App>>,
    Within(org, user_id): Within,
    Extension(seen): Extension<Seen>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let (app, org) = (&app, &org);
    let delete = Endpoint::DeleteUser;
    let deed = Action::DeleteUser.on(&user_id);
    let work = |caller| async move {
        has(
            &caller,
            &needed(org, "User:DeleteUser").with("user_id", &user_id),
        )?;
        let user_id = UserId::parse(&user_id)
            .map_err(|error| Error::not_found("there is no such user").because(error))?;
        let of = role_to_take_away(app, org, &caller, &user_id, "that user's role").await?;
        app.directory.delete_user(org, &user_id, Some(&of)).await?;
        Ok(StatusCode::NO_CONTENT.into_response())
    };
    administer(app, org, &headers, &seen, delete, deed, work).await
}
