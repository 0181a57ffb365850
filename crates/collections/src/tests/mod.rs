//! Each part against a second, slow form of the same, made of whole documents.

mod cell;
mod conditions;
mod decoding;
mod documents;
mod inferring;
mod json_text;
mod matching;
mod questions;
mod words;

use proptest::test_runner::Config;

fn cases(cases: u32) -> Config {
    Config {
        cases,
        failure_persistence: None,
        ..Config::default()
    }
}
