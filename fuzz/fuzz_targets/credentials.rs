//! The headers that say who is calling: whatever they hold, there is one token that was really sent, or none.
//!
//! The lines of the input are headers: the first letter says which one, the rest is its value.
#![no_main]

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use libfuzzer_sys::fuzz_target;
use rules::{Credentials, Headers, Kind, OrgId, UserId};

fuzz_target!(|input: &[u8]| {
    let mut headers = Headers::default();
    for line in input.split(|byte| *byte == b'\n').take(20) {
        match line.split_first() {
            Some((b'a', value)) => headers.authorization.push(value),
            Some((b'p', value)) => headers.protocols.push(value),
            Some((b'o', value)) => headers.org_ids.push(value),
            _ => {}
        }
    }
    let credentials = match Credentials::parse(&headers) {
        Ok(credentials) => credentials,
        Err(error) => {
            assert_eq!(error.kind(), &Kind::Unauthenticated);
            return;
        }
    };
    let token = credentials.token();
    assert!(!token.is_empty() && token.bytes().all(|byte| byte.is_ascii_graphic()));
    // `Authorization` wins where both are sent, and is sent once.
    assert!(headers.authorization.len() <= 1);
    let sent = match headers.authorization.first() {
        Some(header) => vec![*header],
        None => headers.protocols.clone(),
    };
    let is_plain = sent.iter().any(|header| header.windows(token.len()).any(|part| part == token.as_bytes()));
    let is_basic = sent[0].trim_ascii().get(..5).is_some_and(|scheme| scheme.eq_ignore_ascii_case(b"basic"));
    assert!(is_plain || is_basic);

    let org = |text| OrgId::parse(text).expect("an organization id");
    let user = UserId::parse("mia_li").expect("a user id");
    let (acme, other) = (org("acme"), org("acme_mia"));
    let agrees = |path: &OrgId, named: &OrgId| credentials.agree(path, named, &user).is_ok();
    if headers.org_ids.is_empty() {
        assert!(!agrees(&acme, &other), "a token of another organization");
    } else {
        assert!(!(agrees(&acme, &acme) && agrees(&acme, &other)), "one header, two organizations");
        assert_eq!(agrees(&acme, &acme), agrees(&other, &acme), "the header decides, not the path");
    }
    if is_basic && agrees(&acme, &acme) {
        let username = format!("acme_mia_li:{token}");
        let value = &sent[0].trim_ascii()[5..];
        let value = value.trim_ascii();
        let padded = STANDARD.encode(&username);
        assert_eq!(value, padded.as_bytes().get(..value.len()).expect("as long"));
    }
});
