//! The published limits of requests a minute, per endpoint and caller.
//!
//! `rules::quota` does the arithmetic; here are the table of limits and the memory of who asked when. That memory is this
//! process's own: after a restart everybody starts afresh.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use chrono::{DateTime, TimeDelta, Utc};
use rules::{Quota, Usage, Verdict};

use crate::config::Limits;

/// The endpoints with a limit of their own.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Endpoint {
    SignIn,
    PromptLogs,
    SqlQuery,
    CreateApiKey,
    ListApiKeys,
    DeleteApiKey,
    CreateUser,
    ListUsers,
    DeleteUser,
    ListRoles,
    CreateRole,
    ModifyRole,
    AssignRole,
    CreateTemporaryGrant,
    ListTemporaryGrants,
}

/// Above this many callers, those whose minute has passed are forgotten.
const CALLERS_KEPT: usize = 10_000;

#[derive(Debug)]
pub struct RateLimits {
    limits: Limits,
    usage: Mutex<HashMap<(Endpoint, String), Usage>>,
}

impl RateLimits {
    pub fn new(limits: &Limits) -> Self {
        Self {
            limits: limits.clone(),
            usage: Mutex::default(),
        }
    }

    /// Counts a request of `caller`, and says whether it may go on; `None` when limits are turned off.
    pub fn take(&self, endpoint: Endpoint, caller: &str, now: DateTime<Utc>) -> Option<Verdict> {
        if !self.limits.rate_limits {
            return None;
        }
        let mut usage = self.usage.lock().unwrap_or_else(PoisonError::into_inner);
        if usage.len() > CALLERS_KEPT {
            usage.retain(|(endpoint, _), usage| !usage.is_idle(self.quota(*endpoint), now));
        }
        let usage = usage.entry((endpoint, caller.to_owned())).or_default();
        Some(usage.take(self.quota(endpoint), now))
    }

    fn quota(&self, endpoint: Endpoint) -> Quota {
        let limits = &self.limits;
        let limit = match endpoint {
            Endpoint::SignIn => limits.signin_per_minute,
            Endpoint::PromptLogs => limits.prompt_logs_per_minute,
            Endpoint::SqlQuery => limits.sql_per_minute,
            Endpoint::CreateApiKey => limits.api_key_create_per_minute,
            Endpoint::ListApiKeys => limits.api_key_list_per_minute,
            Endpoint::DeleteApiKey => limits.api_key_delete_per_minute,
            Endpoint::CreateUser => limits.user_create_per_minute,
            Endpoint::ListUsers => limits.user_list_per_minute,
            Endpoint::DeleteUser => limits.user_delete_per_minute,
            Endpoint::ListRoles => limits.role_list_per_minute,
            Endpoint::CreateRole => limits.role_create_per_minute,
            Endpoint::ModifyRole => limits.role_modify_per_minute,
            Endpoint::AssignRole => limits.role_assign_per_minute,
            Endpoint::CreateTemporaryGrant => limits.temporary_grant_create_per_minute,
            Endpoint::ListTemporaryGrants => limits.temporary_grant_list_per_minute,
        };
        Quota {
            limit,
            period: TimeDelta::minutes(1),
        }
    }
}
