//! TLS with certificates of the test's own, and their replacement while connections are open.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use reqwest::{Certificate, Client};
use serde_json::{Value, json};

use super::{ORG, acme};
use crate::support::{Data, SUPER_ADMINISTRATOR, Server, certify, stderr};

/// A client that trusts this certificate and no other.
fn trusting(certificate: &Path) -> Client {
    let pem = std::fs::read(certificate).unwrap();
    Client::builder()
        .no_proxy()
        .timeout(Duration::from_secs(60))
        .tls_certs_only([Certificate::from_pem(&pem).unwrap()])
        .build()
        .unwrap()
}

/// A server with TLS; its settings name the files `server.crt` and `server.key` beside the data directory.
fn serve(certificate: &Path, key: &Path, data: &Data) -> Server {
    let files = ["server.crt", "server.key"].map(|name| data.file(name));
    std::fs::copy(certificate, &files[0]).unwrap();
    std::fs::copy(key, &files[1]).unwrap();
    let [certificate, key] = files.map(|file| file.to_str().unwrap().to_owned());
    let settings = [
        ("SERVER__TLS_CERTIFICATE", certificate.as_str()),
        ("SERVER__TLS_KEY", key.as_str()),
    ];
    Server::on(data, &settings)
}

async fn alive(client: &Client, server: &Server) -> reqwest::Result<u16> {
    let url = format!("{}/healthz", server.base_url);
    Ok(client.get(url).send().await?.status().as_u16())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_certificate_is_replaced_without_dropping_a_connection() {
    let data = Data::new();
    acme(&data);
    let [first, first_key] = certify(&data, "first");
    let [second, second_key] = certify(&data, "second");
    let server = serve(&first, &first_key, &data);
    assert!(
        server.base_url.starts_with("https://"),
        "{}",
        server.base_url
    );
    let open = trusting(&first);
    assert_eq!(alive(&open, &server).await.unwrap(), 200);
    assert!(alive(&trusting(&second), &server).await.is_err());

    // A key that is not the certificate's, as between the writing of two files, changes nothing.
    std::fs::copy(&second, data.file("server.crt")).unwrap();
    server.log_line(|line| line.contains("the one before stays in force"));
    assert_eq!(alive(&trusting(&first), &server).await.unwrap(), 200);
    std::fs::write(data.file("server.crt"), "no certificate").unwrap();
    let broken = |line: &str| line.contains("holds no certificate");
    server.log_line(broken);
    assert_eq!(alive(&trusting(&first), &server).await.unwrap(), 200);

    std::fs::copy(&second, data.file("server.crt")).unwrap();
    std::fs::copy(&second_key, data.file("server.key")).unwrap();
    server.log_line(|line| line.contains("certificate that was replaced"));
    assert_eq!(alive(&trusting(&second), &server).await.unwrap(), 200);
    assert!(alive(&trusting(&first), &server).await.is_err());
    // This client would not trust the new certificate, so it still uses the connection that it opened first.
    assert_eq!(alive(&open, &server).await.unwrap(), 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn everything_works_over_tls_and_names_https() {
    let data = Data::new();
    acme(&data);
    let [certificate, key] = certify(&data, "only");
    let server = serve(&certificate, &key, &data);
    let client = trusting(&certificate);
    let token = server.token(ORG, SUPER_ADMINISTRATOR);
    let url = format!("{}/v1/{ORG}/admin/sql_query", server.base_url);
    let submitted = client
        .post(url)
        .bearer_auth(&token)
        .json(
            &json!({"sql_query": "SELECT count(*) AS logs FROM prompt_logs", "async_query": true}),
        )
        .send()
        .await
        .unwrap();
    let hsts = submitted.headers()["strict-transport-security"].clone();
    assert_eq!(hsts, "max-age=31536000");
    let handle: Value = submitted.json().await.unwrap();
    let signed_url = handle["signed_url"].as_str().unwrap();
    assert!(signed_url.starts_with(&server.base_url), "{signed_url}");
    let result = loop {
        let answer = client.get(signed_url).send().await.unwrap();
        if answer.status() == 200 {
            break answer.text().await.unwrap();
        }
        assert_eq!(answer.status(), 202);
        tokio::time::sleep(Duration::from_millis(50)).await;
    };
    assert_eq!(result.replace("\r\n", "\n"), "logs\n1\n");

    // A client of another make, and one that does not speak TLS at all.
    let ping = format!("{}/v1/{ORG}/admin/ping", server.base_url);
    let output = Command::new("curl")
        .args(["--silent", "--show-error", "--noproxy", "*", "--cacert"])
        .arg(&certificate)
        .args(["--write-out", " %{http_version}", &ping])
        .output()
        .unwrap();
    let printed = String::from_utf8_lossy(&output.stdout).into_owned();
    assert_eq!(
        printed,
        "{\"in_maintenance_mode\":false} 1.1",
        "{}",
        stderr(&output)
    );
    let plain = server.base_url.replace("https://", "http://");
    assert!(client.get(plain).send().await.is_err());
}

#[test]
fn a_certificate_that_cannot_be_used_is_told_at_the_start() {
    let data = Data::new();
    acme(&data);
    let [certificate, key] = certify(&data, "one");
    let [other, _] = certify(&data, "other");
    let nothing = data.write("nothing.pem", "");
    let missing = data.file("missing.pem");
    let start = |certificate: Option<&PathBuf>, key: Option<&PathBuf>| {
        let mut command = data.command();
        command.args(["serve", "--listen", "127.0.0.1:0"]);
        for (name, file) in [("CERTIFICATE", certificate), ("KEY", key)] {
            if let Some(file) = file {
                command.env(format!("AMIGO_ADMIN_SERVER__TLS_{name}"), file);
            }
        }
        let output = command.output().unwrap();
        assert_eq!(output.status.code(), Some(1), "{}", stderr(&output));
        stderr(&output)
    };
    for (certificate, key, said) in [
        (Some(&certificate), None, "give both or none"),
        (None, Some(&key), "give both or none"),
        (Some(&missing), Some(&key), "missing.pem cannot be read"),
        (
            Some(&nothing),
            Some(&key),
            "nothing.pem holds no certificate",
        ),
        (
            Some(&certificate),
            Some(&nothing),
            "nothing.pem holds no private key",
        ),
        (
            Some(&certificate),
            Some(&certificate),
            "one.crt holds no private key",
        ),
        (
            Some(&other),
            Some(&key),
            "cannot be used: keys may not be consistent",
        ),
    ] {
        let message = start(certificate, key);
        assert!(message.contains(said), "{said}: {message}");
        assert!(!message.contains("BEGIN"), "{message}");
    }
}
