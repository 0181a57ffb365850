//! What a request says, read as the published API reads it: every violation with its place, unknown fields ignored.
//!
//! [`Fields`] are a JSON body or a query string. Each is asked for by name; [`Fields::finish`] then gives what was made of
//! all of them, or every violation at once.

use std::collections::BTreeMap;
use std::fmt::Display;
use std::ops::RangeInclusive;

use axum::body::Bytes;
use axum::extract::rejection::BytesRejection;
use axum::http::StatusCode;
use chrono::TimeDelta;
use rules::{Error, Kind, Result, Violation};
use serde_json::Value;
use serde_json::value::{RawValue, to_raw_value};

/// What is wrong with a value: for a person, and for a program.
#[derive(Debug)]
pub(super) struct Flaw(String, &'static str);

impl Flaw {
    pub(super) fn new(msg: impl Display) -> Self {
        Self(msg.to_string(), "value_error")
    }
}

#[derive(Debug)]
pub(super) struct Fields {
    place: &'static str,
    /// As they were sent: only those that are asked for are looked into.
    values: BTreeMap<String, Box<RawValue>>,
    violations: Vec<Violation>,
}

impl Fields {
    /// Of a JSON body.
    ///
    /// # Errors
    /// `Unprocessable` when it is no JSON object, `TooLarge` past the limit.
    pub(super) fn of_body(body: Result<Bytes, BytesRejection>) -> Result<Self> {
        let body = body.map_err(|rejection| match rejection.status() {
            StatusCode::PAYLOAD_TOO_LARGE => {
                Error::too_large("the request body is too large").because(rejection)
            }
            _ => Error::invalid("the request body could not be read").because(rejection),
        })?;
        match serde_json::from_slice(&body) {
            Ok(values) => Ok(Self {
                place: "body",
                values,
                violations: Vec::new(),
            }),
            Err(error) if error.is_data() => Err(Error::unprocessable(
                &["body"],
                "Input should be a valid object",
                "model_type",
            )),
            Err(error) => Err(Error::unprocessable(
                &["body"],
                format!("JSON decode error: {error}"),
                "json_invalid",
            )),
        }
    }

    /// Of a query string: each name with the list of its values.
    pub(super) fn of_query(query: Option<&str>) -> Self {
        let mut lists: BTreeMap<String, Vec<_>> = BTreeMap::new();
        for (name, value) in url::form_urlencoded::parse(query.unwrap_or_default().as_bytes()) {
            lists.entry(name.into_owned()).or_default().push(value);
        }
        let raw = |list| to_raw_value(&list).expect("texts are JSON");
        let values = lists.into_iter().map(|(name, list)| (name, raw(list)));
        let values = values.collect();
        Self {
            place: "query",
            values,
            violations: Vec::new(),
        }
    }

    /// A field that must be there; none after a violation.
    pub(super) fn required<T>(
        &mut self,
        name: &str,
        read: impl FnOnce(&Value) -> Result<T, Flaw>,
    ) -> Option<T> {
        if self.values.contains_key(name) {
            return self.read(name, read);
        }
        self.violate(name, Flaw("Field required".to_owned(), "missing"));
        None
    }

    /// A field that must be there, perhaps null; the outer none is after a violation.
    pub(super) fn nullable<T>(
        &mut self,
        name: &str,
        read: impl FnOnce(&Value) -> Result<T, Flaw>,
    ) -> Option<Option<T>> {
        self.required(name, |value| match value {
            Value::Null => Ok(None),
            value => read(value).map(Some),
        })
    }

    /// A field that may be absent or null; none after a violation, too.
    pub(super) fn optional<T>(
        &mut self,
        name: &str,
        read: impl FnOnce(&Value) -> Result<T, Flaw>,
    ) -> Option<T> {
        match self.values.get(name)?.get() {
            "null" => None,
            _ => self.read(name, read),
        }
    }

    fn read<T>(&mut self, name: &str, read: impl FnOnce(&Value) -> Result<T, Flaw>) -> Option<T> {
        let value = serde_json::from_str(self.values.get(name)?.get());
        let value = value.map_err(|error| {
            let msg = format!("JSON decode error: {error}");
            Flaw(msg, "json_invalid")
        });
        match value.and_then(|value| read(&value)) {
            Ok(value) => Some(value),
            Err(flaw) => {
                self.violate(name, flaw);
                None
            }
        }
    }

    fn violate(&mut self, name: &str, Flaw(msg, kind): Flaw) {
        self.violations.push(Violation {
            loc: vec![self.place.to_owned(), name.to_owned()],
            msg,
            kind: kind.to_owned(),
        });
    }

    /// What was made of the fields.
    ///
    /// # Errors
    /// `Unprocessable` with every violation.
    pub(super) fn finish<T>(self, made: Option<T>) -> Result<T> {
        match made {
            Some(made) if self.violations.is_empty() => Ok(made),
            _ => Err(Error::new(
                Kind::Unprocessable(self.violations),
                "the request is not valid",
            )),
        }
    }
}

/// A text of 1 to `max` characters, without the spaces around it.
pub(super) fn text(max: usize) -> impl Fn(&Value) -> Result<String, Flaw> {
    move |value| {
        let text = string(value)?.trim();
        if text.is_empty() {
            return Err(Flaw(
                "String should have at least 1 character".to_owned(),
                "string_too_short",
            ));
        }
        if text.chars().count() > max {
            let msg = format!("String should have at most {max} characters");
            return Err(Flaw(msg, "string_too_long"));
        }
        Ok(text.to_owned())
    }
}

/// The same in one line: without control characters.
pub(super) fn line(max: usize) -> impl Fn(&Value) -> Result<String, Flaw> {
    move |value| {
        if string(value)?.chars().any(char::is_control) {
            return Err(Flaw::new("String should have no control characters"));
        }
        text(max)(value)
    }
}

/// A text that `parse` takes.
pub(super) fn parsed<T, E: Display>(
    parse: impl Fn(&str) -> Result<T, E>,
) -> impl Fn(&Value) -> Result<T, Flaw> {
    move |value| parse(string(value)?).map_err(Flaw::new)
}

/// True or false.
pub(super) fn flag(value: &Value) -> Result<bool, Flaw> {
    let flag = value.as_bool();
    flag.ok_or_else(|| Flaw("Input should be a valid boolean".to_owned(), "bool_type"))
}

/// One of some words.
pub(super) fn one_of<const N: usize>(
    words: [&'static str; N],
) -> impl Fn(&Value) -> Result<&'static str, Flaw> {
    move |value| {
        let text = string(value)?;
        let word = words.into_iter().find(|word| *word == text);
        word.ok_or_else(|| {
            let msg = format!("Input should be one of {}", words.join(", "));
            Flaw(msg, "enum")
        })
    }
}

/// A length of time (ISO 8601) in `range`.
pub(super) fn duration(
    range: RangeInclusive<TimeDelta>,
) -> impl Fn(&Value) -> Result<TimeDelta, Flaw> {
    move |value| {
        let length = rules::parse_duration(string(value)?).map_err(Flaw::new)?;
        if range.contains(&length) {
            return Ok(length);
        }
        Err(Flaw::new(format!(
            "Input should be {} to {}",
            range.start(),
            range.end()
        )))
    }
}

/// Whatever serde makes of it.
pub(super) fn value<T: serde::de::DeserializeOwned>(value: &Value) -> Result<T, Flaw> {
    T::deserialize(value).map_err(Flaw::new)
}

/// Names and texts, at most `max`; the names are letters, digits and underscores.
pub(super) fn variables(max: usize) -> impl Fn(&Value) -> Result<BTreeMap<String, String>, Flaw> {
    move |given| {
        let map: BTreeMap<String, String> = value(given)?;
        let is_name = |name: &String| {
            let is_letter = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_';
            !name.is_empty() && name.len() <= 256 && name.bytes().all(is_letter)
        };
        if map.len() > max || !map.keys().all(is_name) {
            return Err(Flaw::new(format!(
                "Input should be at most {max} names of letters, digits and underscores, each with a text"
            )));
        }
        Ok(map)
    }
}

fn string(value: &Value) -> Result<&str, Flaw> {
    let text = value.as_str();
    text.ok_or_else(|| Flaw("Input should be a valid string".to_owned(), "string_type"))
}

/// Every value of a parameter, each as `read` takes it.
pub(super) fn each<T>(
    read: impl Fn(&str) -> Result<T, Flaw>,
) -> impl Fn(&Value) -> Result<Vec<T>, Flaw> {
    move |list| {
        let list = list.as_array().map(Vec::as_slice).unwrap_or_default();
        list.iter().map(|value| read(string(value)?)).collect()
    }
}

/// The last value of a parameter.
pub(super) fn last<T>(
    read: impl Fn(&str) -> Result<T, Flaw>,
) -> impl Fn(&Value) -> Result<T, Flaw> {
    move |list| {
        let last = list.as_array().and_then(|list| list.last());
        read(string(last.unwrap_or(&Value::Null))?)
    }
}

pub(super) fn any(text: &str) -> Result<String, Flaw> {
    Ok(text.to_owned())
}

pub(super) fn number(range: RangeInclusive<usize>) -> impl Fn(&str) -> Result<usize, Flaw> {
    move |text| {
        let number = text.parse().ok().filter(|number| range.contains(number));
        number.ok_or_else(|| {
            let (least, most) = (range.start(), range.end());
            Flaw::new(format!(
                "Input should be a whole number from {least} to {most}"
            ))
        })
    }
}

pub(super) fn boolean(text: &str) -> Result<bool, Flaw> {
    match text.to_ascii_lowercase().as_str() {
        "true" | "1" | "yes" | "on" => Ok(true),
        "false" | "0" | "no" | "off" => Ok(false),
        _ => Err(Flaw(
            "Input should be a valid boolean".to_owned(),
            "bool_parsing",
        )),
    }
}

/// 24 hexadecimal digits.
pub(super) fn object_id(text: &str) -> Result<String, Flaw> {
    if text.len() == 24 && text.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        return Ok(text.to_ascii_lowercase());
    }
    Err(Flaw::new("Input should be an id of 24 hexadecimal digits"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_violations_come_at_once_each_with_its_place() {
        let body = r#"{"name": " ", "view": "x", "more": 1, "null": null, "line": "a\nb"}"#;
        let mut fields = Fields::of_body(Ok(body.into())).unwrap();
        assert_eq!(fields.nullable("null", text(5)), Some(None));
        assert_eq!(fields.optional("absent", text(5)), None);
        fields.required("name", text(5));
        fields.required("line", line(5));
        fields.required("view", one_of(["client", "admin"]));
        fields.required("gone", text(5));
        let error = fields.finish(Some(())).unwrap_err();
        let Kind::Unprocessable(violations) = error.kind() else {
            panic!("{error:?}")
        };
        let found: Vec<String> = violations
            .iter()
            .map(|one| format!("{} {}", one.loc.join("."), one.kind))
            .collect();
        assert_eq!(
            found,
            [
                "body.name string_too_short",
                "body.line value_error",
                "body.view enum",
                "body.gone missing"
            ]
        );
    }

    #[test]
    fn what_nobody_asks_for_is_not_looked_into() {
        let deep = "[".repeat(100_000) + &"]".repeat(100_000);
        for value in ["1e999", &"9".repeat(400), &deep] {
            let body = format!(r#"{{"more": {value}, "name": "n"}}"#);
            let mut fields = Fields::of_body(Ok(body.into())).unwrap();
            let name = fields.required("name", text(5));
            assert_eq!(fields.finish(name).unwrap(), "n");
            let body = format!(r#"{{"name": {value}}}"#);
            let mut fields = Fields::of_body(Ok(body.into())).unwrap();
            assert_eq!(fields.required("name", text(5)), None);
            assert!(fields.finish(Some(())).is_err());
        }
        for body in ["", "{", r#"{"more": 01}"#, r#"{"more": [}"#, "{} {}"] {
            let error = Fields::of_body(Ok(body.into())).unwrap_err();
            let Kind::Unprocessable(violations) = error.kind() else {
                panic!("{error:?}")
            };
            assert_eq!(violations[0].kind, "json_invalid", "{body}");
        }
    }

    #[test]
    fn parameters_are_lists_and_the_last_one_of_a_single_value_counts() {
        let mut query = Fields::of_query(Some("id=a&id=b&limit=3&limit=7&flag=1"));
        assert_eq!(query.optional("id", each(any)).unwrap(), ["a", "b"]);
        assert_eq!(query.optional("limit", last(number(0..=10))), Some(7));
        assert_eq!(query.optional("flag", last(boolean)), Some(true));
        assert_eq!(query.optional("limit", last(number(0..=5))), None);
        assert!(query.finish(Some(())).is_err());
    }
}
