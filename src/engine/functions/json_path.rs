//! The paths of `get_json_object`: `$`, `.name`, `['name']`, `[3]` and `[*]`.

use std::collections::HashMap;

use serde_json::value::RawValue;

#[derive(Debug, PartialEq, Eq)]
pub(super) struct JsonPath(Vec<Step>);

#[derive(Debug, PartialEq, Eq)]
enum Step {
    Name(String),
    Index(usize),
    All,
}

impl JsonPath {
    /// `None` when the text is no path.
    pub(super) fn parse(text: &str) -> Option<Self> {
        let mut rest = text.trim().strip_prefix('$')?;
        let mut steps = Vec::new();
        while !rest.is_empty() {
            if let Some(after) = rest.strip_prefix('.') {
                let end = after.find(['.', '[']).unwrap_or(after.len());
                if end == 0 {
                    return None;
                }
                steps.push(Step::Name(after[..end].to_owned()));
                rest = &after[end..];
            } else if let Some(after) = rest.strip_prefix("['") {
                let (name, after) = after.split_once("']")?;
                steps.push(Step::Name(name.to_owned()));
                rest = after;
            } else {
                let (index, after) = rest.strip_prefix('[')?.split_once(']')?;
                steps.push(if index == "*" {
                    Step::All
                } else {
                    Step::Index(index.trim().parse().ok()?)
                });
                rest = after;
            }
        }
        Some(Self(steps))
    }

    /// What lies there: a text bare, anything else as it is written; `None` where there is nothing, or `null`.
    pub(super) fn get(&self, json: &str) -> Option<String> {
        let value: &RawValue = serde_json::from_str(json).ok()?;
        let mut found = vec![value];
        let mut many = false;
        for step in &self.0 {
            found = match step {
                Step::Name(name) => found
                    .into_iter()
                    .filter_map(|value| member(value, name))
                    .collect(),
                Step::Index(index) => found
                    .into_iter()
                    .filter_map(|value| elements(value).get(*index).copied())
                    .collect(),
                Step::All => {
                    many = true;
                    found.into_iter().flat_map(elements).collect()
                }
            };
        }
        match found.as_slice() {
            [] => None,
            [one] if one.get() == "null" => None,
            [one] if one.get().starts_with('"') => serde_json::from_str(one.get()).ok(),
            [one] => Some(one.get().to_owned()),
            several => {
                let texts: Vec<&str> = several.iter().map(|value| value.get()).collect();
                many.then(|| format!("[{}]", texts.join(",")))
            }
        }
    }
}

fn member<'a>(json: &'a RawValue, name: &str) -> Option<&'a RawValue> {
    let members: HashMap<String, &RawValue> = serde_json::from_str(json.get()).ok()?;
    members.get(name).copied()
}

/// Those of a list; everything else has none.
fn elements(json: &RawValue) -> Vec<&RawValue> {
    serde_json::from_str(json.get()).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(path: &str, expected: Option<&str>) {
        let json = r#"{"a": {"b c": [10, {"d": "x"}, null]}, "s": "text", "n": 1.50, "list": [{"k":1},{"k":2}]}"#;
        let found = JsonPath::parse(path).and_then(|path| path.get(json));
        assert_eq!(found.as_deref(), expected, "{path}");
    }

    #[test]
    fn what_lies_at_a_path() {
        check("$.s", Some("text"));
        check("$['a']['b c'][0]", Some("10"));
        check("$.a['b c'][1].d", Some("x"));
        check("$.a['b c'][1]", Some(r#"{"d": "x"}"#));
        check("$.list[*].k", Some("[1,2]"));
        check("$.n", Some("1.50"));
        check("$.a", Some(r#"{"b c": [10, {"d": "x"}, null]}"#));
        check("$.a['b c'][2]", None);
        check("$.list[*]", Some(r#"[{"k":1},{"k":2}]"#));
    }

    #[test]
    fn nothing_there_or_no_path_is_null() {
        for path in [
            "$.missing",
            "$.a['b c'][2]",
            "$.a['b c'][9]",
            "$.s.t",
            "s",
            "",
            "$.",
            "$[x]",
            "$[",
            "$.list[0",
        ] {
            check(path, None);
        }
    }

    #[test]
    fn what_is_found_is_as_it_was_written() {
        let path = JsonPath::parse("$.a").unwrap();
        for (json, expected) in [
            (r#" {"a" : 1e2} "#, "1e2"),
            (
                r#"{"a":100000000000000000000001}"#,
                "100000000000000000000001",
            ),
            (r#"{"a":{"z":1, "b":2}}"#, r#"{"z":1, "b":2}"#),
            (r#"{"a":"\u00e9\n"}"#, "é\n"),
        ] {
            assert_eq!(path.get(json).as_deref(), Some(expected));
        }
        let whole = JsonPath::parse("$").unwrap();
        assert_eq!(whole.get(" [1, 2] ").as_deref(), Some("[1, 2]"));
    }

    #[test]
    fn no_json_is_null() {
        assert_eq!(JsonPath::parse("$.a").unwrap().get("{"), None);
    }
}
