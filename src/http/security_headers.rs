//! What every answer says to browsers: how little may be done with it.

use axum::http::header::{
    CACHE_CONTROL, CONTENT_SECURITY_POLICY, REFERRER_POLICY, STRICT_TRANSPORT_SECURITY,
    X_CONTENT_TYPE_OPTIONS,
};
use axum::http::{HeaderMap, HeaderValue};

/// Answers are data: nothing in them may be run, shown in a frame or loaded.
const DATA: &str = "default-src 'none'; frame-ancestors 'none'";
/// The console and the page to try the API run their own scripts, which come from here and talk to here.
const PAGE: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; \
    connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";
/// A year, the least that browsers take for their list.
const HTTPS_ONLY: &str = "max-age=31536000";

/// Adds the headers to the answer of a path. What a handler said of caching stays.
pub(super) fn add(headers: &mut HeaderMap, path: &str, is_https: bool) {
    let is_page = ["/docs", "/console"].iter().any(|page| {
        let below = path.strip_prefix(page);
        below.is_some_and(|below| below.is_empty() || below.starts_with('/'))
    });
    let policy = if is_page { PAGE } else { DATA };
    let mut set = |name, value| headers.insert(name, HeaderValue::from_static(value));
    set(X_CONTENT_TYPE_OPTIONS, "nosniff");
    set(REFERRER_POLICY, "no-referrer");
    set(CONTENT_SECURITY_POLICY, policy);
    if is_https {
        set(STRICT_TRANSPORT_SECURITY, HTTPS_ONLY);
    }
    headers
        .entry(CACHE_CONTROL)
        .or_insert(HeaderValue::from_static("no-store"));
}

#[cfg(test)]
mod tests {
    use super::*;

    fn added(path: &str, is_https: bool) -> HeaderMap {
        let mut headers = HeaderMap::new();
        add(&mut headers, path, is_https);
        headers
    }

    #[test]
    fn the_pages_alone_may_run_scripts() {
        for path in ["/docs", "/docs/", "/docs/swagger-ui.css", "/console/"] {
            assert_eq!(added(path, false)[CONTENT_SECURITY_POLICY], PAGE, "{path}");
        }
        for path in ["/", "/docsx", "/consoles", "/v1/docs/user/", "/v1/console/"] {
            assert_eq!(added(path, false)[CONTENT_SECURITY_POLICY], DATA, "{path}");
        }
    }

    #[test]
    fn only_an_answer_over_tls_asks_for_tls() {
        assert!(added("/", true).contains_key(STRICT_TRANSPORT_SECURITY));
        assert!(!added("/", false).contains_key(STRICT_TRANSPORT_SECURITY));
    }

    #[test]
    fn nothing_is_kept_unless_the_handler_says_so() {
        assert_eq!(added("/", false)[CACHE_CONTROL], "no-store");
        let mut headers = HeaderMap::new();
        headers.insert(CACHE_CONTROL, HeaderValue::from_static("max-age=60"));
        add(&mut headers, "/", false);
        assert_eq!(headers[CACHE_CONTROL], "max-age=60");
    }
}
