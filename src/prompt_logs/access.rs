//! Whether the caller may still read what has not been sent yet.
//!
//! A download can last as long as its client reads; a role may change or a grant end meanwhile. `archive` asks here
//! before each entry. What was decided when the logs were chosen is only ever taken back, never widened.

use std::time::Duration;

use futures::future::BoxFuture;
use rules::{Caller, Decision, Error, Kind, Result, decide_all};
use tokio::time::Instant;

use super::select::{Entry, Refusal};

/// A decision is at most this old, plus the time of a look-up.
const AGE_MAX: Duration = Duration::from_millis(250);

/// Says who the caller is by now. An error ends the delivery: of kind `Forbidden` or `Unauthenticated` its message is
/// for the caller.
pub type LookUp = Box<dyn Fn() -> BoxFuture<'static, Result<Caller>> + Send + Sync>;

/// What the caller of one download may do, looked up again and again.
pub struct Access {
    look_up: LookUp,
    planned: Caller,
    /// `None` before the first entry: choosing the logs took its time, too.
    looked_at: Option<Instant>,
    now: Now,
}

enum Now {
    AsPlanned,
    Changed(Caller),
    /// Nothing is permitted any more; why, for the caller.
    Nothing(String),
}

impl Access {
    /// `planned` is the caller for whom the logs are chosen.
    pub fn new(planned: Caller, look_up: LookUp) -> Self {
        Self {
            look_up,
            planned,
            looked_at: None,
            now: Now::AsPlanned,
        }
    }

    /// Whether a log that was permitted when it was chosen still is.
    pub(super) async fn still(&mut self, entry: &Entry) -> Result<(), Refusal> {
        if self.looked_at.is_none_or(|at| at.elapsed() >= AGE_MAX) {
            self.now = self.look().await;
            self.looked_at = Some(Instant::now());
        }
        match &self.now {
            Now::AsPlanned => Ok(()),
            Now::Changed(caller) => match decide_all(caller, &entry.required) {
                Decision::Allowed => Ok(()),
                Decision::Denied(denial) => Err(Refusal::Denied(denial)),
            },
            Now::Nothing(reason) => Err(Refusal::Ended(reason.clone())),
        }
    }

    async fn look(&self) -> Now {
        match (self.look_up)().await {
            Ok(caller) if caller == self.planned => Now::AsPlanned,
            Ok(caller) => Now::Changed(caller),
            Err(error) => Now::Nothing(reason(&error)),
        }
    }
}

fn reason(error: &Error) -> String {
    if let Kind::Forbidden | Kind::Unauthenticated = error.kind() {
        return error.message().to_owned();
    }
    tracing::error!(
        error = error as &dyn std::error::Error,
        "what a caller may do cannot be looked up; the rest of a download is refused"
    );
    "what you may read could not be looked up again".to_owned()
}

impl std::fmt::Debug for Access {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter
            .debug_struct("Access")
            .field("planned", &self.planned)
            .finish_non_exhaustive()
    }
}
