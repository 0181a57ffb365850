//! Where a request comes from and what it was sent to, behind a proxy too.
//!
//! What `X-Forwarded-…` says counts only where the connection comes from a proxy that the settings trust: anybody else
//! could write anything there.

use std::net::{IpAddr, SocketAddr};

use axum::http::header::HOST;
use axum::http::uri::Authority;
use axum::http::{HeaderMap, HeaderValue};
use rules::{Error, Result};

use crate::config;

/// The client of a request; an extension of it.
#[derive(Debug, Clone)]
pub(super) struct Client {
    /// The peer of the connection or, where that is a trusted proxy, the nearest address before it that is not.
    pub(super) address: IpAddr,
    /// Whether the client speaks TLS, to the server or to a trusted proxy.
    pub(super) is_https: bool,
    /// The host that the client asked, when it is one.
    host: Option<Authority>,
}

impl Client {
    /// The client of a request that came from `peer` with these headers.
    pub(super) fn of(peer: SocketAddr, headers: &HeaderMap, settings: &config::Server) -> Self {
        let peer = peer.ip().to_canonical();
        let trusted = |address| settings.trusts(address);
        let host = headers.get(HOST).and_then(|host| host.to_str().ok());
        if !trusted(peer) {
            return Self {
                address: peer,
                is_https: settings.is_tls(),
                host: host.and_then(authority),
            };
        }
        // Each proxy adds the address it was asked from at the end, so only what stands behind a trusted one is true.
        let mut address = peer;
        for named in listed(headers, "x-forwarded-for").into_iter().rev() {
            let Some(before) = self::address(named) else {
                break;
            };
            address = before;
            if !trusted(address) {
                break;
            }
        }
        let scheme = listed(headers, "x-forwarded-proto").pop();
        let forwarded_host = listed(headers, "x-forwarded-host").pop();
        Self {
            address,
            is_https: scheme.map_or(settings.is_tls(), |scheme| {
                scheme.eq_ignore_ascii_case("https")
            }),
            host: forwarded_host.or(host).and_then(authority),
        }
    }

    /// Where the client reaches this server, such as `https://data.example.com`.
    ///
    /// # Errors
    /// `Unprocessable` when the request names no host.
    pub(super) fn base_url(&self, settings: &config::Server) -> Result<String> {
        if !settings.public_url.is_empty() {
            return Ok(settings.public_url.clone());
        }
        let host = self.host.as_ref().ok_or_else(|| {
            Error::unprocessable(
                &["header", "host"],
                "is no host to make a URL of",
                "value_error",
            )
        })?;
        let scheme = if self.is_https { "https" } else { "http" };
        Ok(format!("{scheme}://{host}"))
    }
}

/// The parts of a header that is a list, from all its lines. What is no text is a part that nothing reads.
fn listed<'headers>(headers: &'headers HeaderMap, name: &str) -> Vec<&'headers str> {
    let lines = headers.get_all(name).iter();
    let texts = lines.map(|line: &HeaderValue| line.to_str().unwrap_or_default());
    texts
        .flat_map(|line| line.split(','))
        .map(str::trim)
        .collect()
}

/// An address as proxies write it: alone, with a port, or in brackets.
fn address(text: &str) -> Option<IpAddr> {
    let alone = text.parse::<IpAddr>();
    let with_port = || text.parse::<SocketAddr>().map(|address| address.ip());
    let bracketed = || {
        let inner = text.strip_prefix('[')?.strip_suffix(']')?;
        inner.parse().ok()
    };
    let address = alone.or_else(|_| with_port()).ok().or_else(bracketed)?;
    Some(address.to_canonical())
}

/// A host without anything that belongs before it.
fn authority(host: &str) -> Option<Authority> {
    let host: Authority = host.parse().ok()?;
    (!host.as_str().contains('@')).then_some(host)
}

#[cfg(test)]
mod tests {
    use super::*;
    use axum::http::HeaderName;

    fn client(peer: &str, headers: &[(&str, &str)], settings: &config::Server) -> Client {
        let mut map = HeaderMap::new();
        for (name, value) in headers {
            let name: HeaderName = name.parse().unwrap();
            map.append(name, value.parse().unwrap());
        }
        Client::of(SocketAddr::new(peer.parse().unwrap(), 4711), &map, settings)
    }

    fn behind(proxies: &[&str]) -> config::Server {
        config::Server {
            trusted_proxies: proxies.iter().map(|one| one.parse().unwrap()).collect(),
            ..config::Server::default()
        }
    }

    #[test]
    fn only_a_trusted_proxy_is_believed_and_only_what_it_saw() {
        let proxies = behind(&["10.0.0.0/8", "2001:db8::1"]);
        for (peer, forwarded, expected) in [
            ("203.0.113.9", &["198.51.100.1"][..], "203.0.113.9"),
            ("10.0.0.1", &["198.51.100.1"], "198.51.100.1"),
            ("10.0.0.1", &["1.2.3.4, 198.51.100.1"], "198.51.100.1"),
            ("10.0.0.1", &["1.2.3.4", "198.51.100.1"], "198.51.100.1"),
            ("10.0.0.1", &["198.51.100.1, 10.7.7.7"], "198.51.100.1"),
            ("10.0.0.1", &["198.51.100.1,2001:db8::1"], "198.51.100.1"),
            ("10.0.0.1", &["10.1.1.1, 10.7.7.7"], "10.1.1.1"),
            ("10.0.0.1", &[], "10.0.0.1"),
            ("10.0.0.1", &["198.51.100.1, unknown"], "10.0.0.1"),
            ("10.0.0.1", &["unknown, 198.51.100.1"], "198.51.100.1"),
            ("10.0.0.1", &["198.51.100.1:8080"], "198.51.100.1"),
            ("10.0.0.1", &["[2001:db8::7]:80"], "2001:db8::7"),
            ("10.0.0.1", &["[2001:db8::7]"], "2001:db8::7"),
            ("::ffff:10.0.0.1", &["198.51.100.1"], "198.51.100.1"),
            ("2001:db8::1", &["::ffff:198.51.100.1"], "198.51.100.1"),
        ] {
            let headers: Vec<_> = forwarded
                .iter()
                .map(|line| ("x-forwarded-for", *line))
                .collect();
            let found = client(peer, &headers, &proxies).address;
            assert_eq!(found.to_string(), expected, "{peer} {forwarded:?}");
        }
    }

    #[test]
    fn urls_name_what_the_client_asked() {
        let forwarded = [
            ("host", "inner:8080"),
            ("x-forwarded-proto", "https"),
            ("x-forwarded-host", "data.example.com"),
        ];
        let url = |peer, headers: &[(&str, &str)], settings: &config::Server| {
            client(peer, headers, settings).base_url(settings)
        };
        let mut settings = behind(&["10.0.0.1"]);
        let proxied = url("10.0.0.1", &forwarded, &settings).unwrap();
        assert_eq!(proxied, "https://data.example.com");
        let direct = url("10.0.0.2", &forwarded, &settings).unwrap();
        assert_eq!(direct, "http://inner:8080");
        let bare = url("10.0.0.1", &forwarded[..1], &settings).unwrap();
        assert_eq!(bare, "http://inner:8080");
        for host in ["a b", "user@inner", ""] {
            let error = url("10.0.0.2", &[("host", host)], &settings).unwrap_err();
            assert!(error.message().contains("no host"), "{error:?}");
        }
        settings.tls_certificate = "server.pem".to_owned();
        let direct = url("10.0.0.2", &forwarded, &settings).unwrap();
        assert_eq!(direct, "https://inner:8080");
        settings.public_url = "https://public.example".to_owned();
        let public = url("10.0.0.1", &forwarded, &settings).unwrap();
        assert_eq!(public, "https://public.example");
    }
}
