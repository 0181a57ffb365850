//! What holds the rows of a chain together: the hash of a row, and the walk that finds the first row that is not as it was
//! written.

use super::{AuditHead, AuditRow, AuditVerdict};

/// What stands for the hash before the first row.
pub(super) const BEGINNING: &str =
    "0000000000000000000000000000000000000000000000000000000000000000";

/// The first value of every encoding: another one, should the encoding ever change.
const VERSION: &str = "amigo-admin audit 1";

/// BLAKE3 over the row's [`encoding`], in hexadecimal digits.
pub(super) fn hash(row: &AuditRow) -> String {
    blake3::hash(&encoding(row)).to_hex().to_string()
}

/// The version, the hash before, and then the columns in their order: each as a netstring (its length in bytes, `:`, its
/// bytes, `,`), null as `-,`. Numbers are decimal. No two rows have the same encoding: it can be read back value by value.
pub(super) fn encoding(row: &AuditRow) -> Vec<u8> {
    let AuditRow {
        org_id,
        seq,
        at: _,
        entry_id,
        event,
        actor,
        actor_org_id,
        actor_id,
        action,
        resource,
        request_id,
        client_address,
        outcome,
        status,
        reason,
        rows,
        bytes,
        detail,
        previous_hash,
        hash: _,
    } = row;
    let mut encoded = Vec::new();
    let mut text = |value: Option<&str>| match value {
        Some(value) => {
            encoded.extend_from_slice(format!("{}:", value.len()).as_bytes());
            encoded.extend_from_slice(value.as_bytes());
            encoded.push(b',');
        }
        None => encoded.extend_from_slice(b"-,"),
    };
    let number = |value: &Option<i64>| value.map(|value| value.to_string());
    text(Some(VERSION));
    text(Some(previous_hash));
    text(Some(org_id));
    text(Some(&seq.to_string()));
    text(Some(&row.instant()));
    text(Some(entry_id));
    text(Some(event));
    text(Some(actor));
    text(actor_org_id.as_deref());
    text(actor_id.as_deref());
    text(Some(action));
    text(resource.as_deref());
    text(request_id.as_deref());
    text(client_address.as_deref());
    text(outcome.as_deref());
    text(number(status).as_deref());
    text(reason.as_deref());
    text(number(rows).as_deref());
    text(number(bytes).as_deref());
    text(detail.as_deref());
    encoded
}

/// How far a chain was looked at.
#[derive(Debug)]
pub(super) struct Walk<'a> {
    org_id: &'a str,
    last: AuditHead,
}

impl<'a> Walk<'a> {
    pub(super) fn new(org_id: &'a str) -> Self {
        let hash = BEGINNING.to_owned();
        Self {
            org_id,
            last: AuditHead { seq: 0, hash },
        }
    }

    /// The place of the last row.
    pub(super) fn seq(&self) -> i64 {
        self.last.seq
    }

    /// Looks at the next row. `known` are ends that the chain had at some time.
    pub(super) fn step(
        &mut self,
        row: &AuditRow,
        known: [Option<&AuditHead>; 2],
    ) -> Result<(), AuditVerdict> {
        let next = self.last.seq + 1;
        let broken = |why: String| Err(AuditVerdict::Broken { seq: next, why });
        if row.seq != next {
            return broken(format!("it is missing: row {} comes instead", row.seq));
        }
        if row.org_id != self.org_id {
            return broken("it is of another chain".to_owned());
        }
        if row.previous_hash != self.last.hash {
            return broken("it does not follow the row before it".to_owned());
        }
        if row.hash != hash(row) {
            return broken("its hash is another: it was changed".to_owned());
        }
        let mut known = known.into_iter().flatten();
        if known.any(|head| head.seq == row.seq && head.hash != row.hash) {
            return broken("its hash is not the one that was noted".to_owned());
        }
        self.last = AuditHead {
            seq: row.seq,
            hash: row.hash.clone(),
        };
        Ok(())
    }

    /// The verdict when there is no more row.
    pub(super) fn end(self, known: [Option<&AuditHead>; 2]) -> AuditVerdict {
        let seq = self.last.seq;
        let beyond = known.into_iter().flatten().find(|head| head.seq > seq);
        match beyond {
            Some(head) => AuditVerdict::Broken {
                seq: seq + 1,
                why: format!(
                    "it is missing, and so is everything up to row {}, which was there",
                    head.seq
                ),
            },
            None => AuditVerdict::Intact(self.last),
        }
    }
}
