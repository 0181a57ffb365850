//! What operations share: the parameters of every operation on an organization, and the errors.
//!
//! An error stands once under `components/responses`. The types here are lists of them to name in `#[utoipa::path]`.

use std::collections::BTreeMap;

use utoipa::openapi::path::{Parameter, ParameterBuilder, ParameterIn};
use utoipa::openapi::schema::{ComponentsBuilder, SchemaType, Type};
use utoipa::openapi::{
    ArrayBuilder, ContentBuilder, ObjectBuilder, Ref, RefOr, Required, Response, ResponseBuilder,
};
use utoipa::{IntoParams, IntoResponses, ToSchema};

use super::admin_requests::{OtlpStatus, ValidationError};
use super::finish::{integer_header, text_header};
use super::identity_requests::Condition;
use crate::http::problem::{ErrorResponse, HTTPValidationError};

/// The errors that more than one operation gives: status, name, and when.
const ERRORS: [(&str, &str, &str); 9] = [
    (
        "400",
        "BadRequest",
        "The body could not be read, or asks for what is not possible; the sentence says which.",
    ),
    (
        "401",
        "Unauthorized",
        "No credentials, bad ones, or ones that do not agree with the rest of the request.",
    ),
    (
        "403",
        "Forbidden",
        "The caller may not do this; the sentence names what is missing.",
    ),
    (
        "404",
        "NotFound",
        "There is no such organization, or nothing of the given name in it.",
    ),
    (
        "413",
        "ContentTooLarge",
        "The body is larger than the server takes.",
    ),
    (
        "422",
        "UnprocessableContent",
        "A parameter, a header or a field of the body is missing or cannot be what it is; each is named.",
    ),
    (
        "429",
        "TooManyRequests",
        "More requests in a minute than the caller has for this operation.",
    ),
    (
        "500",
        "InternalServerError",
        "Something went wrong in the server; the request id finds it in the log.",
    ),
    (
        "503",
        "ServiceUnavailable",
        "Maintenance, or something that the server needs cannot be reached for now.",
    ),
];

/// Adds the errors and their schemas.
pub(super) fn components(components: ComponentsBuilder) -> ComponentsBuilder {
    let components = components
        .schema_from::<ErrorResponse<'_>>()
        .schema_from::<HTTPValidationError<'_>>()
        .schema_from::<ValidationError>()
        .schema_from::<OtlpStatus>()
        .schema_from::<Condition>();
    ERRORS
        .into_iter()
        .fold(components, |components, (status, name, description)| {
            components.response(name, error(status, description))
        })
}

fn error(status: &str, description: &str) -> Response {
    let schema = match status {
        "422" => HTTPValidationError::name(),
        _ => ErrorResponse::name(),
    };
    let content = ContentBuilder::new().schema(Some(Ref::from_schema_name(schema)));
    let response = ResponseBuilder::new()
        .description(description)
        .content("application/json", content.build());
    let response = match status {
        "401" => response.header(
            "WWW-Authenticate",
            text_header("How to say who is calling."),
        ),
        "429" | "503" => response.header(
            "Retry-After",
            integer_header("Seconds after which to try again."),
        ),
        _ => response,
    };
    response.build()
}

/// Declares lists of errors.
macro_rules! errors {
    ($($(#[$doc:meta])* $name:ident: $statuses:expr;)*) => {$(
        $(#[$doc])*
        pub(crate) struct $name;

        impl IntoResponses for $name {
            fn responses() -> BTreeMap<String, RefOr<Response>> {
                let listed = ERRORS.iter().filter(|(status, ..)| $statuses.contains(status));
                let refer = |(status, name, _): &(&str, &str, &str)| {
                    ((*status).to_owned(), Ref::from_response_name(*name).into())
                };
                listed.map(refer).collect()
            }
        }
    )*};
}

errors! {
    /// What anything may answer.
    ServerErrors: ["500", "503"];
    /// What an operation may answer that asks who is calling.
    CallerErrors: ["401", "404", "422", "500", "503"];
    /// The same for one whose requests are counted.
    LimitedErrors: ["401", "404", "422", "429", "500", "503"];
    /// What an operation may answer that needs a permission.
    PermissionErrors: ["403"];
    /// What an operation may answer that reads a body.
    BodyErrors: ["400", "413"];
}

/// The parameters of every operation on an organization that asks who is calling.
pub(crate) struct InOrganization;

impl IntoParams for InOrganization {
    fn into_params(_: impl Fn() -> Option<ParameterIn>) -> Vec<Parameter> {
        vec![organization(), cluster(), protocol()]
    }
}

/// The parameters of an operation on an organization that takes credentials of its own.
pub(crate) struct OnCluster;

impl IntoParams for OnCluster {
    fn into_params(_: impl Fn() -> Option<ParameterIn>) -> Vec<Parameter> {
        vec![organization(), cluster()]
    }
}

/// The parameters of an operation that looks for no organization, though its path names one.
pub(crate) struct OrganizationInPath;

impl IntoParams for OrganizationInPath {
    fn into_params(_: impl Fn() -> Option<ParameterIn>) -> Vec<Parameter> {
        vec![organization()]
    }
}

fn organization() -> Parameter {
    let schema = text().pattern(Some(ORGANIZATION)).build();
    ParameterBuilder::new()
        .name("organization")
        .parameter_in(ParameterIn::Path)
        .required(Required::True)
        .description(Some("The id of the organization."))
        .example(Some("demo".into()))
        .schema(Some(schema))
        .build()
}

fn cluster() -> Parameter {
    header(
        "x-mongo-cluster-name",
        "The cluster to look for the organization on. Usually not needed: the server knows where it lives.",
    )
    .schema(Some(text().build()))
    .build()
}

fn protocol() -> Parameter {
    header(
        "Sec-WebSocket-Protocol",
        "`auth, <token>`: the credentials of callers that cannot set `Authorization`, which wins where both are sent.",
    )
    .schema(Some(ArrayBuilder::new().items(text().build()).build()))
    .build()
}

fn header(name: &str, description: &str) -> ParameterBuilder {
    ParameterBuilder::new()
        .name(name)
        .parameter_in(ParameterIn::Header)
        .required(Required::False)
        .description(Some(description))
}

fn text() -> ObjectBuilder {
    ObjectBuilder::new().schema_type(SchemaType::new(Type::String))
}

/// What an organization's id looks like.
const ORGANIZATION: &str = "^[A-Za-z0-9][A-Za-z0-9_-]{0,63}$";
