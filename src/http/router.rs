//! The routes.

use std::sync::Arc;

use axum::Router;
use axum::extract::DefaultBodyLimit;
use axum::middleware;
use axum::routing::{get, post};
use rules::Error;

use super::problem::Problem;
use super::{
    layers, otlp, prompt_logs, sign_in, sql_query, sql_result, sql_schema, write_prompt_logs,
};
use crate::app::App;

/// All endpoints over one application.
pub fn router(app: Arc<App>) -> Router {
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
        .fallback(async || Problem::from(Error::not_found("there is nothing at this path")))
        .method_not_allowed_fallback(async || Problem::method_not_allowed())
        .layer(body_limit)
        .layer(middleware::from_fn(layers::request))
        .with_state(app)
}
