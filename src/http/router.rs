//! The routes.

use std::sync::Arc;

use axum::Router;
use axum::extract::DefaultBodyLimit;
use axum::middleware;
use axum::routing::{delete, get, post};
use rules::Error;

use super::problem::Problem;
use super::{
    api_keys, health, jwks, layers, maintenance, organization, otlp, prompt_logs, roles, sign_in,
    slow_body, sql_query, sql_result, sql_schema, temporary_grants, users, write_prompt_logs,
};
use crate::app::App;

/// All endpoints over one application.
pub fn router(app: Arc<App>) -> Router {
    let always_up = Router::new()
        .route("/v1/{organization}/admin/ping", get(maintenance::ping))
        .route("/healthz", get(health::alive))
        .route("/readyz", get(health::ready))
        .method_not_allowed_fallback(async || Problem::method_not_allowed());
    let body_limit = DefaultBodyLimit::max(app.config.limits.request_body_bytes);
    Router::new()
        .route(
            "/v1/{organization}/admin/get_prompt_logs/",
            get(prompt_logs::get),
        )
        .route(
            "/v1/{organization}/admin/get_prompt_logs",
            get(prompt_logs::get),
        )
        .route(
            "/v1/{organization}/admin/prompt_logs/",
            post(write_prompt_logs::post),
        )
        .route(
            "/v1/{organization}/admin/prompt_logs",
            post(write_prompt_logs::post),
        )
        .route("/v1/{organization}/otlp/v1/traces", post(otlp::traces))
        .route("/v1/{organization}/otlp/v1/logs", post(otlp::logs))
        .route("/v1/{organization}/admin/sql_query", post(sql_query::post))
        .route("/v1/{organization}/admin/sql_schema", get(sql_schema::get))
        .route(
            "/v1/{organization}/admin/sql_query/{query_id}",
            get(sql_result::status).delete(sql_result::cancel),
        )
        .route(
            "/v1/{organization}/admin/sql_query/{query_id}/result",
            get(sql_result::get),
        )
        .route(
            "/v1/{organization}/user/signin_with_api_key",
            post(sign_in::post),
        )
        .route("/.well-known/jwks.json", get(jwks::get))
        .fallback(async || Problem::from(Error::not_found("there is nothing at this path")))
        .merge(identity())
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

/// The endpoints of organizations, users, API keys and roles.
fn identity() -> Router<Arc<App>> {
    Router::new()
        .route("/v1/{organization}/organization/", get(organization::get))
        .route(
            "/v1/{organization}/organization/api_key/",
            get(api_keys::list).post(api_keys::post),
        )
        .route(
            "/v1/{organization}/organization/api_key/{api_key_id}/",
            delete(api_keys::delete),
        )
        .route(
            "/v1/{organization}/user/",
            get(users::list).post(users::post),
        )
        .route("/v1/{organization}/user/{user_id}", delete(users::delete))
        .route(
            "/v1/{organization}/role/",
            get(roles::list).post(roles::post),
        )
        .route("/v1/{organization}/role/{role_name}", post(roles::modify))
        .route(
            "/v1/{organization}/role/{role_name}/assign",
            post(roles::assign),
        )
        .route(
            "/v1/{organization}/role/temporary_permission_grant/",
            post(temporary_grants::post),
        )
        .route(
            "/v1/{organization}/role/temporary_permission_grants/",
            get(temporary_grants::list),
        )
}
