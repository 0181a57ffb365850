//! A body of records: the same records however it is cut, and every record read or rejected.
//!
//! The first byte decides how the rest is cut.
#![no_main]

use libfuzzer_sys::fuzz_target;
use prompt_intake::{Draft, Reason, Splitter};

fn split(body: &[u8], piece: usize) -> Vec<(usize, Result<Vec<u8>, Reason>)> {
    let mut found = Vec::new();
    let mut sink = |index, record: Result<&[u8], Reason>| found.push((index, record.map(<[u8]>::to_vec)));
    let mut splitter = Splitter::new();
    for piece in body.chunks(piece) {
        splitter.push(piece, &mut sink);
    }
    splitter.finish(&mut sink);
    found
}

fuzz_target!(|bytes: &[u8]| {
    let Some((&first, body)) = bytes.split_first() else {
        return;
    };
    let whole = split(body, body.len().max(1));
    assert_eq!(whole, split(body, usize::from(first).max(1)));
    for (at, (index, record)) in whole.into_iter().enumerate() {
        assert_eq!(at, index);
        let Ok(record) = record else { continue };
        assert!(!record.is_empty());
        if let Ok(draft) = Draft::parse(&record) {
            assert!(draft.system.is_some() || draft.history.is_some());
        }
    }
});
