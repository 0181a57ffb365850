//! Values of attributes, whichever encoding they came in, and the JSON inside and around them.
//!
//! A parser of our own, because values must stay as they were received: fields in their order, numbers digit for digit
//! (a tree of `serde_json` keeps neither), and because its depth and its size in memory are bounded here.

use std::borrow::Cow;

use crate::{NESTING_MAX, Reason, nesting};

/// The most values in one span or one text of JSON: a value takes many times its two bytes of input.
const VALUES_MAX: usize = 1_000_000;

/// A JSON value. Bytes come as base64 text, as JSON has it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Value<'a> {
    Null,
    Bool(bool),
    /// Its digits as they were received; always a JSON number.
    Number(Cow<'a, str>),
    Text(Cow<'a, str>),
    List(Vec<Self>),
    Map(Fields<'a>),
}

/// Names and values in the order they were received; a name may recur.
pub(super) type Fields<'a> = Vec<(Cow<'a, str>, Value<'a>)>;

/// Counts values while one span is read.
#[derive(Debug)]
pub(super) struct Budget(usize);

impl Budget {
    pub(super) fn new() -> Self {
        Self(VALUES_MAX)
    }

    pub(super) fn take(&mut self) -> Result<(), Reason> {
        self.0 = self.0.checked_sub(1).ok_or_else(|| {
            Reason::new(format!(
                "there are more than {VALUES_MAX} values in one piece, the most that is accepted"
            ))
        })?;
        Ok(())
    }
}

/// The value of the first field with this name.
pub(super) fn field<'v, 'a>(
    fields: &'v [(Cow<'a, str>, Value<'a>)],
    name: &str,
) -> Option<&'v Value<'a>> {
    fields
        .iter()
        .find(|(known, _)| known == name)
        .map(|(_, value)| value)
}

impl<'a> Value<'a> {
    pub(super) fn get(&self, name: &str) -> Option<&Value<'a>> {
        match self {
            Self::Map(fields) => field(fields, name),
            Self::Null | Self::Bool(_) | Self::Number(_) | Self::Text(_) | Self::List(_) => None,
        }
    }

    /// The first of these fields that is there and not null.
    pub(super) fn first(&self, names: &[&str]) -> Option<&Value<'a>> {
        let found = names.iter().filter_map(|name| self.get(name));
        found.into_iter().find(|value| **value != Value::Null)
    }

    pub(super) fn text(&self) -> Option<&str> {
        match self {
            Self::Text(text) => Some(text),
            Self::Null | Self::Bool(_) | Self::Number(_) | Self::List(_) | Self::Map(_) => None,
        }
    }

    pub(super) fn list(&self) -> Option<&[Value<'a>]> {
        match self {
            Self::List(values) => Some(values),
            Self::Null | Self::Bool(_) | Self::Number(_) | Self::Text(_) | Self::Map(_) => None,
        }
    }

    pub(super) fn is_map(&self) -> bool {
        matches!(self, Self::Map(_))
    }

    /// The same value, borrowing nothing.
    pub(super) fn detached(&self) -> Value<'static> {
        match self {
            Self::Null => Value::Null,
            Self::Bool(is) => Value::Bool(*is),
            Self::Number(digits) => Value::Number(digits.to_string().into()),
            Self::Text(text) => Value::Text(text.to_string().into()),
            Self::List(values) => Value::List(values.iter().map(Self::detached).collect()),
            Self::Map(fields) => {
                let fields = fields.iter();
                Value::Map(
                    fields
                        .map(|(name, value)| (name.to_string().into(), value.detached()))
                        .collect(),
                )
            }
        }
    }

    /// Text as it is, everything else as JSON.
    pub(super) fn to_text(&self) -> String {
        match self {
            Self::Text(text) => text.as_ref().to_owned(),
            Self::Null | Self::Bool(_) | Self::Number(_) | Self::List(_) | Self::Map(_) => {
                self.to_json()
            }
        }
    }

    pub(super) fn to_json(&self) -> String {
        let mut json = String::new();
        self.write(&mut json);
        json
    }

    fn write(&self, json: &mut String) {
        match self {
            Self::Null => json.push_str("null"),
            Self::Bool(true) => json.push_str("true"),
            Self::Bool(false) => json.push_str("false"),
            Self::Number(digits) => json.push_str(digits),
            Self::Text(text) => write_text(text, json),
            Self::List(values) => {
                json.push('[');
                for (at, value) in values.iter().enumerate() {
                    if at > 0 {
                        json.push(',');
                    }
                    value.write(json);
                }
                json.push(']');
            }
            Self::Map(fields) => write_fields(
                fields.iter().map(|(name, value)| (name.as_ref(), value)),
                json,
            ),
        }
    }

    /// A number of OpenTelemetry's double: JSON has no `NaN`, so what is no number there is text.
    pub(super) fn double(number: f64) -> Self {
        match serde_json::Number::from_f64(number) {
            Some(number) => Self::Number(Cow::Owned(number.to_string())),
            None if number.is_nan() => Self::Text(Cow::Borrowed("NaN")),
            None if number > 0.0 => Self::Text(Cow::Borrowed("Infinity")),
            None => Self::Text(Cow::Borrowed("-Infinity")),
        }
    }
}

/// Writes a JSON object.
pub(super) fn write_fields<'v, 'a: 'v>(
    fields: impl Iterator<Item = (&'v str, &'v Value<'a>)>,
    json: &mut String,
) {
    json.push('{');
    for (at, (name, value)) in fields.enumerate() {
        if at > 0 {
            json.push(',');
        }
        write_text(name, json);
        json.push(':');
        value.write(json);
    }
    json.push('}');
}

fn write_text(text: &str, json: &mut String) {
    json.push('"');
    let mut plain = 0;
    for (at, byte) in text.bytes().enumerate() {
        let escape: Cow<'static, str> = match byte {
            b'"' => Cow::Borrowed("\\\""),
            b'\\' => Cow::Borrowed("\\\\"),
            b'\n' => Cow::Borrowed("\\n"),
            b'\r' => Cow::Borrowed("\\r"),
            b'\t' => Cow::Borrowed("\\t"),
            0..0x20 => Cow::Owned(format!("\\u{byte:04x}")),
            _ => continue,
        };
        json.push_str(&text[plain..at]);
        json.push_str(&escape);
        plain = at + 1;
    }
    json.push_str(&text[plain..]);
    json.push('"');
}

/// Why a text is not read as JSON.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Fault {
    /// It is no JSON, at this byte.
    Syntax(usize),
    /// It is too deep or too much to be read.
    Limit(Reason),
}

/// Reads one JSON value; `depth_max` brackets may be open at once.
///
/// A little more than JSON is accepted: control characters inside strings, and escapes of lone surrogates, which
/// become U+FFFD, as both are written by real emitters.
pub(super) fn parse(text: &str, depth_max: usize) -> Result<Value<'_>, Fault> {
    let mut parser = Parser {
        text,
        at: 0,
        depth_left: depth_max,
        budget: Budget::new(),
    };
    let value = parser.value()?;
    parser.blanks();
    if parser.at < text.len() {
        return Err(Fault::Syntax(parser.at));
    }
    Ok(value)
}

/// A text that may hold a JSON document: the document, if it is one.
///
/// # Errors
/// The document passes a limit.
pub(super) fn document(text: &str) -> Result<Option<Value<'_>>, Reason> {
    if !text.trim_ascii_start().starts_with(['{', '[', '"']) {
        return Ok(None);
    }
    match parse(text, NESTING_MAX) {
        Ok(value) => Ok(Some(value)),
        Err(Fault::Syntax(_)) => Ok(None),
        Err(Fault::Limit(reason)) => Err(reason),
    }
}

struct Parser<'a> {
    text: &'a str,
    at: usize,
    depth_left: usize,
    budget: Budget,
}

impl<'a> Parser<'a> {
    fn peek(&self) -> Option<u8> {
        self.text.as_bytes().get(self.at).copied()
    }

    fn blanks(&mut self) {
        while matches!(self.peek(), Some(b' ' | b'\t' | b'\r' | b'\n')) {
            self.at += 1;
        }
    }

    fn fault<T>(&self) -> Result<T, Fault> {
        Err(Fault::Syntax(self.at))
    }

    fn expect(&mut self, word: &str) -> Result<(), Fault> {
        if !self.text.as_bytes()[self.at..].starts_with(word.as_bytes()) {
            return self.fault();
        }
        self.at += word.len();
        Ok(())
    }

    fn value(&mut self) -> Result<Value<'a>, Fault> {
        self.budget.take().map_err(Fault::Limit)?;
        self.blanks();
        match self.peek() {
            Some(b'"') => Ok(Value::Text(self.string()?)),
            Some(b'{') => self.nested(Self::map),
            Some(b'[') => self.nested(Self::list),
            Some(b't') => self.expect("true").map(|()| Value::Bool(true)),
            Some(b'f') => self.expect("false").map(|()| Value::Bool(false)),
            Some(b'n') => self.expect("null").map(|()| Value::Null),
            _ => self.number(),
        }
    }

    fn nested(
        &mut self,
        read: impl FnOnce(&mut Self) -> Result<Value<'a>, Fault>,
    ) -> Result<Value<'a>, Fault> {
        self.depth_left = self
            .depth_left
            .checked_sub(1)
            .ok_or_else(|| Fault::Limit(nesting::too_deep()))?;
        self.at += 1;
        let value = read(self)?;
        self.depth_left += 1;
        Ok(value)
    }

    fn list(&mut self) -> Result<Value<'a>, Fault> {
        let mut values = Vec::new();
        self.blanks();
        if self.peek() == Some(b']') {
            self.at += 1;
            return Ok(Value::List(values));
        }
        loop {
            values.push(self.value()?);
            if self.ends(b']')? {
                return Ok(Value::List(values));
            }
        }
    }

    fn map(&mut self) -> Result<Value<'a>, Fault> {
        let mut fields = Vec::new();
        self.blanks();
        if self.peek() == Some(b'}') {
            self.at += 1;
            return Ok(Value::Map(fields));
        }
        loop {
            self.blanks();
            let name = self.string()?;
            self.blanks();
            self.expect(":")?;
            fields.push((name, self.value()?));
            if self.ends(b'}')? {
                return Ok(Value::Map(fields));
            }
        }
    }

    /// Takes a comma (`false`) or the end.
    fn ends(&mut self, end: u8) -> Result<bool, Fault> {
        self.blanks();
        let Some(byte) = self.peek().filter(|&byte| byte == b',' || byte == end) else {
            return self.fault();
        };
        self.at += 1;
        Ok(byte == end)
    }

    fn number(&mut self) -> Result<Value<'a>, Fault> {
        let start = self.at;
        if self.peek() == Some(b'-') {
            self.at += 1;
        }
        if self.peek() == Some(b'0') {
            self.at += 1;
        } else {
            self.digits()?;
        }
        if self.peek() == Some(b'.') {
            self.at += 1;
            self.digits()?;
        }
        if matches!(self.peek(), Some(b'e' | b'E')) {
            self.at += 1;
            if matches!(self.peek(), Some(b'+' | b'-')) {
                self.at += 1;
            }
            self.digits()?;
        }
        Ok(Value::Number(Cow::Borrowed(&self.text[start..self.at])))
    }

    fn digits(&mut self) -> Result<(), Fault> {
        let start = self.at;
        while self.peek().is_some_and(|byte| byte.is_ascii_digit()) {
            self.at += 1;
        }
        if self.at == start {
            self.fault()
        } else {
            Ok(())
        }
    }

    fn string(&mut self) -> Result<Cow<'a, str>, Fault> {
        self.expect("\"")?;
        let mut owned = String::new();
        let mut plain = self.at;
        loop {
            let rest = &self.text.as_bytes()[self.at..];
            let Some(found) = memchr::memchr2(b'"', b'\\', rest) else {
                return self.fault();
            };
            self.at += found;
            let piece = &self.text[plain..self.at];
            self.at += 1;
            if rest[found] == b'"' {
                if owned.is_empty() {
                    return Ok(Cow::Borrowed(piece));
                }
                owned.push_str(piece);
                return Ok(Cow::Owned(owned));
            }
            owned.push_str(piece);
            let char = self.escape()?;
            owned.push(char);
            plain = self.at;
        }
    }

    fn escape(&mut self) -> Result<char, Fault> {
        let Some(byte) = self.peek() else {
            return self.fault();
        };
        self.at += 1;
        Ok(match byte {
            b'"' | b'\\' | b'/' => char::from(byte),
            b'b' => '\u{8}',
            b'f' => '\u{C}',
            b'n' => '\n',
            b'r' => '\r',
            b't' => '\t',
            b'u' => {
                let first = self.hex()?;
                self.surrogates(first)
            }
            _ => return Err(Fault::Syntax(self.at - 1)),
        })
    }

    fn surrogates(&mut self, first: u32) -> char {
        if (0xD800..0xDC00).contains(&first) {
            let before = self.at;
            if self.expect("\\u").is_ok()
                && let Ok(second @ 0xDC00..0xE000) = self.hex()
            {
                let code = 0x1_0000 + ((first - 0xD800) << 10) + (second - 0xDC00);
                return char::from_u32(code).unwrap_or(char::REPLACEMENT_CHARACTER);
            }
            self.at = before;
        }
        char::from_u32(first).unwrap_or(char::REPLACEMENT_CHARACTER)
    }

    fn hex(&mut self) -> Result<u32, Fault> {
        let digits = self.text.as_bytes().get(self.at..self.at + 4);
        let mut code = 0;
        for &digit in digits.unwrap_or_default() {
            let Some(digit) = char::from(digit).to_digit(16) else {
                return self.fault();
            };
            code = code * 16 + digit;
        }
        if digits.is_none() {
            return self.fault();
        }
        self.at += 4;
        Ok(code)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn fields_keep_their_order_and_numbers_their_digits() {
        for json in [
            r#"{"b":1.10,"a":123456789012345678901234567890,"b":-0.5E+3}"#,
            r#"["\"\\\n\u0001ü😀",true,false,null,{},[]]"#,
            "0",
        ] {
            assert_eq!(parse(json, 9).unwrap().to_json(), json);
        }
    }

    #[test]
    fn escapes_are_read_and_lone_surrogates_replaced() {
        let text = |json: &str| parse(json, 9).unwrap().to_text();
        assert_eq!(text(r#""\ud83d\ude00\u00fc\/\b\f""#), "😀ü/\u{8}\u{C}");
        assert_eq!(text(r#""\ud83d-\ude00""#), "\u{FFFD}-\u{FFFD}");
        assert_eq!(text(r#""\ud83d\ud83d\ude00""#), "\u{FFFD}😀");
        assert_eq!(text("\"raw\nnewline\""), "raw\nnewline");
        assert_eq!(text(r#""""#), "");
    }

    #[test]
    fn what_is_no_json_is_a_fault_at_its_place() {
        for (json, at) in [
            ("", 0),
            ("{", 1),
            ("[1,]", 3),
            ("[1 2]", 3),
            ("{\"a\" 1}", 5),
            ("{a:1}", 1),
            ("01", 1),
            ("1.", 2),
            ("-", 1),
            ("1e", 2),
            ("\"a", 1),
            ("\"\\x\"", 2),
            ("\"\\u12\"", 3),
            ("\"\\u00ü", 3),
            ("nul", 0),
            ("1 1", 2),
        ] {
            assert_eq!(parse(json, 9), Err(Fault::Syntax(at)), "{json}");
        }
    }

    #[test]
    fn depth_and_number_of_values_are_limited() {
        let deep = |levels: usize| format!("{}{}", "[".repeat(levels), "]".repeat(levels));
        assert!(document(&deep(64)).unwrap().is_some());
        assert!(
            document(&deep(65))
                .unwrap_err()
                .as_str()
                .contains("deeper than 64")
        );
        let many = format!("[{}0]", "0,".repeat(VALUES_MAX));
        assert!(
            document(&many)
                .unwrap_err()
                .as_str()
                .contains("1000000 values")
        );
    }

    proptest! {
        #[test]
        fn what_serde_writes_is_read_and_written_back(texts in prop::collection::vec(any::<String>(), 0..5), number: i64) {
            let json = serde_json::json!({ "texts": texts, "number": number }).to_string();
            let ours = parse(&json, 9).unwrap().to_json();
            prop_assert_eq!(serde_json::from_str::<serde_json::Value>(&ours).unwrap(), serde_json::from_str::<serde_json::Value>(&json).unwrap());
        }

        #[test]
        fn whatever_serde_accepts_is_accepted(text in "[\\[\\]{}\",:0-9eE+\\-. a\\\\u]{0,12}") {
            if serde_json::from_str::<serde_json::Value>(&text).is_ok() {
                prop_assert!(parse(&text, 99).is_ok(), "{}", text);
            }
            if let Ok(value) = parse(&text, 99) {
                prop_assert!(serde_json::from_str::<&serde_json::value::RawValue>(&value.to_json()).is_ok());
            }
        }
    }
}
