use proptest::prelude::*;

use super::*;

type Found = Vec<(usize, Result<Vec<u8>, String>)>;

fn split(bytes: &[u8], pieces: &[usize], record_bytes_max: usize) -> Found {
    let mut found = Found::new();
    let mut sink = |index, record: Result<&[u8], Reason>| {
        found.push((
            index,
            record.map(<[u8]>::to_vec).map_err(|why| why.to_string()),
        ));
    };
    let mut splitter = Splitter::with_record_bytes_max(record_bytes_max);
    let mut rest = bytes;
    for &piece in pieces {
        let (first, other) = rest.split_at(piece.min(rest.len()));
        splitter.push(first, &mut sink);
        rest = other;
    }
    splitter.push(rest, &mut sink);
    splitter.finish(&mut sink);
    found
}

/// Each record as text, each rejection as `!reason`; the numbers must count up from 0, whole or byte by byte.
#[track_caller]
fn check(body: &str, expected: &[&str]) {
    let whole = split(body.as_bytes(), &[], 20);
    let ones = vec![1; body.len()];
    assert_eq!(whole, split(body.as_bytes(), &ones, 20), "byte by byte");
    let texts: Vec<String> = whole
        .iter()
        .map(|(_, record)| match record {
            Ok(bytes) => String::from_utf8_lossy(bytes).into_owned(),
            Err(reason) => format!("!{reason}"),
        })
        .collect();
    assert_eq!(texts.len(), expected.len(), "{texts:?}");
    for (text, expected) in texts.iter().zip(expected) {
        assert!(
            text == expected || (expected.starts_with('!') && text.starts_with(expected)),
            "{text:?} is not {expected:?}"
        );
    }
    assert!(
        whole
            .iter()
            .enumerate()
            .all(|(at, (index, _))| at == *index)
    );
}

#[test]
fn each_line_is_a_record() {
    check("{\"a\":1}\n{\"b\":2}\n", &["{\"a\":1}", "{\"b\":2}"]);
    check("{}", &["{}"]);
    check("\u{FEFF}{}\n{}", &["{}", "{}"]);
    check("\r\n \n{} \r\n\t{}\n\n[1]\nx\n", &["{}", "{}", "[1]", "x"]);
    check("{\"a\":\"[\n{}", &["{\"a\":\"[", "{}"]);
    check("", &[]);
    check(" \n\n ", &[]);
    check("\u{FEFF}", &[]);
    check("\u{FEFF}\u{FEFF}", &["\u{FEFF}"]);
    assert_eq!(
        split(b"\xEF\xBBx", &[1, 1], 9),
        [(0, Ok(b"\xEF\xBBx".to_vec()))]
    );
    assert_eq!(split(b"\xEF\xBB", &[1], 9), [(0, Ok(b"\xEF\xBB".to_vec()))]);
}

#[test]
fn each_element_is_a_record() {
    check("[]", &[]);
    check(" [ {} , {\"a\":[{}]}\n]\n ", &["{}", "{\"a\":[{}]}"]);
    check("\u{FEFF}[{}]", &["{}"]);
    check(
        r#"["]\"\\",{"]":"}"},"\\"]"#,
        &[r#""]\"\\""#, r#"{"]":"}"}"#, r#""\\""#],
    );
    check("[1,null ,x\n,[]]", &["1", "null", "x", "[]"]);
    check("[{\"a\":},{}]", &["{\"a\":}", "{}"]);
}

#[test]
fn a_syntax_error_of_the_array_ends_it() {
    check(
        "[{} x,{}]",
        &[
            "{}",
            "!a comma or the end of the array is missing at byte 4 ",
        ],
    );
    check(
        "[{},]",
        &["{}", "!a record is missing in the array at byte 4 "],
    );
    check("[,{}]", &["!a record is missing in the array at byte 1 "]);
    check(
        "[{}",
        &["{}", "!the array is not closed: the body ends at byte 3 "],
    );
    check(
        "[{\"a",
        &["!the array is not closed: the body ends at byte 4 "],
    );
    check(
        "[{}]{}",
        &["{}", "!something follows the end of the array at byte 4 "],
    );
    check("[{]", &["{]", "!the array is not closed"]);
}

#[test]
fn a_record_that_is_too_long_is_rejected_alone() {
    let long = "x".repeat(21);
    check(
        &format!("{{}}\n{long}\n{{}}\n{long}"),
        &[
            "{}",
            "!the record has more than",
            "{}",
            "!the record has more than",
        ],
    );
    check(
        &format!("[{{}},{{\"{long}\":[]}},{{}},\"{long}\"]"),
        &[
            "{}",
            "!the record has more than",
            "{}",
            "!the record has more than",
        ],
    );
    check(&" ".repeat(30), &[]);
    check(&format!("{}{{}}{}", " ".repeat(30), " ".repeat(9)), &["{}"]);
}

fn json_like() -> impl Strategy<Value = Vec<u8>> {
    let token = prop::sample::select(vec![
        "{",
        "}",
        "[",
        "]",
        ",",
        ":",
        "\"",
        "\\",
        "\n",
        " ",
        "\r\n",
        "{}",
        "[{}",
        "\"a\"",
        "{\"a\":1}",
        "1",
        "\u{FEFF}",
        "\u{EF}",
        "\\\"",
        "ü",
    ]);
    prop::collection::vec(token, 0..40).prop_map(|tokens| tokens.concat().into_bytes())
}

proptest! {
    #[test]
    fn records_are_the_same_however_the_bytes_are_cut(
        bytes in prop_oneof![json_like(), prop::collection::vec(any::<u8>(), 0..60)],
        pieces in prop::collection::vec(0_usize..9, 0..60),
        record_bytes_max in 0_usize..30,
    ) {
        prop_assert_eq!(
            split(&bytes, &[], record_bytes_max),
            split(&bytes, &pieces, record_bytes_max)
        );
    }

    #[test]
    fn an_array_has_the_elements_its_parser_finds(values in prop::collection::vec("[\\PC\"\\\\\\[\\]{}\n]{0,12}", 0..8), pretty: bool) {
        let records: Vec<_> = values.iter().map(|text| serde_json::json!({ "log_key": text, "history": [text] })).collect();
        let body = if pretty { serde_json::to_vec_pretty(&records) } else { serde_json::to_vec(&records) }.unwrap();
        let found: Vec<serde_json::Value> = split(&body, &[], 4096)
            .into_iter()
            .map(|(_, record)| serde_json::from_slice(&record.unwrap()).unwrap())
            .collect();
        prop_assert_eq!(found, records);
    }
}
