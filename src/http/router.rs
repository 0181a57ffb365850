//! The routes, and the document that describes them.

use std::sync::Arc;

use axum::Router;
use axum::extract::DefaultBodyLimit;
use axum::middleware;
use axum::routing::{get, post};
use rules::Error;
use utoipa::openapi::OpenApi;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::problem::Problem;
use super::{
    api_keys, console, health, jwks, layers, maintenance, openapi, organization, otlp, prompt_logs,
    roles, sign_in, slow_body, sql_query, sql_result, sql_schema, temporary_grants, users,
    write_prompt_logs,
};
use crate::app::App;

/// All endpoints over one application.
pub fn router(app: Arc<App>) -> Router {
    let Routes {
        gated,
        always_up,
        document,
    } = Routes::new();
    let always_up = always_up.method_not_allowed_fallback(async || Problem::method_not_allowed());
    let body_limit = DefaultBodyLimit::max(app.config.limits.request_body_bytes);
    gated
        .merge(aliases())
        .merge(openapi::pages(&document))
        .merge(console::pages())
        .fallback(async || {
            Problem::from(Error::not_found(
                "there is nothing at this path; /console/ is a page to look around, /docs describes the API",
            ))
        })
        .method_not_allowed_fallback(async || Problem::method_not_allowed())
        .layer(body_limit)
        .layer(middleware::from_fn_with_state(
            Arc::clone(&app),
            maintenance::gate,
        ))
        .merge(always_up)
        .layer(middleware::from_fn_with_state(
            Arc::clone(&app),
            slow_body::limit,
        ))
        .layer(middleware::from_fn_with_state(
            Arc::clone(&app),
            layers::request,
        ))
        .with_state(app)
}

/// What the API is, in OpenAPI 3.1.
#[cfg(test)]
pub(super) fn document() -> OpenApi {
    Routes::new().document
}

/// The routes, and what they are in the document.
struct Routes {
    gated: Router<Arc<App>>,
    /// Those that answer in maintenance too.
    always_up: Router<Arc<App>>,
    document: OpenApi,
}

impl Routes {
    fn new() -> Self {
        let (gated, mut document) = OpenApiRouter::with_openapi(openapi::head())
            .merge(admin())
            .merge(identity())
            .split_for_parts();
        let (always_up, more) = OpenApiRouter::default()
            .routes(routes!(maintenance::ping))
            .routes(routes!(health::alive))
            .routes(routes!(health::ready))
            .split_for_parts();
        document.merge(more);
        Self {
            gated,
            always_up,
            document: openapi::finish(document),
        }
    }
}

/// Prompt logs and SQL.
fn admin() -> OpenApiRouter<Arc<App>> {
    OpenApiRouter::default()
        .routes(routes!(prompt_logs::get))
        .routes(routes!(write_prompt_logs::post))
        .routes(routes!(otlp::traces))
        .routes(routes!(otlp::logs))
        .routes(routes!(sql_query::post))
        .routes(routes!(sql_schema::get))
        .routes(routes!(sql_result::status, sql_result::cancel))
        .routes(routes!(sql_result::get))
}

/// Organizations, users, API keys and roles.
fn identity() -> OpenApiRouter<Arc<App>> {
    OpenApiRouter::default()
        .routes(routes!(sign_in::post))
        .routes(routes!(jwks::get))
        .routes(routes!(organization::get))
        .routes(routes!(api_keys::list, api_keys::post))
        .routes(routes!(api_keys::delete))
        .routes(routes!(users::list, users::post))
        .routes(routes!(users::delete))
        .routes(routes!(roles::list, roles::post))
        .routes(routes!(roles::modify))
        .routes(routes!(roles::assign))
        .routes(routes!(temporary_grants::post))
        .routes(routes!(temporary_grants::list))
}

/// Published paths end with a slash; without it they lead to the same thing. The document has them once.
fn aliases() -> Router<Arc<App>> {
    Router::new()
        .route(
            "/v1/{organization}/admin/get_prompt_logs",
            get(prompt_logs::get),
        )
        .route(
            "/v1/{organization}/admin/prompt_logs",
            post(write_prompt_logs::post),
        )
}
