//! What every response has, added to the document when all operations are in it.

use utoipa::openapi::schema::{SchemaType, Type};
use utoipa::openapi::{
    Header, HeaderBuilder, ObjectBuilder, OpenApi, PathItem, RefOr, Response, path::Operation,
};

/// Adds the headers that layers set and no handler sees: the request's id everywhere, and the caller's rest of the minute
/// on the answers of operations that can say 429.
pub(crate) fn finish(mut document: OpenApi) -> OpenApi {
    if let Some(components) = &mut document.components {
        for (name, response) in &mut components.responses {
            note(response, name == "TooManyRequests");
        }
    }
    for item in document.paths.paths.values_mut() {
        for operation in operations(item) {
            let responses = &mut operation.responses.responses;
            let is_limited = responses.contains_key("429");
            for (status, response) in responses {
                note(response, is_limited && status.starts_with('2'));
            }
        }
    }
    document
}

fn operations(item: &mut PathItem) -> impl Iterator<Item = &mut Operation> {
    let PathItem {
        get, post, delete, ..
    } = item;
    [get, post, delete].into_iter().flatten()
}

/// A reference is left alone: it leads to a response that is noted itself.
fn note(response: &mut RefOr<Response>, is_limited: bool) {
    let RefOr::T(response) = response else {
        return;
    };
    let mut add = |name: &str, header: Header| {
        response.headers.insert(name.to_owned(), header.into());
    };
    add(
        "X-Request-Id",
        text_header("The caller's own, or a new one."),
    );
    if is_limited {
        add(
            "X-RateLimit-Limit",
            integer_header("How many of these requests the caller has a minute."),
        );
        add(
            "X-RateLimit-Remaining",
            integer_header("How many of them are left."),
        );
        add(
            "X-RateLimit-Reset",
            integer_header("When there is room again, in Unix seconds."),
        );
    }
}

/// A header that is a text.
pub(super) fn text_header(description: &str) -> Header {
    header(Type::String, description)
}

/// A header that is a whole number.
pub(super) fn integer_header(description: &str) -> Header {
    header(Type::Integer, description)
}

fn header(kind: Type, description: &str) -> Header {
    let schema = ObjectBuilder::new().schema_type(SchemaType::new(kind));
    let header = HeaderBuilder::new().schema(Some(schema.build()));
    header.description(Some(description)).build()
}
