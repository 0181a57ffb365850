//! What goes wrong with a cluster, as callers may see it; the rest is for the log, and holds no value of a query.

use mongodb::error::ErrorKind;
use rules::{ClusterName, Error};

/// The time limit of an operation was reached: `MaxTimeMSExpired`, `ExceededTimeLimit`.
const TIME_LIMIT: [i32; 2] = [50, 262];
/// A stage needs more memory than one may have: `ExceededMemoryLimit`, `QueryExceededMemoryLimitNoDiskUseAllowed`.
const MEMORY_LIMIT: [i32; 2] = [146, 292];
/// The server or the cursor went away, or the credentials are not taken: `HostUnreachable`, `HostNotFound`,
/// `Unauthorized`, `AuthenticationFailed`, `CursorNotFound`, `LockTimeout`, `NetworkTimeout`, `ShutdownInProgress`,
/// `FailedToSatisfyReadPreference`, `ReadConcernMajorityNotAvailableYet`, `QueryPlanKilled`, `PrimarySteppedDown`,
/// `CursorKilled`, `SnapshotTooOld`, `SnapshotUnavailable`, `ClientDisconnect`, `InterruptedDueToStorageChange`,
/// `SocketException`, `NotWritablePrimary`, `InterruptedAtShutdown`, `Interrupted`, `InterruptedDueToReplStateChange`,
/// `NotPrimaryNoSecondaryOk`, `NotPrimaryOrSecondary`.
const GONE: [i32; 24] = [
    6, 7, 13, 18, 43, 46, 89, 91, 133, 134, 175, 189, 237, 239, 246, 279, 355, 9001, 10107, 11600,
    11601, 11602, 13435, 13436,
];

pub(super) fn timed_out() -> Error {
    Error::timed_out("the query reached its time limit and was stopped; narrow it or add a LIMIT")
}

/// The cluster cannot be reached, or not with these credentials.
pub(super) fn unavailable(cluster: &ClusterName, why: impl Into<String>) -> Error {
    let why = format!("cluster {cluster}: {}", why.into());
    Error::unavailable("the MongoDB cluster of this organization does not answer; try again")
        .because(why)
}

/// A driver's error.
pub(super) fn failed(cluster: &ClusterName, error: &mongodb::error::Error) -> Error {
    let ErrorKind::Command(refusal) = error.kind.as_ref() else {
        // Not the reply of the server, which the error would show as well: it may hold documents.
        return unavailable(cluster, error.kind.to_string());
    };
    // Not the server's message: it may repeat the question, and with it what a query looks for.
    let why = format!("error {} {}", refusal.code, refusal.code_name);
    match refusal.code {
        code if TIME_LIMIT.contains(&code) => timed_out(),
        code if MEMORY_LIMIT.contains(&code) => Error::invalid(
            "this query needs more memory than the MongoDB cluster gives to one; group or sort less",
        )
        .because(why),
        code if GONE.contains(&code) => unavailable(cluster, why),
        _ => Error::internal(
            "the MongoDB cluster of this organization refuses a question of this server; its log says why",
        )
        .because(format!("cluster {cluster}: {why}")),
    }
}

/// The number of a refusal by the server.
pub(super) fn code(error: &mongodb::error::Error) -> Option<i32> {
    match error.kind.as_ref() {
        ErrorKind::Command(refusal) => Some(refusal.code),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use mongodb::bson::{Document, doc};
    use mongodb::error::CommandError;
    use rules::Kind;

    use super::*;

    fn refusal(code: i32) -> mongodb::error::Error {
        let reply: Document = doc! {
            "code": code, "codeName": "Name", "errmsg": "not allowed: {find: \"users\", filter: {city: \"Ulm\"}}",
        };
        let error: CommandError = mongodb::bson::deserialize_from_document(reply).unwrap();
        ErrorKind::Command(error).into()
    }

    #[test]
    fn a_refusal_is_what_the_caller_can_do_about_it_and_the_log_has_no_values() {
        let cluster = ClusterName::parse("main").unwrap();
        for (code, kind) in [
            (50, Kind::TimedOut),
            (262, Kind::TimedOut),
            (292, Kind::Invalid),
            (43, Kind::Unavailable),
            (13, Kind::Unavailable),
            (18, Kind::Unavailable),
            (11600, Kind::Unavailable),
            (2, Kind::Internal),
        ] {
            let error = failed(&cluster, &refusal(code));
            assert_eq!(*error.kind(), kind, "{code}");
            assert!(!format!("{error:?}").contains("Ulm"), "{error:?}");
            assert!(!error.message().contains("main"), "{error}");
        }
    }

    #[test]
    fn a_cluster_that_is_not_there_is_unavailable_and_its_host_is_for_the_log() {
        let cluster = ClusterName::parse("main").unwrap();
        let io = std::io::Error::other("db1.example refused");
        let error = failed(&cluster, &mongodb::error::Error::from(io));
        assert_eq!(*error.kind(), Kind::Unavailable);
        assert_eq!(
            error.message(),
            "the MongoDB cluster of this organization does not answer; try again"
        );
        let source = std::error::Error::source(&error).unwrap().to_string();
        assert!(source.starts_with("cluster main: ") && source.contains("db1.example"));
    }
}
