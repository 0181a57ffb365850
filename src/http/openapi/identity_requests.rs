//! Requests about users, API keys and roles, under their published names. [`Fields`](crate::http::fields) reads them name by
//! name, so no type of the handlers describes them.
//!
//! Only described here. Generated requests, valid and invalid ones, hold these to what a server really reads.

#![expect(
    dead_code,
    reason = "these types are descriptions; no value of them is made"
)]

use std::collections::BTreeMap;

use serde_json::Value;
use utoipa::openapi::schema::SchemaType;
use utoipa::openapi::{Object, ObjectBuilder, Ref, Type};
use utoipa::{IntoParams, ToSchema};

#[derive(IntoParams)]
#[into_params(parameter_in = Header)]
pub(crate) struct SignInHeaders {
    /// The API key.
    #[param(rename = "x-api-key", pattern = "^[!-~]([ -~]*[!-~])?$")]
    key: String,
    /// The id of the API key.
    #[param(rename = "x-api-key-id", pattern = "^[!-~]([ -~]*[!-~])?$")]
    key_id: String,
    /// The user to sign in. The key's role must have at least the privileges of the user's.
    #[param(
        rename = "x-user-id",
        example = "super-administrator",
        pattern = "^[!-~]([ -~]*[!-~])?$"
    )]
    user_id: String,
}

#[derive(ToSchema)]
#[schema(examples(json!({"name": "reports", "duration": "P30D", "role_name": "DefaultAdministratorRole"})))]
pub(crate) struct OrganizationCreateApiKeyRequest {
    /// For people.
    #[schema(
        required = true,
        max_length = 256,
        pattern = r"^[^\x00-\x1f\x7f-\x9f]*[^\s\x00-\x1f\x7f-\x9f][^\x00-\x1f\x7f-\x9f]*$"
    )]
    name: Option<String>,
    /// 1 to 90 days in ISO 8601, without months and years.
    #[schema(format = Duration, pattern = r"^P[0-9DWTHMS]+$")]
    duration: String,
    /// The key signs in users whose role has no more privileges than this one.
    #[schema(
        default = "DefaultAdministratorRole",
        max_length = 256,
        pattern = r"^[^\s\x00-\x1f\x7f-\x9f]([^\x00-\x1f\x7f-\x9f]*[^\s\x00-\x1f\x7f-\x9f])?$"
    )]
    role_name: Option<String>,
}

#[derive(ToSchema)]
#[schema(examples(json!({
    "first_name": "Mia", "last_name": "Li", "email": "mia@example.com", "role_name": "DefaultUserRole"
})))]
pub(crate) struct UserCreateInvitedUserRequest {
    #[schema(
        max_length = 256,
        pattern = r"^[^\x00-\x1f\x7f-\x9f]*[^\s\x00-\x1f\x7f-\x9f][^\x00-\x1f\x7f-\x9f]*$"
    )]
    first_name: String,
    #[schema(
        max_length = 256,
        pattern = r"^[^\x00-\x1f\x7f-\x9f]*[^\s\x00-\x1f\x7f-\x9f][^\x00-\x1f\x7f-\x9f]*$"
    )]
    last_name: String,
    /// Unique in the organization.
    #[schema(max_length = 320, format = Email)]
    email: String,
    /// A role with fewer privileges than the caller's.
    #[schema(
        max_length = 256,
        pattern = r"^[^\s\x00-\x1f\x7f-\x9f]([^\x00-\x1f\x7f-\x9f]*[^\s\x00-\x1f\x7f-\x9f])?$"
    )]
    role_name: String,
    /// Taken and not used: this server sends no e-mail.
    #[schema(max_length = 2_048, pattern = r"\S")]
    login_link: Option<String>,
    #[schema(value_type = Option<Object>)]
    user_preferences: Option<Value>,
    #[schema(schema_with = nonsensitive_variables, required = false)]
    nonsensitive_user_variables: Value,
    #[schema(schema_with = sensitive_variables, required = false)]
    sensitive_user_variables: Value,
}

fn nonsensitive_variables() -> Object {
    texts_by_name(19, "Kept as they are.")
}

fn sensitive_variables() -> Object {
    texts_by_name(20, "Only their names are kept.")
}

fn texts_by_name(max: usize, description: &str) -> Object {
    let name = ObjectBuilder::new()
        .schema_type(Type::String)
        .pattern(Some("^[A-Za-z0-9_]{1,256}$"));
    let text = ObjectBuilder::new().schema_type(Type::String);
    ObjectBuilder::new()
        .schema_type(SchemaType::from_iter([Type::Object, Type::Null]))
        .description(Some(description))
        .max_properties(Some(max))
        .property_names(Some(name.build()))
        .additional_properties(Some(text))
        .build()
}

#[derive(IntoParams)]
#[into_params(parameter_in = Query)]
pub(crate) struct UsersQuery {
    /// Only these users.
    #[param(required = false)]
    user_id: Vec<String>,
    /// Only users with these addresses.
    #[param(required = false)]
    email: Vec<String>,
    /// How many at most.
    #[param(required = false, minimum = 0, maximum = 100, default = 100)]
    limit: u32,
    /// That of the page before.
    #[param(required = false, minimum = 0, maximum = 2_147_483_647, default = 0)]
    continuation_token: u32,
    /// `+` or `-` and `first_name`, `last_name` or `email`; later ones break ties.
    #[param(required = false, inline)]
    sort_by: Vec<UsersOrder>,
}

#[derive(ToSchema)]
#[schema(pattern = "^[+-]?(first_name|last_name|email)$")]
struct UsersOrder(String);

/// One permission, given or taken, under conditions that must all hold.
#[derive(ToSchema)]
#[schema(examples(json!({
    "permission_name": "Conversation:GetMessage", "conditions": {"org_id": {"type": "Equals", "value": "{self_org_id}"}}
})))]
#[serde(deny_unknown_fields)]
pub(crate) struct PermissionGrant {
    /// `Family:Name`, `Family:*` or `*`.
    #[schema(pattern = r"^(\*|[A-Za-z][A-Za-z0-9]*:(\*|[A-Za-z][A-Za-z0-9]*))$")]
    permission_name: String,
    #[schema(required = false, schema_with = conditions)]
    conditions: BTreeMap<String, Condition>,
    #[schema(required = false, nullable = false)]
    action: Action,
    description: Option<String>,
}

fn conditions() -> Object {
    let attribute = ObjectBuilder::new()
        .schema_type(Type::String)
        .min_length(Some(1));
    ObjectBuilder::new()
        .description(Some(
            "By attribute. `{self_org_id}` and `{self_user_id}` stand for the caller's own.",
        ))
        .property_names(Some(attribute.build()))
        .additional_properties(Some(Ref::from_schema_name(Condition::name())))
        .build()
}

#[derive(ToSchema)]
#[schema(default = "Allow")]
enum Action {
    Allow,
    Deny,
}

#[derive(ToSchema)]
#[serde(tag = "type")]
pub(crate) enum Condition {
    #[schema(title = "EqualCondition")]
    Equals { value: String },
    #[schema(title = "NotEqualCondition")]
    NotEquals { value: String },
    #[schema(title = "InCondition")]
    In {
        #[schema(min_items = 1)]
        values: Vec<String>,
    },
}

#[derive(ToSchema)]
#[schema(examples(json!({
    "role_name": "Support", "description": "Reads conversations", "frontend_view": "admin", "permission_grants": [
        {"permission_name": "Conversation:*", "conditions": {"org_id": {"type": "Equals", "value": "{self_org_id}"}}}
    ]
})))]
pub(crate) struct RoleCreateRoleRequest {
    /// New in the organization.
    #[schema(
        max_length = 256,
        pattern = r"^[^\x00-\x1f\x7f-\x9f]*[^\s\x00-\x1f\x7f-\x9f][^\x00-\x1f\x7f-\x9f]*$"
    )]
    role_name: String,
    #[schema(
        max_length = 2_000,
        pattern = r"^[^\x00-\x1f\x7f-\x9f]*[^\s\x00-\x1f\x7f-\x9f][^\x00-\x1f\x7f-\x9f]*$"
    )]
    description: String,
    permission_grants: Vec<PermissionGrant>,
    frontend_view: FrontendView,
}

#[derive(ToSchema)]
#[schema(rename_all = "lowercase")]
pub(crate) enum FrontendView {
    Client,
    Admin,
}

/// What is absent stays as it is.
#[derive(ToSchema)]
#[schema(examples(json!({"description": "Reads conversations and users"})))]
pub(crate) struct RoleModifyRoleRequest {
    #[schema(
        max_length = 2_000,
        pattern = r"^[^\x00-\x1f\x7f-\x9f]*[^\s\x00-\x1f\x7f-\x9f][^\x00-\x1f\x7f-\x9f]*$"
    )]
    description: Option<String>,
    permission_grants: Option<Vec<PermissionGrant>>,
    frontend_view: Option<FrontendView>,
}

#[derive(ToSchema)]
#[schema(examples(json!({"user_id": "administrator"})))]
pub(crate) struct RoleAssignRoleRequest {
    #[schema(pattern = "^[A-Za-z0-9][A-Za-z0-9_.@+:-]{0,127}$")]
    user_id: String,
}

#[derive(IntoParams)]
#[into_params(parameter_in = Query)]
pub(crate) struct RolesQuery {
    /// Whether the roles come with their grants.
    #[param(required = false, default = false)]
    return_permission_grants: bool,
    /// Only these roles.
    #[param(required = false, inline)]
    id: Vec<ObjectId>,
    /// Only roles of these names.
    #[param(required = false)]
    name: Vec<String>,
}

#[derive(ToSchema)]
#[schema(examples(json!({
    "user_id": "administrator", "duration": "PT12H", "tags": {"ticket": "4711"}, "justification": "Looks into ticket 4711",
    "permission_grant": {"permission_name": "Conversation:GetMessage", "conditions": {}}
})))]
pub(crate) struct RoleCreateTemporaryPermissionGrantRequest {
    #[schema(pattern = "^[A-Za-z0-9][A-Za-z0-9_.@+:-]{0,127}$")]
    user_id: String,
    /// At most 366 days in ISO 8601, without months and years.
    #[schema(format = Duration, pattern = r"^P[0-9DWTHMS]+$")]
    duration: String,
    /// One that allows.
    permission_grant: PermissionGrant,
    #[schema(schema_with = tags)]
    tags: Value,
    #[schema(
        min_length = 10,
        max_length = 2_000,
        pattern = r"^[^\x00-\x1f\x7f-\x9f]*[^\s\x00-\x1f\x7f-\x9f][^\x00-\x1f\x7f-\x9f]*$"
    )]
    justification: String,
}

fn tags() -> Object {
    let word = || {
        ObjectBuilder::new()
            .max_length(Some(256))
            .pattern(Some(r"^[\w ]*\w[\w ]*$"))
    };
    let key = word().schema_type(Type::String).build();
    let value = word().schema_type(SchemaType::from_iter([Type::String, Type::Null]));
    ObjectBuilder::new()
        .schema_type(Type::Object)
        .description(Some("Letters, digits, underscores and spaces."))
        .max_properties(Some(20))
        .property_names(Some(key))
        .additional_properties(Some(value))
        .build()
}

#[derive(IntoParams)]
#[into_params(parameter_in = Query)]
pub(crate) struct TemporaryGrantsQuery {
    /// Only these grants.
    #[param(required = false, inline)]
    id: Vec<ObjectId>,
    /// Only grants to these users.
    #[param(required = false)]
    user_id: Vec<String>,
    /// Only grants of this permission.
    #[param(required = false)]
    permission_grant_name: String,
    /// Only expired grants, or only those that count.
    #[param(required = false)]
    is_expired: bool,
    /// How many at most.
    #[param(required = false, minimum = 0, maximum = 10, default = 10)]
    limit: u32,
    /// That of the page before.
    #[param(required = false, minimum = 0, maximum = 2_147_483_647, default = 0)]
    continuation_token: u32,
    /// Only grants that these users made.
    #[param(required = false)]
    creator: Vec<String>,
    /// Only grants with these tags, each `key:value`, `key:*` (any value) or `key:` (none).
    #[param(required = false, inline)]
    tag: Vec<TagFilter>,
    /// `+` or `-` and `user_id`, `expires_at` or `permission_grant.permission_name`; later ones break ties.
    #[param(required = false, inline)]
    sort_by: Vec<GrantsOrder>,
}

#[derive(ToSchema)]
#[schema(pattern = "^[A-Fa-f0-9]{24}$")]
struct ObjectId(String);

#[derive(ToSchema)]
#[schema(pattern = "^[^:]*:")]
struct TagFilter(String);

#[derive(ToSchema)]
#[schema(pattern = r"^[+-]?(user_id|expires_at|permission_grant\.permission_name)$")]
struct GrantsOrder(String);
