//! What became of each log of an archive, for the audit log: how much of it the client took is known only at the end.

use std::sync::{Mutex, PoisonError};

/// What an archive holds in a log's place.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Fate {
    /// The log.
    Delivered,
    /// The reason why the caller may not read it.
    Denied,
    /// The reason why it could not be read.
    Failed,
}

/// The logs of one archive in its order; written while it is made.
#[derive(Debug, Default)]
pub struct Ledger(Mutex<Vec<Line>>);

#[derive(Debug)]
struct Line {
    key: String,
    fate: Fate,
    /// Where its bytes begin in the archive.
    begin: u64,
    /// Where they end; none while they are made.
    end: Option<u64>,
}

/// The keys of the logs of an archive, or of that part of it that was handed over.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Delivery {
    /// Handed over to their last byte.
    pub delivered: Vec<String>,
    /// Handed over in part.
    pub begun: Vec<String>,
    /// The caller was told that they may not read it.
    pub denied: Vec<String>,
    /// The caller was told that it could not be read.
    pub failed: Vec<String>,
}

impl Ledger {
    /// The bytes of a log, or of what stands in its place, begin here.
    pub(super) fn begin(&self, key: &str, fate: Fate, begin: u64) {
        self.lines().push(Line {
            key: key.to_owned(),
            fate,
            begin,
            end: None,
        });
    }

    /// The bytes of the last log end here.
    pub(super) fn end(&self, end: u64) {
        if let Some(line) = self.lines().last_mut() {
            line.end = Some(end);
        }
    }

    /// What the first `bytes` bytes of the archive hold.
    pub fn delivery(&self, bytes: u64) -> Delivery {
        let mut delivery = Delivery::default();
        for line in self.lines().iter().take_while(|line| line.begin < bytes) {
            let is_whole = line.end.is_some_and(|end| end <= bytes);
            let keys = match line.fate {
                Fate::Delivered if is_whole => &mut delivery.delivered,
                Fate::Delivered => &mut delivery.begun,
                Fate::Denied => &mut delivery.denied,
                Fate::Failed => &mut delivery.failed,
            };
            keys.push(line.key.clone());
        }
        delivery
    }

    fn lines(&self) -> std::sync::MutexGuard<'_, Vec<Line>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_an_archive_that_was_cut_each_log_is_told_as_far_as_it_was_handed_over() {
        let ledger = Ledger::default();
        for (key, fate, begin, end) in [
            ("a", Fate::Delivered, 0, 10),
            ("b", Fate::Denied, 10, 20),
            ("c", Fate::Failed, 20, 30),
        ] {
            ledger.begin(key, fate, begin);
            ledger.end(end);
        }
        ledger.begin("d", Fate::Delivered, 30);
        let check = |bytes, keys: [&[&str]; 4]| {
            let [delivered, begun, denied, failed] =
                keys.map(|keys| keys.iter().map(|key| (*key).to_owned()).collect());
            let expected = Delivery {
                delivered,
                begun,
                denied,
                failed,
            };
            assert_eq!(ledger.delivery(bytes), expected, "{bytes}");
        };
        check(0, [&[], &[], &[], &[]]);
        check(1, [&[], &["a"], &[], &[]]);
        check(10, [&["a"], &[], &[], &[]]);
        check(11, [&["a"], &[], &["b"], &[]]);
        check(30, [&["a"], &[], &["b"], &["c"]]);
        check(31, [&["a"], &["d"], &["b"], &["c"]]);
        ledger.end(40);
        check(39, [&["a"], &["d"], &["b"], &["c"]]);
        check(40, [&["a", "d"], &[], &["b"], &["c"]]);
    }
}
