//! What the OTLP endpoints answer: in OTLP's own terms, in the encoding of the request.

use std::collections::BTreeMap;

use utoipa::openapi::schema::{ObjectBuilder, OneOfBuilder, Type};
use utoipa::openapi::{ContentBuilder, Ref, RefOr, Response, ResponseBuilder, Schema};
use utoipa::{IntoResponses, ToSchema};

use super::admin_requests::OtlpStatus;
use crate::http::problem::{ErrorResponse, HTTPValidationError};

const ANSWERS: [(&str, &str); 11] = [
    (
        "200",
        "What could be taken is on disk; what was rejected is counted in `partialSuccess`.",
    ),
    (
        "400",
        "No OTLP request, or none in the encoding it claims to have.",
    ),
    (
        "401",
        "No credentials, bad ones, or ones that do not agree with the rest of the request.",
    ),
    (
        "403",
        "The caller may not do this; the sentence names what is missing.",
    ),
    ("404", "There is no such organization."),
    ("408", "No more of the body came."),
    ("413", "The body is larger than the server takes."),
    ("422", "A header cannot be what it is; it is named."),
    (
        "500",
        "Something went wrong in the server; the request id finds it in the log.",
    ),
    (
        "503",
        "Maintenance, or the server is busy or cannot write for now; send it again.",
    ),
    ("507", "The storage is full; nothing was written."),
];

/// The answers to an export.
pub(crate) struct OtlpResponses;

impl IntoResponses for OtlpResponses {
    fn responses() -> BTreeMap<String, RefOr<Response>> {
        let answers = ANSWERS.into_iter();
        let answer = |(status, description): (&str, &str)| {
            (status.to_owned(), response(status, description).into())
        };
        answers.map(answer).collect()
    }
}

fn response(status: &str, description: &str) -> Response {
    let refer = |name: std::borrow::Cow<'_, str>| Ref::from_schema_name(name);
    let json: RefOr<Schema> = match status {
        "200" => ObjectBuilder::new().schema_type(Type::Object).into(),
        // Before the request's encoding is known, and in maintenance, the answer is that of every other operation.
        "422" | "404" | "503" => {
            let other = match status {
                "422" => HTTPValidationError::name(),
                _ => ErrorResponse::name(),
            };
            OneOfBuilder::new()
                .item(refer(OtlpStatus::name()))
                .item(refer(other))
                .into()
        }
        _ => refer(OtlpStatus::name()).into(),
    };
    let binary = ObjectBuilder::new().content_media_type("application/x-protobuf");
    ResponseBuilder::new()
        .description(description)
        .content(
            "application/json",
            ContentBuilder::new().schema(Some(json)).build(),
        )
        .content(
            "application/x-protobuf",
            ContentBuilder::new().schema(Some(binary)).build(),
        )
        .build()
}
