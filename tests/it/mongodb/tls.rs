//! A cluster that speaks TLS. No proxy stands in between, which could not read a word.

use mongodb::bson::doc;
use serde_json::json;

use super::server::Mongodb;
use super::{CLUSTER, ORG, serve};
use crate::support::{Data, SUPER_ADMINISTRATOR, Server, certify};

const SUM: &str = "SELECT sum(n) FROM numbers";

fn on(mongodb: &Mongodb) -> Server {
    let data = Data::new();
    data.ok(["org", "create", ORG, "--cluster", CLUSTER]);
    data.user(ORG, SUPER_ADMINISTRATOR, "DefaultSuperAdministratorRole");
    let config = format!(
        "data_dir = {:?}\n[clusters.{CLUSTER}]\nmongodb = {:?}\ndatabase = {:?}\n",
        data.path().to_str().unwrap(),
        mongodb.uri(),
        mongodb.template()
    );
    serve(&data, &config, &[])
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cluster_is_asked_over_tls_when_it_is_the_one_that_is_trusted() {
    let files = Data::new();
    let certificates = ["cluster", "other"].map(|name| certify(&files, name));
    let Some(mut mongodb) = Mongodb::start_tls(&certificates[0]) else {
        return;
    };
    mongodb
        .load(ORG, "numbers", [doc! {"n": 1}, doc! {"n": 2}])
        .await;
    let server = on(&mongodb);
    let token = server.token(ORG, SUPER_ADMINISTRATOR);
    assert_eq!(server.rows(&token, ORG, SUM).await, json!([[3]]));

    mongodb.trust(&certificates[1][0]);
    let server = on(&mongodb);
    let token = server.token(ORG, SUPER_ADMINISTRATOR);
    let answer = server.sql(&token, ORG, SUM).await;
    assert_eq!(
        answer.detail(503),
        "the MongoDB cluster of this organization does not answer; try again"
    );
}
