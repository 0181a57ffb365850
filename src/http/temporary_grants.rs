//! `/v1/{organization}/role/temporary_permission_grant/`: one more grant for one user for some time (the wire contract,
//! section 5).

use std::collections::BTreeMap;
use std::sync::Arc;

use axum::body::Bytes;
use axum::extract::rejection::BytesRejection;
use axum::extract::{RawQuery, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::{Extension, Json};
use chrono::{DateTime, SubsecRound, TimeDelta, Utc};
use rules::{Caller, Grant, OrgId, RequiredPermission, Result, Role, RoleName, UserId, decide};
use serde::Serialize;
use serde_json::{Value, json};
use utoipa::ToSchema;

use super::api_keys::{UserInfo, creator};
use super::audited::tell;
use super::caller::{Organization, administer, admit, covers_all, has, needed};
use super::fields::{self, Fields, Flaw};
use super::layers::Seen;
use super::openapi::{
    BodyErrors, InOrganization, LimitedErrors, PermissionErrors, PermissionGrant,
    RoleCreateTemporaryPermissionGrantRequest, TemporaryGrantsQuery,
};
use super::page::{self, Order, Page};
use super::problem::Problem;
use crate::app::App;
use crate::directory::{NewTemporaryGrant, TemporaryGrant};
use crate::guard::{Action, Endpoint};

/// The most grants of one page.
const PAGE_MAX: usize = 10;
const TAGS_MAX: usize = 20;
/// A grant that lasts longer is a role.
const DAYS_MAX: i64 = 366;
const SORT_BY: [&str; 3] = ["user_id", "expires_at", "permission_grant.permission_name"];

type Tags = BTreeMap<String, Option<String>>;

struct New {
    user_id: UserId,
    duration: TimeDelta,
    grant: Grant,
    tags: Tags,
    justification: String,
}

#[derive(Serialize, ToSchema)]
#[schema(as = RoleCreateTemporaryPermissionGrantResponse)]
struct Created {
    temporary_permission_grant_id: String,
    #[schema(value_type = String, format = DateTime)]
    expires_at: DateTime<Utc>,
}

/// Create a temporary permission grant
///
/// One more grant for one user, for some time. Comparisons of roles do not see it. Needs
/// `Role:CreateTemporaryPermissionGrant`, and a role that has what the grant gives.
#[utoipa::path(
    post, path = "/v1/{organization}/role/temporary_permission_grant/",
    operation_id = "create-temporary-permission-grant", tag = "Role",
    params(InOrganization),
    request_body = RoleCreateTemporaryPermissionGrantRequest,
    responses(
        (status = 201, body = Created, description = "The grant's id."),
        LimitedErrors,
        PermissionErrors,
        BodyErrors,
    )
)]
pub(super) async fn post(
    State(app): State<Arc<App>>,
    Organization(org): Organization,
    Extension(seen): Extension<Seen>,
    headers: HeaderMap,
    body: Result<Bytes, BytesRejection>,
) -> Result<Response, Problem> {
    let new = parse(Fields::of_body(body)?)?;
    let (app, org) = (&app, &org);
    let create = Endpoint::CreateTemporaryGrant;
    let deed = Action::CreateTemporaryGrant.on(&new.user_id).with(json!({
        "permission_grant": new.grant,
        "seconds": new.duration.num_seconds(),
        "justification": new.justification,
        "tags": new.tags,
    }));
    let work = |caller: Caller| async move {
        has(
            &caller,
            &on(org, "Role:CreateTemporaryPermissionGrant", &new.user_id),
        )?;
        // As with roles: nobody gives what their own role does not have, or this permission would be every permission.
        let given = Role {
            name: RoleName::parse("temporary")?,
            grants: vec![new.grant.clone()],
        };
        covers_all(&caller, org, &given, "the grant you would make")?;
        let now = app.clock.now();
        let new = NewTemporaryGrant {
            org_id: org.clone(),
            user_id: new.user_id,
            grant: new.grant,
            justification: new.justification,
            tags: new.tags,
            // As exactly as it is stored.
            expires_at: (now + new.duration).trunc_subsecs(3),
            creator: Some((caller.org_id, caller.user_id)),
        };
        let id = app.directory.create_temporary_grant(&new, now).await?;
        let told = tell(json!({
            "temporary_permission_grant_id": id, "expires_at": new.expires_at,
        }));
        let made = Created {
            temporary_permission_grant_id: id,
            expires_at: new.expires_at,
        };
        Ok((StatusCode::CREATED, told, Json(made)).into_response())
    };
    administer(app, org, &headers, &seen, create, deed, work).await
}

fn on(org: &OrgId, permission: &str, user_id: &UserId) -> RequiredPermission {
    needed(org, permission).with("user_id", user_id.as_str())
}

fn parse(mut body: Fields) -> Result<New> {
    let user_id = body.required("user_id", fields::parsed(UserId::parse));
    let range = TimeDelta::seconds(1)..=TimeDelta::days(DAYS_MAX);
    let duration = body.required("duration", fields::duration(range));
    let grant = body.required("permission_grant", grant);
    let tags = body.required("tags", tags);
    let justification = body.required("justification", justification);
    let made = user_id
        .zip(duration)
        .zip(grant.zip(tags.zip(justification)));
    let made = made.map(
        |((user_id, duration), (grant, (tags, justification)))| New {
            user_id,
            duration,
            grant,
            tags,
            justification,
        },
    );
    body.finish(made)
}

fn grant(value: &Value) -> Result<Grant, Flaw> {
    let grant: Grant = fields::value(value)?;
    if grant.action == rules::Action::Deny {
        return Err(Flaw::new("a temporary grant gives; only a role denies"));
    }
    grant.validate().map_err(Flaw::new)?;
    Ok(grant)
}

fn justification(value: &Value) -> Result<String, Flaw> {
    let text = fields::line(2_000)(value)?;
    if text.chars().count() < 10 {
        return Err(Flaw::new("String should have at least 10 characters"));
    }
    Ok(text)
}

fn tags(value: &Value) -> Result<Tags, Flaw> {
    let tags: Tags = fields::value(value)?;
    let is_word = |text: &String| {
        let letters = text
            .chars()
            .all(|letter| letter.is_alphanumeric() || "_ ".contains(letter));
        letters && !text.trim().is_empty() && text.chars().count() <= 256
    };
    let good = tags
        .iter()
        .all(|(key, value)| is_word(key) && value.as_ref().is_none_or(is_word));
    if tags.len() > TAGS_MAX || !good {
        return Err(Flaw::new(format!(
            "Input should be at most {TAGS_MAX} tags of letters, digits, underscores and spaces"
        )));
    }
    Ok(tags)
}

/// Which grants, in which order.
struct Wanted {
    ids: Vec<String>,
    user_ids: Vec<String>,
    permission: Option<String>,
    is_expired: Option<bool>,
    creators: Vec<String>,
    /// `key:value`, `key:*` (any) or `key:` (none).
    tags: Vec<(String, String)>,
    page: Page,
    orders: Vec<Order>,
}

/// One page of temporary grants.
#[derive(Serialize, ToSchema)]
#[schema(as = RoleGetTemporaryPermissionGrantsResponse)]
struct TemporaryGrants {
    temporary_permission_grants: Vec<Instance>,
    has_more: bool,
    /// For the next page.
    #[schema(required = true)]
    continuation_token: Option<usize>,
}

#[derive(Serialize, ToSchema)]
#[schema(as = TemporaryPermissionGrant)]
struct Instance {
    #[serde(rename = "_id")]
    id: String,
    #[schema(value_type = String)]
    org_id: OrgId,
    #[schema(value_type = String, format = DateTime)]
    created_at: DateTime<Utc>,
    #[schema(value_type = String, format = DateTime)]
    updated_at: DateTime<Utc>,
    #[schema(value_type = String)]
    user_id: UserId,
    #[schema(value_type = String, format = DateTime)]
    expires_at: DateTime<Utc>,
    #[schema(value_type = PermissionGrant)]
    permission_grant: Grant,
    justification: String,
    creator: UserInfo,
    #[schema(value_type = BTreeMap<String, Option<String>>)]
    tags: Tags,
}

/// Get temporary permission grants
///
/// Those that the caller has `Role:GetTemporaryPermissionGrant` on, in pages.
#[utoipa::path(
    get, path = "/v1/{organization}/role/temporary_permission_grants/",
    operation_id = "get-temporary-permission-grants", tag = "Role",
    params(InOrganization, TemporaryGrantsQuery),
    responses((status = 200, body = TemporaryGrants, description = "One page of grants."), LimitedErrors)
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
    let list = Endpoint::ListTemporaryGrants;
    admit(app, org, &headers, &seen, list, |caller| async move {
        let now = app.clock.now();
        let mut grants = app.directory.temporary_grants(org, None).await?;
        grants.retain(|grant| {
            let needed = on(org, "Role:GetTemporaryPermissionGrant", &grant.user_id);
            wanted.holds(grant, now) && decide(&caller, &needed).is_allowed()
        });
        page::sort(&mut grants, &wanted.orders, |grant, field| match field {
            "user_id" => grant.user_id.to_string(),
            "expires_at" => format!("{:020}", grant.expires_at.timestamp_millis()),
            _ => grant.grant.permission_name.clone(),
        });
        let (grants, next) = wanted.page.cut(grants);
        let answer = TemporaryGrants {
            temporary_permission_grants: grants.into_iter().map(instance).collect(),
            has_more: next.is_some(),
            continuation_token: next,
        };
        Ok(Json(answer).into_response())
    })
    .await
}

fn wanted(mut query: Fields) -> Result<Wanted> {
    let tag = |text: &str| {
        let pair = text.split_once(':');
        let pair = pair.map(|(key, value)| (key.to_owned(), value.to_owned()));
        pair.ok_or_else(|| Flaw::new("Input should be key:value, key:* or key:"))
    };
    let ids = query.optional("id", fields::each(fields::object_id));
    let user_ids = query.optional("user_id", fields::each(fields::any));
    let permission = query.optional("permission_grant_name", fields::last(fields::any));
    let is_expired = query.optional("is_expired", fields::last(fields::boolean));
    let creators = query.optional("creator", fields::each(fields::any));
    let tags = query.optional("tag", fields::each(tag));
    let page = Page::of(&mut query, PAGE_MAX);
    let orders = page::orders(&mut query, SORT_BY);
    query.finish(Some(Wanted {
        ids: ids.unwrap_or_default(),
        user_ids: user_ids.unwrap_or_default(),
        permission,
        is_expired,
        creators: creators.unwrap_or_default(),
        tags: tags.unwrap_or_default(),
        page,
        orders,
    }))
}

impl Wanted {
    fn holds(&self, grant: &TemporaryGrant, now: DateTime<Utc>) -> bool {
        let among =
            |list: &[String], value: &str| list.is_empty() || list.iter().any(|one| one == value);
        let creator = grant.creator.as_ref().map_or("", |(_, user)| user.as_str());
        let permission = self.permission.as_ref();
        let has_tag = |(key, value): &(String, String)| match (grant.tags.get(key), value.as_str())
        {
            (None, _) => false,
            (Some(_), "*") => true,
            (Some(tag), "") => tag.is_none(),
            (Some(tag), value) => tag.as_deref() == Some(value),
        };
        among(&self.ids, &grant.id)
            && among(&self.user_ids, grant.user_id.as_str())
            && among(&self.creators, creator)
            && permission.is_none_or(|name| *name == grant.grant.permission_name)
            && self
                .is_expired
                .is_none_or(|expired| expired == (grant.expires_at <= now))
            && self.tags.iter().all(has_tag)
    }
}

fn instance(grant: TemporaryGrant) -> Instance {
    Instance {
        creator: creator(grant.creator.as_ref(), &grant.org_id),
        id: grant.id,
        org_id: grant.org_id,
        created_at: grant.created_at,
        updated_at: grant.updated_at,
        user_id: grant.user_id,
        expires_at: grant.expires_at,
        permission_grant: grant.grant,
        justification: grant.justification,
        tags: grant.tags,
    }
}
