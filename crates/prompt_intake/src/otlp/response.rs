//! What an exporter is answered, in the encoding it asked in.

use super::{Encoding, Rejected, Signal};

impl Rejected {
    /// The reasons as one sentence; empty when nothing was rejected.
    pub fn message(&self) -> String {
        let reasons: Vec<&str> = self.reasons.iter().map(crate::Reason::as_str).collect();
        reasons.join("; ")
    }
}

/// An `ExportTraceServiceResponse` or `ExportLogsServiceResponse` that tells how many were rejected.
pub fn response(encoding: Encoding, signal: Signal, rejected: &Rejected) -> Vec<u8> {
    let message = rejected.message();
    let is_partial = rejected.count > 0 || !message.is_empty();
    match encoding {
        Encoding::Protobuf => {
            if !is_partial {
                return Vec::new();
            }
            let mut partial = Vec::new();
            if rejected.count > 0 {
                partial.push(1 << 3);
                varint(rejected.count as u64, &mut partial);
            }
            bytes_field(2, message.as_bytes(), &mut partial);
            let mut response = Vec::new();
            bytes_field(1, &partial, &mut response);
            response
        }
        Encoding::Json => {
            if !is_partial {
                return b"{}".to_vec();
            }
            let name = match signal {
                Signal::Traces => "rejectedSpans",
                Signal::Logs => "rejectedLogRecords",
            };
            let partial =
                serde_json::json!({ name: rejected.count.to_string(), "errorMessage": message });
            serde_json::json!({ "partialSuccess": partial })
                .to_string()
                .into_bytes()
        }
    }
}

/// A `google.rpc.Status`, OTLP's body of every refusal.
pub fn status(encoding: Encoding, code: u8, message: &str) -> Vec<u8> {
    match encoding {
        Encoding::Protobuf => {
            let mut status = vec![1 << 3, code];
            bytes_field(2, message.as_bytes(), &mut status);
            status
        }
        Encoding::Json => serde_json::json!({ "code": code, "message": message })
            .to_string()
            .into_bytes(),
    }
}

fn bytes_field(number: u8, bytes: &[u8], message: &mut Vec<u8>) {
    message.push(number << 3 | 2);
    varint(bytes.len() as u64, message);
    message.extend_from_slice(bytes);
}

fn varint(mut value: u64, message: &mut Vec<u8>) {
    while value >= 0x80 {
        message.push(value as u8 | 0x80);
        value >>= 7;
    }
    message.push(value as u8);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Reason;

    #[test]
    fn a_partial_success_counts_and_says_why() {
        let mut rejected = Rejected::default();
        assert_eq!(response(Encoding::Protobuf, Signal::Traces, &rejected), b"");
        assert_eq!(response(Encoding::Json, Signal::Traces, &rejected), b"{}");
        rejected.add(300, Reason::new("bad"));
        assert_eq!(
            response(Encoding::Protobuf, Signal::Traces, &rejected),
            b"\x0A\x08\x08\xAC\x02\x12\x03bad"
        );
        assert_eq!(
            response(Encoding::Json, Signal::Logs, &rejected),
            br#"{"partialSuccess":{"errorMessage":"bad","rejectedLogRecords":"300"}}"#
        );
        assert_eq!(status(Encoding::Protobuf, 3, "no"), b"\x08\x03\x12\x02no");
        assert_eq!(
            status(Encoding::Json, 3, "no"),
            br#"{"code":3,"message":"no"}"#
        );
    }
}
