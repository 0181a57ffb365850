//! `GET /v1/{organization}/admin/sql_schema`: the tables that SQL can name, for tools.
//!
//! Asked of the engine as a query like any other, so that the same callers see it within the same limits.

use std::sync::Arc;

use axum::extract::State;
use axum::http::HeaderMap;
use axum::response::{IntoResponse, Response};
use axum::{Extension, Json};
use rules::{Error, Result};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use utoipa::ToSchema;

use super::audited::{Told, opening, read};
use super::caller::{Organization, authenticate, cluster, located};
use super::layers::Seen;
use super::limited::limited;
use super::openapi::{InOrganization, LimitedErrors, PermissionErrors};
use super::problem::{ErrorResponse, Problem};
use crate::app::App;
use crate::guard::{Action, Actor, Endpoint};
use crate::sql_query;

/// One row a table, so that a page holds a thousand of them.
const QUERY: &str = "SELECT table_name, array_agg(named_struct('name', column_name, 'type', data_type, \
    'nullable', is_nullable = 'YES', 'comment', comment) ORDER BY ordinal_position) \
    FROM information_schema.columns GROUP BY table_name ORDER BY table_name";

/// The tables that SQL can name.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = SqlSchema)]
struct Schema {
    tables: Vec<Table>,
}

#[derive(Debug, Serialize, ToSchema)]
#[schema(as = SqlTable)]
struct Table {
    name: String,
    /// Each with `name`, `type`, `nullable` and `comment`, in order.
    #[schema(value_type = Vec<Object>)]
    columns: Box<RawValue>,
}

/// What is needed of the query's response.
#[derive(Debug, Deserialize)]
struct Page {
    result: Vec<(String, Box<RawValue>)>,
    truncated: bool,
}

/// Get the tables of SQL
///
/// Every table that a query of the organization can name, with its columns. Counts as a query.
#[utoipa::path(
    get, path = "/v1/{organization}/admin/sql_schema", operation_id = "get-sql-schema", tag = "Admin",
    params(InOrganization),
    responses(
        (status = 200, body = Schema, description = "The tables."),
        LimitedErrors,
        PermissionErrors,
        (status = 408, body = ErrorResponse, description = "It took longer than a query may."),
        (status = 413, body = ErrorResponse, description = "There are more tables than one answer holds."),
    )
)]
pub(super) async fn get(
    State(app): State<Arc<App>>,
    Organization(org): Organization,
    Extension(seen): Extension<Seen>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let cluster = cluster(&app, &headers).await?;
    let caller = authenticate(&app, &org, &headers, &seen).await?;
    let now = app.clock.now();
    let user = format!("{}/{}", caller.org_id, caller.user_id);
    let verdict = app.rate_limits.take(Endpoint::SqlQuery, &user, now);
    let work = async {
        let organization = located(&app, &org, cluster.as_ref()).await?;
        let actor = Actor::of(&caller);
        let opening = opening(&org, actor, &seen, Action::GetSqlSchema.on_all());
        let list = Box::pin(async {
            sql_query::authorise(&app.directory, &org, &caller).await?;
            let sql = QUERY.to_owned();
            let page = sql_query::run(&app.queries, &organization, caller, sql, now).await?;
            Ok((Told::page(&page), Json(schema(&page.json)?)).into_response())
        });
        read(&app, opening, list).await
    };
    Ok(limited(verdict, work).await)
}

fn schema(page: &[u8]) -> Result<Schema> {
    let page: Page = serde_json::from_slice(page)
        .map_err(|error| Error::internal("the tables cannot be listed").because(error))?;
    if page.truncated {
        return Err(Error::too_large(
            "there are more tables than one answer holds; query information_schema.columns instead",
        ));
    }
    let tables = page.result.into_iter();
    let tables = tables.map(|(name, columns)| Table { name, columns });
    Ok(Schema {
        tables: tables.collect(),
    })
}
