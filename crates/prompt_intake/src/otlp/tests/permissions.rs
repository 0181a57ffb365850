//! Whatever names permissions is seen, or the log is rejected.

use serde_json::{Value as Json, json};

use super::*;

const NAME: &str = "prompt_log.required_permissions";

fn list(name: &str) -> Json {
    json!([{ "permission_name": name, "attributes": {} }])
}

fn prompt(permissions: Option<&Json>) -> Json {
    let mut attributes = json!({ "gen_ai.input.messages": "hi" });
    if let Some(permissions) = permissions {
        attributes[NAME] = permissions.clone();
    }
    attributes
}

#[track_caller]
fn check_list(draft: &Draft, expected: Option<&Json>) {
    let found: Option<Json> = draft
        .required_permissions
        .as_ref()
        .map(|json| serde_json::from_str(json).unwrap());
    assert_eq!(found.as_ref(), expected);
}

#[test]
fn they_are_looked_for_on_the_span_and_then_on_its_resource() {
    let (own, other) = (list("A:Own"), list("A:Other"));
    for (on_span, on_resource, expected) in [
        (None, None, None),
        (Some(&own), None, Some(&own)),
        (None, Some(&other), Some(&other)),
        (Some(&own), Some(&other), Some(&own)),
        // An empty list is none.
        (Some(&json!([])), Some(&other), Some(&other)),
        (Some(&json!("[]")), None, None),
    ] {
        for as_text in [false, true] {
            let form = |list: &Json| {
                if as_text && list.is_array() {
                    json!(list.to_string())
                } else {
                    list.clone()
                }
            };
            let mut resource = json!({ "service.name": "airline" });
            if let Some(list) = on_resource {
                resource[NAME] = form(list);
            }
            let span = span(1, &prompt(on_span.map(form).as_ref()));
            check_list(&one(export_of(&resource, &[span])), expected);
            let mut record = record(DETAILS, 1, &prompt(on_span.map(form).as_ref()), &Json::Null);
            record["spanId"] = json!("");
            check_list(&one(export_logs_of(&[(resource, &[record])])), expected);
        }
    }
}

#[test]
fn what_is_no_list_of_them_is_rejected_wherever_it_stands() {
    let large = json!(vec![list("A:B")[0].clone(); 100]);
    for (wrong, reason) in [
        (json!("nonsense"), "no list of permissions"),
        (json!("{"), "no list of permissions"),
        (json!(""), "no list of permissions"),
        (
            json!({ "permission_name": "A:B" }),
            "no list of permissions",
        ),
        (json!(["A:B"]), "no list of permissions"),
        (json!(5), "no list of permissions"),
        (Json::Null, "no list of permissions"),
        (json!(large.to_string()), "more than 4096 bytes"),
        (large, "more than 4096 bytes"),
    ] {
        let on_span = export(&[span(1, &prompt(Some(&wrong))), span(2, &prompt(None))]);
        let resource = json!({ NAME: wrong });
        let good = prompt(Some(&list("A:B")));
        let silent = span(3, &json!({ "http.method": "GET" }));
        let on_resource = export_of(&resource, &[span(1, &prompt(None)), span(2, &good), silent]);
        for (export, drafts, rejected) in [(on_span, 1, 1), (on_resource, 0, 2)] {
            let counts = (export.drafts.len(), export.rejected.count);
            assert_eq!(counts, (drafts, rejected), "{wrong}");
            assert!(reasons(&export).contains(reason), "{}", reasons(&export));
        }
    }
}

#[test]
fn two_lists_on_one_span_cannot_both_be_meant() {
    let mut twice = span(1, &prompt(Some(&list("A:B"))));
    let other = key_values(&json!({ NAME: list("A:C") }))[0].clone();
    twice["attributes"].as_array_mut().unwrap().push(other);
    let export = export(&[twice]);
    assert_eq!((export.drafts.len(), export.rejected.count), (0, 1));
    assert!(reasons(&export).contains("different values"));
}

fn said(time: u64, permissions: Option<&Json>) -> Json {
    let mut attributes = json!({});
    if let Some(permissions) = permissions {
        attributes[NAME] = permissions.clone();
    }
    record(
        "gen_ai.user.message",
        time,
        &attributes,
        &json!({ "content": "hi" }),
    )
}

#[test]
fn of_the_records_of_a_prompt_whichever_has_a_list() {
    let list = list("A:B");
    let text = json!(list.to_string());
    for records in [
        [said(1, Some(&list)), said(2, None), said(3, None)],
        [said(1, None), said(2, Some(&list)), said(3, None)],
        [said(2, None), said(1, None), said(3, Some(&list))],
        // The same list, however it is written.
        [said(1, Some(&list)), said(2, Some(&text)), said(3, None)],
    ] {
        let draft = one(export_logs(&records));
        check_list(&draft, Some(&list));
        assert_eq!(draft.history.unwrap().len(), 3);
    }
    // A record without content counts, too.
    let mut empty = said(1, Some(&list));
    empty["body"] = json!(null);
    let draft = one(export_logs(&[empty, said(2, None)]));
    check_list(&draft, Some(&list));
    assert_eq!(draft.history.unwrap().len(), 1);
}

#[test]
fn of_the_resources_of_a_prompt_whichever_has_a_list() {
    let list = list("A:B");
    let with = json!({ NAME: list });
    let records = [[said(1, None)], [said(2, None)]];
    for resources in [[with.clone(), json!({})], [json!({}), with]] {
        let [first, second] = resources;
        let groups = [(first, &records[0][..]), (second, &records[1][..])];
        check_list(&one(export_logs_of(&groups)), Some(&list));
    }
}

#[test]
fn a_prompt_whose_records_disagree_is_rejected_whole() {
    let (one, other, wrong) = (list("A:B"), list("A:C"), json!("nonsense"));
    for (records, reason) in [
        (
            [said(1, Some(&one)), said(2, Some(&other)), said(3, None)],
            "different values",
        ),
        (
            [said(1, None), said(2, Some(&wrong)), said(3, None)],
            "no list",
        ),
        (
            [said(2, Some(&wrong)), said(1, Some(&one)), said(3, None)],
            "no list",
        ),
    ] {
        let export = export_logs(&records);
        assert_eq!((export.drafts.len(), export.rejected.count), (0, 3));
        assert!(reasons(&export).contains(reason), "{}", reasons(&export));
    }
    let groups = [
        (json!({ NAME: one }), &[said(1, None)][..]),
        (json!({ NAME: other }), &[said(2, None)][..]),
    ];
    let export = export_logs_of(&groups);
    assert_eq!((export.drafts.len(), export.rejected.count), (0, 2));
}
