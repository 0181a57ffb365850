//! What is allowed: the pure rules of the server, with no I/O, clock or chance of their own.
//!
//! Every layer above calls down into this crate: [`OrgId`] and the other ids are parsed once at the border and
//! trusted afterwards, [`decide()`] says whether a [`Caller`] may do a thing and [`why()`] for what reasons, [`covers`] compares roles,
//! [`read_only::inspect`] is the first of three walls around SQL, [`Quota`] is rate limit arithmetic, and [`Error`] is
//! the one error that crosses layers. "The wire contract, section N" names the rule a piece of code follows.
//!
//! Not here: who a token names (identity), what a status code is (the HTTP layer), which SQL functions exist (the
//! engine).

pub mod cover;
pub mod credentials;
pub mod decide;
pub mod default_roles;
pub mod duration;
pub mod error;
pub mod grants;
pub mod ids;
pub mod log_key;
pub mod permissions;
pub mod prompt_log;
pub mod quota;
pub mod read_only;
#[cfg(test)]
mod testing;
pub mod why;

pub use cover::{covers, is_greater};
pub use credentials::{Credentials, Headers};
pub use decide::{Decision, Denial, decide, decide_all};
pub use default_roles::{
    DEFAULT_ADMINISTRATOR_ROLE, DEFAULT_AMIGO_ADMINISTRATOR_ROLE, DEFAULT_SUPER_ADMINISTRATOR_ROLE,
    DEFAULT_USER_ROLE, DefaultRole, default_roles,
};
pub use duration::parse_duration;
pub use error::{Error, Kind, Result, Violation};
pub use grants::{Action, Caller, Condition, Grant, RequiredPermission, Role};
pub use ids::{ClusterName, OrgId, RoleName, TableName, UserId};
pub use log_key::{LogKey, prefix_end};
pub use permissions::PERMISSIONS;
pub use prompt_log::required_for_log;
pub use quota::{Quota, Usage, Verdict};
pub use why::{Why, why};
