//! An OpenTelemetry export: read or refused, the same each time, and every draft fit to be a prompt log.
//!
//! The first byte decides whether it holds spans or log records, and in which encoding.
#![no_main]

use libfuzzer_sys::fuzz_target;
use prompt_intake::otlp::{Encoding, KeyTemplate, logs, traces};

fuzz_target!(|bytes: &[u8]| {
    let Some((&first, body)) = bytes.split_first() else {
        return;
    };
    let encoding = if first & 1 == 0 { Encoding::Protobuf } else { Encoding::Json };
    let read = if first & 2 == 0 { traces } else { logs };
    let template = KeyTemplate::default();
    let Ok(export) = read(body, encoding, &template) else {
        return;
    };
    assert_eq!(read(body, encoding, &template).as_ref(), Ok(&export));
    for draft in export.drafts {
        assert!(draft.system.is_some() || draft.history.is_some());
        assert!(draft.created_at.is_some());
        for json in [draft.attributes, draft.required_permissions].into_iter().flatten() {
            serde_json::from_str::<serde_json::Value>(&json).expect("JSON");
        }
    }
});
