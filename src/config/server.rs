//! The section `server` of the settings.

use std::net::{AddrParseError, IpAddr, Ipv4Addr, SocketAddr};

use rules::{Error, Result};
use serde::{Deserialize, Serialize};

use super::{Network, Row, check_range, range_text};

const KIB: usize = 1024;

section! {
    /// Where and how the server listens.
    Server in "server." {
        listen: SocketAddr = SocketAddr::from((Ipv4Addr::LOCALHOST, 8080)),
            "Address and port the server listens on; port 0 takes any free one.";
        public_url: String = String::new(),
            "Where clients reach the server, such as https://data.example.com, for the URLs of results; empty: as each request names it.";
        shutdown_seconds: u64 = 30, (0..=3600),
            "Seconds that requests under way may take to finish after the server was told to stop.";
        tls_certificate: String = String::new(),
            "PEM file of the server's certificate, followed by those that signed it; with tls_key the server speaks TLS. Both are read again when they change.";
        tls_key: String = String::new(),
            "PEM file of the certificate's private key.";
        trusted_proxies: Vec<Network> = Vec::new(),
            "Addresses and networks, such as \"10.0.0.0/8\", of the proxies whose X-Forwarded headers are believed.";
        metrics_listen: String = String::new(),
            "Address and port where GET /metrics is answered, in plain HTTP and to whoever reaches it; empty: nowhere.";
        connections: usize = 512, (1..=100_000),
            "Connections at the same time; more wait until one ends. Half of them may come from one address, unless it is this machine's or a trusted proxy's.";
        header_seconds: u64 = 75, (1..=3600),
            "Seconds a client may take until a request's headers are all there, counted from the connection's start or the request before.";
        header_bytes: usize = 64 * KIB, (8 * KIB..=1024 * KIB),
            "Bytes of a request's first line and headers.";
        body_seconds: u64 = 30, (1..=3600),
            "Seconds a client may send nothing of a request's body; and all its pauses together, beyond one second for each KiB.";
    }
}

impl Server {
    /// Whether the server itself speaks TLS.
    pub fn is_tls(&self) -> bool {
        !self.tls_certificate.is_empty()
    }

    /// Whether a proxy at this address is believed.
    pub fn trusts(&self, address: IpAddr) -> bool {
        let mut proxies = self.trusted_proxies.iter();
        proxies.any(|proxy| proxy.contains(address))
    }

    /// Where metrics are served, if anywhere.
    ///
    /// # Errors
    /// `Invalid` for what is no address and port.
    pub fn metrics_address(&self) -> Result<Option<SocketAddr>> {
        if self.metrics_listen.is_empty() {
            return Ok(None);
        }
        let given = &self.metrics_listen;
        let address = given.parse().map_err(|error: AddrParseError| {
            Error::invalid(format!(
                "server.metrics_listen is {given:?}; it must be empty, or an address and port such as 127.0.0.1:9464"
            ))
            .because(error)
        })?;
        Ok(Some(address))
    }
}
