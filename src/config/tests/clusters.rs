use collections::{Column, Kind, Path};
use rules::{ClusterName, OrgId};

use super::*;

const URI: &str = "mongodb = \"mongodb://reader:s3cret@db.example/?readPreference=nearest\"";

fn cluster(rest: &str) -> String {
    format!("[clusters.main]\n{URI}\n{rest}")
}

fn collection(rest: &str) -> String {
    cluster(&format!("[clusters.main.collections.people]\n{rest}"))
}

fn named<'a>(config: &'a Config, name: &str) -> &'a ClusterSettings {
    &config.clusters[&ClusterName::parse(name).unwrap()]
}

#[test]
fn a_cluster_needs_no_more_than_its_address() {
    let config = load(&cluster(""), &[]).unwrap();
    let main = named(&config, "main");
    let acme = OrgId::parse("acme").unwrap();
    assert_eq!(main.database(&acme).as_deref(), Some("acme"));
    assert_eq!(main.tenant_field(), None);
    assert_eq!((main.concurrent_scans, main.batch_documents), (8, 1000));
    assert_eq!(main.read_concern, None);
    assert!(main.collections.is_empty());
}

#[test]
fn a_database_without_the_organization_is_shared_and_has_a_field_that_says_whose_a_document_is() {
    let shared = cluster("database = \"all\"\norg_id_field = \"meta.org\"");
    let config = load(&shared, &[]).unwrap();
    let main = named(&config, "main");
    assert_eq!(main.tenant_field(), Path::parse("meta.org").as_ref());
    let acme = OrgId::parse("acme").unwrap();
    assert_eq!(main.database(&acme).as_deref(), Some("all"));
}

#[test]
fn an_organization_reads_no_database_of_mongodbs_own_and_none_with_too_long_a_name() {
    let config = load(&cluster("database = \"{org_id}\""), &[]).unwrap();
    let main = named(&config, "main");
    for org in ["admin", "config", "local", "Local", &"x".repeat(64)] {
        assert_eq!(main.database(&OrgId::parse(org).unwrap()), None, "{org}");
    }
    let org = "x".repeat(63);
    assert!(main.database(&OrgId::parse(&org).unwrap()).is_some());
}

#[test]
fn columns_are_declared_with_their_places() {
    let columns = "columns = [ { name = \"_id\", type = \"objectid\" }, \
                   { name = \"address.zip\", type = \"STRING\" }, \
                   { name = \"Total\", type = \"decimal(10, 2)\", path = \"sums.total\" } ]\nstrict = true\n\
                   collection = \"people-2\"\nserve = \"lake\"";
    let config = load(&collection(columns), &[]).unwrap();
    let table = rules::TableName::parse("people").unwrap();
    let people = &named(&config, "main").collections[&table];
    let column = |name: &str, path: &str, kind| Column {
        name: name.to_owned(),
        path: Path::parse(path).unwrap(),
        kind,
    };
    let decimal = Kind::Decimal {
        precision: 10,
        scale: 2,
    };
    assert_eq!(
        people.columns().unwrap(),
        [
            column("_id", "_id", Kind::ObjectId),
            column("address.zip", "address.zip", Kind::String),
            column("Total", "sums.total", decimal),
        ]
    );
    assert_eq!(people.collection(&table), "people-2");
    assert!(people.strict);
    assert_eq!(people.serve, Some(Serve::Lake));
    let sampled = load(&collection(""), &[]).unwrap();
    let people = &named(&sampled, "main").collections[&table];
    assert_eq!(
        (people.columns(), people.collection(&table)),
        (None, "people")
    );
    assert_eq!((people.strict, people.serve), (false, None));
}

#[test]
fn what_can_be_no_cluster_is_refused_by_name() {
    let of = "clusters.main";
    refused(
        "[clusters.main]",
        &[],
        &[of, "give mongodb or mongodb_file"],
    );
    refused(
        &cluster("mongodb_file = \"/x\""),
        &[],
        &[of, "both mongodb and mongodb_file"],
    );
    refused(
        "[clusters.main]\nmongodb_file = \"\"",
        &[],
        &["clusters.main.mongodb_file is empty"],
    );
    refused(&cluster("databases = \"x\""), &[], &["is no setting"]);
    refused(&format!("[clusters.\"a b\"]\n{URI}"), &[], &["clusters"]);
    for name in ["", "a b", "a.b", "$x", "{org}", "admin", &"x".repeat(64)] {
        let given = cluster(&format!("database = {name:?}"));
        refused(&given, &[], &["clusters.main.database is"]);
    }
    let long = format!("{}{{org_id}}", "x".repeat(63));
    refused(
        &cluster(&format!("database = {long:?}")),
        &[],
        &["at most 63 bytes"],
    );
    for field in ["", ".a", "a.", "a..b", "$a", "a.$b"] {
        let given = cluster(&format!("org_id_field = {field:?}"));
        refused(&given, &[], &["clusters.main.org_id_field", "is no path"]);
    }
    refused(
        &cluster("concurrent_scans = 0"),
        &[],
        &["clusters.main.concurrent_scans is 0; it must be 1 to 1024"],
    );
    refused(
        &cluster("batch_documents = 100001"),
        &[],
        &["clusters.main.batch_documents is 100001"],
    );
    refused(
        &cluster("read_concern = \"best\""),
        &[],
        &["clusters.main.read_concern", "best"],
    );
}

#[test]
fn what_can_be_no_table_of_a_cluster_is_refused_by_name() {
    let of = "clusters.main.collections.people";
    for name in ["prompt_logs", "query_history", "audit_log"] {
        let given = cluster(&format!("[clusters.main.collections.{name}]"));
        refused(&given, &[], &[name, "the server's own"]);
    }
    refused(
        &cluster("[clusters.main.collections.People]"),
        &[],
        &["clusters.main.collections"],
    );
    for name in ["", "system.users", "a$b"] {
        let given = collection(&format!("collection = {name:?}"));
        refused(&given, &[], &[of, "names no collection"]);
    }
    refused(&collection("columns = []"), &[], &[of, "columns is empty"]);
    refused(&collection("serve = \"both\""), &[], &[of, "serve", "both"]);
    let column = |column: &str| collection(&format!("columns = [ {column} ]"));
    refused(
        &column("{ name = \"a\", type = \"TEXT\" }"),
        &[],
        &[of, "columns.0.type", "\"TEXT\" is no type", "STRING"],
    );
    refused(
        &column("{ name = \"a\", type = \"DECIMAL(39,0)\" }"),
        &[],
        &[of, "columns.0.type", "DECIMAL(39,0)"],
    );
    refused(
        &column("{ name = \"a\", type = \"JSON\", path = \"a..b\" }"),
        &[],
        &[of, "columns.0.path", "is no path"],
    );
    refused(
        &column("{ name = \"a.\", type = \"JSON\" }"),
        &[],
        &[of, "columns.0.name", "give its path"],
    );
    refused(
        &column("{ name = \"\", type = \"JSON\", path = \"a\" }"),
        &[],
        &[of, "columns.0.name must be"],
    );
    refused(
        &column("{ name = \"Straße\", type = \"JSON\" }, { name = \"STRAßE\", type = \"JSON\" }"),
        &[],
        &[of, "columns.1.name", "which another column has too"],
    );
}

#[test]
fn no_error_and_no_debug_output_shows_a_password() {
    for uri in [
        "mongodb://reader:s3cret@db.example:port",
        "mongodb://reader:s3cret?@db.example",
        "mongodb://reader:s3cret/@db.example",
        "mongodb://reader:s3cret@@db.example",
        "mongodb://reader:%s3cret@db.example",
        "mongodb://reader:s3cret@db.example/?socketTimeoutMS=1",
        "mongodb://reader:s3cret@db.example/?heartbeatFrequencyMS=1",
        "mongodb://db.example/?authMechanismProperties=s3cret",
        "postgres://reader:s3cret@db.example",
        "reader:s3cret@db.example",
        "mongodb://reader:s3cret%40db.example/",
        "mongodb://reader:s3cret",
        "mongodb://db.example/?s3cret=1",
        "mongodb://db.example/?readPreference=s3cret",
        "mongo://reader:s3cret@db.example",
        "MONGODB://reader:s3cret@db.example",
        "mongodb://",
        "",
    ] {
        let error = load(&format!("[clusters.main]\nmongodb = {uri:?}"), &[]);
        let error = error.expect_err(uri);
        let starts = "clusters.main.mongodb is no MongoDB connection string: ";
        assert!(error.message().starts_with(starts), "{error}");
        assert!(!format!("{error:?}").contains("s3cret"), "{error:?}");
    }
    for toml in [
        "[clusters]\nmain = \"mongodb://reader:s3cret@db.example\"",
        "[clusters.main]\nmongodb = \"mongodb://reader:s3cret@db.example",
        "[clusters.main]\nmongodb = \"mongodb+srv://reader:\"s3cret@db.example\"",
        "[clusters.main]\nmongodb = { url = \"mongodb://reader:s3cret@db.example\" }",
        "[clusters.main]\nmongodb = [\"mongodb://reader:s3cret@db.example\"]",
        "[clusters.main]\nconcurrent_scans = \"mongodb://reader:s3cret@db.example\"",
        "[clusters.main]\nread_concern = \"MONGODB://reader:s3cret@db.example\"",
        "[clusters.main]\nread_concern = \"reader:s3cret@db.example\"",
        "[clusters]\nmain = \"reader:s3cret\"",
        "[clusters.main]\nmongodb = [\"reader:s3cret\"]",
        "[clusters.main]\nmongodb = \"mongo://reader:s3cret@db.example",
        "[clusters.main]\nmongodb = \"MONGODB://reader:s3cret@db.example",
        "[clusters.main]\nmongodb = \"reader:s3cret",
        "[clusters.main]\nmongodb = mongo://reader:s3cret@db.example",
    ] {
        let error = load(toml, &[]).expect_err(toml);
        assert!(!format!("{error:?}").contains("s3cret"), "{error:?}");
    }
    let config = load(&cluster(""), &[]).unwrap();
    assert!(!format!("{config:#?}").contains("s3cret"));
    assert!(!serde_json::to_string(&config).unwrap().contains("s3cret"));
}

#[test]
fn the_environment_says_where_a_cluster_is_and_wins_over_the_file() {
    const URI: (&str, &str) = (
        "AMIGO_ADMIN_CLUSTERS__EU_1__MONGODB",
        "mongodb://other.example",
    );
    let expected = "[clusters.eu_1]\nmongodb = \"mongodb://other.example\"";
    let expected = load(expected, &[]).unwrap();
    assert_eq!(load("", &[URI]).unwrap(), expected);
    let expected = "[clusters.EU-1]\nmongodb = \"mongodb://other.example\"\nbatch_documents = 5";
    let expected = load(expected, &[]).unwrap();
    let scans = ("AMIGO_ADMIN_CLUSTERS__EU_1__BATCH_DOCUMENTS", "5");
    for in_file in [
        "mongodb = \"mongodb://db.example\"",
        "mongodb_file = \"/x\"",
    ] {
        let file = format!("[clusters.EU-1]\nbatch_documents = 7\n{in_file}");
        assert_eq!(load(&file, &[URI, scans]).unwrap(), expected, "{in_file}");
    }
    let file = ("AMIGO_ADMIN_CLUSTERS__EU_1__MONGODB_FILE", "/x");
    refused("", &[URI, file], &["clusters.eu_1 has both"]);
    let two =
        "[clusters.EU-1]\nmongodb = \"mongodb://a\"\n[clusters.eu_1]\nmongodb = \"mongodb://b\"";
    refused(
        two,
        &[URI],
        &[URI.0, "may mean clusters.EU-1 or clusters.eu_1"],
    );
    refused(
        "",
        &[
            URI,
            ("AMIGO_ADMIN_CLUSTERS__EU_1__CONCURRENT_SCANS", "many"),
        ],
        &["AMIGO_ADMIN_CLUSTERS__EU_1__CONCURRENT_SCANS", "many"],
    );
    for name in [
        "AMIGO_ADMIN_CLUSTERS__MONGODB",
        "AMIGO_ADMIN_CLUSTERS____MONGODB",
        "AMIGO_ADMIN_CLUSTERS__MAIN__COLLECTIONS",
        "AMIGO_ADMIN_CLUSTERS",
    ] {
        refused("", &[(name, "x")], &[name, "names no setting"]);
    }
}

#[test]
fn a_file_that_holds_the_address_is_read_at_the_start_and_not_before() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("uri");
    let config = format!(
        "[clusters.main]\nmongodb_file = {:?}",
        file.to_str().unwrap()
    );
    let config = load(&config, &[]).unwrap();
    let name = ClusterName::parse("main").unwrap();
    let main = named(&config, "main");
    let error = main.uri(&name).unwrap_err();
    assert!(
        error.message().contains("clusters.main.mongodb_file"),
        "{error}"
    );
    std::fs::write(&file, "mongodb://reader:s3c?ret@db.example\n").unwrap();
    let error = main.uri(&name).unwrap_err();
    assert!(
        error.message().contains("clusters.main.mongodb_file"),
        "{error}"
    );
    assert!(!format!("{error:?}").contains("s3c"), "{error:?}");
    std::fs::write(&file, "mongodb://reader:s3cret@db.example\n").unwrap();
    main.uri(&name).unwrap();
}
