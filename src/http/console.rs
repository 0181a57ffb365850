//! `/console/`: a page to read what the model saw and to ask the data. Its files are in the program; it asks no other host
//! for anything, and this one only for what every client may ask.

use std::future::ready;

use axum::Router;
use axum::http::header::CONTENT_TYPE;
use axum::response::Redirect;
use axum::routing::get;

/// Name, type and text.
const FILES: [(&str, &str, &str); 4] = [
    (
        "",
        "text/html; charset=utf-8",
        include_str!("../../console/index.html"),
    ),
    (
        "console.css",
        "text/css; charset=utf-8",
        include_str!("../../console/console.css"),
    ),
    (
        "console.js",
        "text/javascript; charset=utf-8",
        include_str!("../../console/console.js"),
    ),
    (
        "zip.js",
        "text/javascript; charset=utf-8",
        include_str!("../../console/zip.js"),
    ),
];

pub(super) fn pages<S: Clone + Send + Sync + 'static>() -> Router<S> {
    let slash = get(|| ready(Redirect::permanent("/console/")));
    let router = Router::new().route("/console", slash);
    FILES
        .into_iter()
        .fold(router, |router, (name, kind, text)| {
            let serve = move || ready(([(CONTENT_TYPE, kind)], text));
            router.route(&format!("/console/{name}"), get(serve))
        })
}
