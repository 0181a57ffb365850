//! TLS: the certificate and its key, read again when their files change.
//!
//! Connections that are open go on as they began; later ones get the new certificate. Files that cannot be used are
//! reported, once, and what was in force stays in force.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use axum_server::tls_rustls::RustlsConfig;
use rules::{Error, Result};
use rustls::ServerConfig;
use rustls::crypto::aws_lc_rs;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio::sync::watch;

use crate::config;

/// How often the files are looked at.
const ROUND: Duration = Duration::from_secs(5);

/// A server's certificate.
#[derive(Clone)]
pub(super) struct Tls {
    files: Files,
    in_force: RustlsConfig,
    /// What the files held when they were last tried.
    tried: Pem,
}

#[derive(Debug, Clone)]
struct Files {
    certificate: PathBuf,
    key: PathBuf,
}

/// The contents of both files.
#[derive(Clone, PartialEq, Eq)]
struct Pem {
    certificate: Vec<u8>,
    key: Vec<u8>,
}

impl Tls {
    /// Reads the files that the settings name; `None` when they name none.
    ///
    /// # Errors
    /// `Invalid` when only one is named, or they are not a certificate and its key.
    pub(super) async fn open(settings: &config::Server) -> Result<Option<Self>> {
        let named = [&settings.tls_certificate, &settings.tls_key];
        match named.map(|file| !file.is_empty()) {
            [false, false] => return Ok(None),
            [true, true] => {}
            _ => {
                return Err(Error::invalid(
                    "server.tls_certificate and server.tls_key belong together; give both or none",
                ));
            }
        }
        let [certificate, key] = named.map(PathBuf::from);
        let files = Files { certificate, key };
        let pem = files.read().await?;
        let in_force = RustlsConfig::from_config(files.server_config(&pem)?);
        Ok(Some(Self {
            files,
            in_force,
            tried: pem,
        }))
    }

    /// What the acceptor serves; it changes as the files do.
    pub(super) fn config(&self) -> RustlsConfig {
        self.in_force.clone()
    }

    /// Looks at the files now and then, until `stop` holds true or its sender is gone.
    pub(super) async fn keep(mut self, mut stop: watch::Receiver<bool>) {
        while !*stop.borrow() {
            tokio::select! {
                changed = stop.changed() => if changed.is_err() { break },
                () = tokio::time::sleep(ROUND) => self.look().await,
            }
        }
    }

    async fn look(&mut self) {
        let replaced = async {
            let pem = self.files.read().await?;
            if pem == self.tried {
                return Ok(false);
            }
            self.tried = pem;
            let config = self.files.server_config(&self.tried)?;
            self.in_force.reload_from_config(config);
            Ok::<_, Error>(true)
        };
        match replaced.await {
            Ok(true) => tracing::info!("new connections get the certificate that was replaced"),
            Ok(false) => {}
            Err(error) => tracing::error!(
                error = &error as &dyn std::error::Error,
                "the new certificate cannot be used; the one before stays in force"
            ),
        }
    }
}

impl Files {
    async fn read(&self) -> Result<Pem> {
        let read = async |file: &PathBuf| {
            tokio::fs::read(file).await.map_err(|error| {
                Error::invalid(format!("{} cannot be read: {error}", file.display())).because(error)
            })
        };
        Ok(Pem {
            certificate: read(&self.certificate).await?,
            key: read(&self.key).await?,
        })
    }

    /// TLS 1.2 and 1.3 with rustls' own choice of ciphers; HTTP/1.1 above it.
    fn server_config(&self, pem: &Pem) -> Result<Arc<ServerConfig>> {
        let certificate = self.certificate.display();
        let chain = CertificateDer::pem_slice_iter(&pem.certificate)
            .collect::<std::result::Result<Vec<_>, _>>()
            .map_err(|error| {
                Error::invalid(format!("{certificate} is no PEM file of certificates"))
                    .because(error)
            })?;
        if chain.is_empty() {
            return Err(Error::invalid(format!(
                "{certificate} holds no certificate"
            )));
        }
        let key = PrivateKeyDer::from_pem_slice(&pem.key).map_err(|error| {
            // The cause is not told: it could quote the file.
            let kind = match error {
                rustls::pki_types::pem::Error::NoItemsFound => "holds no private key",
                _ => "is no PEM file of a private key",
            };
            Error::invalid(format!("{} {kind}", self.key.display()))
        })?;
        let unusable = |error: rustls::Error| {
            Error::invalid(format!(
                "{certificate} and {} cannot be used: {error}",
                self.key.display()
            ))
            .because(error)
        };
        let mut config =
            ServerConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
                .with_safe_default_protocol_versions()
                .map_err(unusable)?
                .with_no_client_auth()
                .with_single_cert(chain, key)
                .map_err(unusable)?;
        config.alpn_protocols = vec![b"http/1.1".to_vec()];
        Ok(Arc::new(config))
    }
}

/// Without the key.
impl std::fmt::Debug for Tls {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Tls")
            .field("files", &self.files)
            .finish_non_exhaustive()
    }
}
