//! The API in OpenAPI 3.1, generated from the handlers: the document's head, where it is served, and the page to try it.
//!
//! Each handler is described where it stands, and the router puts the descriptions together with the routes, so that none
//! can be missing. Operation ids, parameters and schemas are those of the published API where it has the operation.

mod admin_requests;
mod finish;
mod identity_requests;
mod otlp;
mod shared;

use axum::Router;
use axum::body::Bytes;
use axum::http::header::CONTENT_TYPE;
use axum::routing::get;
use utoipa::openapi::security::{
    ApiKey, ApiKeyValue, Http, HttpAuthScheme, HttpBuilder, SecurityScheme,
};
use utoipa::openapi::tag::{Tag, TagBuilder};
use utoipa::openapi::{
    ComponentsBuilder, InfoBuilder, LicenseBuilder, OpenApi, OpenApiBuilder, SecurityRequirement,
};
use utoipa_swagger_ui::{Config, SwaggerUi};

pub(super) use admin_requests::{
    AdminSubmitSqlQueryRequest, AdminSubmitSqlQueryResponse, ContentEncoding, IdempotencyKey,
    PromptLogRecord, PromptLogsQuery, QueryStatusName, RejectedRecord, ResultQuery,
    ValidationError,
};
pub(super) use finish::finish;
pub(super) use identity_requests::{
    FrontendView, OrganizationCreateApiKeyRequest, PermissionGrant, RoleAssignRoleRequest,
    RoleCreateRoleRequest, RoleCreateTemporaryPermissionGrantRequest, RoleModifyRoleRequest,
    RolesQuery, SignInHeaders, TemporaryGrantsQuery, UserCreateInvitedUserRequest, UsersQuery,
};
pub(super) use otlp::OtlpResponses;
pub(super) use shared::{
    BodyErrors, CallerErrors, InOrganization, LimitedErrors, OnCluster, OrganizationInPath,
    PermissionErrors, ServerErrors,
};

/// Where the document is served.
const PATH: &str = "/v1/openapi.json";

const DESCRIPTION: &str = "An open, self-hosted server for the Admin API of the Amigo agent platform.

Get a token from `POST /v1/{organization}/user/signin_with_api_key`, or from the operator (`amigo-admin token`), and send it \
as `Authorization: Bearer <token>`. Errors are `{\"detail\": \"<one sentence>\"}`; where something of a request is not \
valid, `detail` lists every violation with its place. Every answer has an `X-Request-Id`, which is in the server's log.";

const TAGS: [(&str, &str); 6] = [
    ("Admin", "Prompt logs and SQL."),
    ("Organization", "An organization and its API keys."),
    ("User", "Users, and signing in."),
    ("Role", "Roles and temporary grants."),
    ("OpenTelemetry", "Prompts from what OpenTelemetry exports."),
    ("Server", "The server itself."),
];

/// What the document says before its operations.
pub(super) fn head() -> OpenApi {
    let license = LicenseBuilder::new()
        .name("Apache-2.0")
        .identifier(Some("Apache-2.0"))
        .build();
    let info = InfoBuilder::new()
        .title("amigo-admin")
        .version(env!("CARGO_PKG_VERSION"))
        .description(Some(DESCRIPTION))
        .license(Some(license))
        .build();
    let tag = |(name, description)| -> Tag {
        let tag = TagBuilder::new().name(name);
        tag.description(Some(description)).build()
    };
    let components = security_schemes()
        .into_iter()
        .fold(ComponentsBuilder::new(), |components, (name, scheme)| {
            components.security_scheme(name, scheme)
        });
    OpenApiBuilder::new()
        .info(info)
        .tags(Some(TAGS.map(tag)))
        .components(Some(shared::components(components).build()))
        .security(Some(credentials()))
        .build()
}

/// The ways to say who is calling, under their published names.
fn security_schemes() -> [(&'static str, SecurityScheme); 6] {
    let header = |name, description| {
        SecurityScheme::ApiKey(ApiKey::Header(ApiKeyValue::with_description(
            name,
            description,
        )))
    };
    let http = |scheme, description| -> Http {
        let http = HttpBuilder::new().scheme(scheme);
        http.description(Some(description)).build()
    };
    let mut bearer = http(
        HttpAuthScheme::Bearer,
        "The token of a sign-in, or of `amigo-admin token`.",
    );
    bearer.bearer_format = Some("JWT".to_owned());
    let basic = http(
        HttpAuthScheme::Basic,
        "The user name is `{org_id}_{user_id}`, the password is the token.",
    );
    [
        ("Bearer-Authorization", SecurityScheme::Http(bearer)),
        (
            "Bearer-Authorization-Organization",
            header(
                "X-ORG-ID",
                "The organization of the token's user, where it is another one than the path names.",
            ),
        ),
        ("Basic", SecurityScheme::Http(basic)),
        (
            "API-Key-Authorization-Key",
            header("x-api-key", "The API key."),
        ),
        (
            "API-Key-Authorization-ID",
            header("x-api-key-id", "The id of the API key."),
        ),
        (
            "API-Key-Authorization-UserID",
            header("x-user-id", "The user to sign in."),
        ),
    ]
}

/// What an operation takes that says nothing else.
fn credentials() -> [SecurityRequirement; 4] {
    let need = |name| SecurityRequirement::new(name, [""; 0]);
    let other = |name| need(name).add("Bearer-Authorization-Organization", [""; 0]);
    [
        need("Bearer-Authorization"),
        other("Bearer-Authorization"),
        need("Basic"),
        other("Basic"),
    ]
}

/// Serves the document at `/v1/openapi.json`, and at `/docs` a page to try what it describes. The page's files are in the
/// program, and it asks no other host for anything.
pub(super) fn pages<S: Clone + Send + Sync + 'static>(document: &OpenApi) -> Router<S> {
    let text = serde_json::to_vec(document).expect("a document of texts and numbers is JSON");
    let text = Bytes::from(text);
    let config = Config::new([PATH])
        // Without the bar that would load documents from elsewhere, and without the badge of the validator online.
        .use_base_layout()
        .validator_url("none")
        .try_it_out_enabled(true)
        .display_request_duration(true)
        .default_models_expand_depth(0);
    let page = Router::from(SwaggerUi::new("/docs").config(config));
    let serve = move || std::future::ready(([(CONTENT_TYPE, "application/json")], text.clone()));
    page.route(PATH, get(serve))
}

#[cfg(test)]
mod tests;
