//! The published limits of requests a minute, per endpoint and caller.
//!
//! `rules::quota` does the arithmetic; here are the table of limits and the memory of who asked when. That memory is this
//! process's own: after a restart everybody starts afresh. It is bounded, whoever asks: of too many callers of an
//! endpoint, those that have not asked for the longest time are forgotten.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv6Addr};
use std::sync::{Arc, Mutex, PoisonError};

use chrono::{DateTime, TimeDelta, Utc};
use hashlink::LruCache;
use rules::{Quota, Usage, Verdict};

use crate::config::Limits;
use crate::metrics::Metrics;

/// The endpoints with a limit of their own.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Endpoint {
    /// Per API key and address of the client.
    SignIn,
    /// Per address of the client, whatever the API key.
    SignInAddress,
    PromptLogs,
    SqlQuery,
    CancelSqlQuery,
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

/// Callers of one endpoint that are remembered.
const CALLERS_KEPT: usize = 50_000;

/// A caller's name, hashed: names come from requests and may be long.
type Name = blake3::Hash;

#[derive(Debug)]
pub struct RateLimits {
    limits: Limits,
    metrics: Arc<Metrics>,
    usage: Mutex<HashMap<Endpoint, LruCache<Name, Usage>>>,
}

impl RateLimits {
    pub fn new(limits: &Limits, metrics: Arc<Metrics>) -> Self {
        Self {
            limits: limits.clone(),
            metrics,
            usage: Mutex::default(),
        }
    }

    /// Counts a request of `caller`, and says whether it may go on; `None` when limits are turned off.
    pub fn take(&self, endpoint: Endpoint, caller: &str, now: DateTime<Utc>) -> Option<Verdict> {
        if !self.limits.rate_limits {
            return None;
        }
        let name = blake3::hash(caller.as_bytes());
        let mut usage = self.usage.lock().unwrap_or_else(PoisonError::into_inner);
        let callers = usage
            .entry(endpoint)
            .or_insert_with(|| LruCache::new(CALLERS_KEPT));
        let mut usage = callers.remove(&name).unwrap_or_default();
        let verdict = usage.take(self.quota(endpoint), now);
        // As the one who asked last.
        callers.insert(name, usage);
        if !verdict.allowed {
            self.metrics.rate_limited(endpoint);
        }
        Some(verdict)
    }

    /// Counts a sign-in with a key of a client at this address.
    pub fn take_sign_in(&self, key: &str, address: IpAddr, now: DateTime<Utc>) -> Option<Verdict> {
        let network = network(address).to_string();
        // Who tries many keys from one place is stopped without using up those keys' limits; and nobody uses up the limit
        // of a key that is used from elsewhere.
        match self.take(Endpoint::SignInAddress, &network, now) {
            Some(verdict) if !verdict.allowed => Some(verdict),
            _ => self.take(Endpoint::SignIn, &format!("{network} {key}"), now),
        }
    }

    fn quota(&self, endpoint: Endpoint) -> Quota {
        let limits = &self.limits;
        let limit = match endpoint {
            Endpoint::SignIn => limits.signin_per_minute,
            Endpoint::SignInAddress => limits.signin_address_per_minute,
            Endpoint::PromptLogs => limits.prompt_logs_per_minute,
            Endpoint::SqlQuery => limits.sql_per_minute,
            Endpoint::CancelSqlQuery => limits.sql_cancel_per_minute,
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

/// What counts as one client's: of IPv6 the network, since a client has a whole /64 to itself (RFC 6177).
pub fn network(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V4(address) => address.into(),
        IpAddr::V6(address) => Ipv6Addr::from(u128::from(address) >> 64 << 64).into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn limits(signin_per_minute: u32, signin_address_per_minute: u32) -> RateLimits {
        let limits = Limits {
            signin_per_minute,
            signin_address_per_minute,
            ..Limits::default()
        };
        RateLimits::new(&limits, Arc::default())
    }

    #[track_caller]
    fn check(limits: &RateLimits, address: &str, allowed: bool) {
        check_key(limits, "acme/key", address, allowed);
    }

    #[track_caller]
    fn check_key(limits: &RateLimits, key: &str, address: &str, allowed: bool) {
        let verdict = limits.take_sign_in(key, address.parse().unwrap(), DateTime::UNIX_EPOCH);
        assert_eq!(verdict.unwrap().allowed, allowed, "{key} {address}");
    }

    #[test]
    fn a_network_of_ipv6_is_one_client_and_an_address_of_ipv4_is_one() {
        let limits = limits(9, 1);
        check(&limits, "2001:db8:0:1::1", true);
        check(&limits, "2001:db8:0:1:ffff::2", false);
        check(&limits, "2001:db8:0:2::1", true);
        check(&limits, "192.0.2.1", true);
        check(&limits, "192.0.2.2", true);
        check(&limits, "192.0.2.1", false);
        check(&limits, "::ffff:192.0.2.1", false);
    }

    #[test]
    fn nobody_locks_the_holder_of_a_key_out() {
        let limits = limits(1, 3);
        for (key, address, allowed) in [
            ("acme/key", "192.0.2.1", true),
            ("acme/key", "192.0.2.1", false),
            ("acme/key", "192.0.2.2", true),
            ("acme/other", "192.0.2.1", true),
            ("acme/third", "192.0.2.1", false),
        ] {
            check_key(&limits, key, address, allowed);
        }
    }

    #[test]
    fn memory_is_bounded_and_who_still_asks_is_remembered() {
        let limits = limits(2, 1);
        let now = DateTime::UNIX_EPOCH;
        let mut busy = 0;
        for number in 0..3 * CALLERS_KEPT {
            limits.take(Endpoint::SignIn, &format!("acme/{number}"), now);
            if number % 1_000 == 0 {
                let verdict = limits.take(Endpoint::SignIn, "acme/busy", now);
                busy += usize::from(verdict.unwrap().allowed);
            }
        }
        assert_eq!(busy, 2, "a flood of others makes nobody forgotten who asks");
        let usage = limits.usage.lock().unwrap();
        assert_eq!(usage[&Endpoint::SignIn].len(), CALLERS_KEPT);
    }
}
