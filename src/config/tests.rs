use std::ffi::OsString;

use figment::Figment;
use figment::providers::{Format, Toml};
use figment::value::Value;
use rules::Kind;

use super::*;

mod clusters;

const EXAMPLE: &str = include_str!("../../amigo-admin.example.toml");
const DOCUMENT: &str = include_str!("../../docs/configuration.md");

fn variables(given: &[(&str, &str)]) -> Vec<(OsString, OsString)> {
    given
        .iter()
        .map(|(name, value)| (name.into(), value.into()))
        .collect()
}

/// Loads from a file of this text (none when empty) and these environment variables.
fn load(toml: &str, environment: &[(&str, &str)]) -> Result<Config> {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("settings.toml");
    std::fs::write(&file, toml).unwrap();
    let file = (!toml.is_empty()).then_some(file);
    let environment = sources::environment(variables(environment))?;
    Config::from_sources(file.as_deref(), &environment, None)
}

/// The refusal is for the operator to act on, and its sentence has all these parts.
#[track_caller]
fn refused(toml: &str, environment: &[(&str, &str)], parts: &[&str]) {
    let error = load(toml, environment).expect_err("must be refused");
    assert_eq!(error.kind(), &Kind::Invalid);
    for part in parts {
        assert!(
            error.message().contains(part),
            "no {part:?} in: {}",
            error.message()
        );
    }
}

/// A value other than the default that passes the checks, in TOML, and the same as an environment variable.
fn another(setting: &Setting) -> (String, String) {
    let text = match setting.path {
        "data_dir" => "elsewhere",
        "server.listen" => "[::1]:9090",
        "server.public_url" => "https://data.example.com",
        "server.tls_certificate" | "server.tls_key" => "/etc/tls/server.pem",
        "server.metrics_listen" => "127.0.0.1:9464",
        "server.trusted_proxies" => {
            let networks = "[\"10.0.0.0/8\", \"::1\"]".to_owned();
            return (networks.clone(), networks);
        }
        "logs.format" => "json",
        "logs.level" => "warn,amigo_admin=debug",
        "identity.issuer" => "https://amigo.example",
        "prompt_logs.key_template" => "{service.name}/{span_id}",
        "limits.rate_limits" => return ("false".to_owned(), "false".to_owned()),
        _ => {
            let last = setting.allowed.rsplit_once(' ').expect("a range").1;
            return (last.to_owned(), last.to_owned());
        }
    };
    (format!("{text:?}"), text.to_owned())
}

#[test]
fn every_setting_can_be_given_in_the_file_and_in_the_environment() {
    for setting in Config::settings() {
        let (toml, variable) = another(&setting);
        let by_file = load(&format!("{} = {toml}", setting.path), &[]).unwrap();
        assert_ne!(by_file, Config::default(), "{}", setting.path);
        let name = sources::variable_of(setting.path);
        let by_environment = load("", &[(&name, &variable)]).unwrap();
        assert_eq!(by_environment, by_file, "{name}");
    }
}

#[test]
fn a_later_source_wins_and_leaves_the_other_settings_alone() {
    let toml = "data_dir = \"from-file\"\n[limits]\nsql_rows = 7\nsql_seconds = 8";
    let environment = [
        ("AMIGO_ADMIN_LIMITS__SQL_ROWS", "9"),
        ("AMIGO_ADMIN_LIMITS__RATE_LIMITS", "false"),
        ("AMIGO_BASE_URL", "http://localhost"),
        ("PATH", "/bin"),
    ];
    let config = load(toml, &environment).unwrap();
    let mut expected = Config {
        data_dir: "from-file".into(),
        ..Config::default()
    };
    expected.limits.sql_rows = 9;
    expected.limits.sql_seconds = 8;
    expected.limits.rate_limits = false;
    assert_eq!(config, expected);
}

#[test]
fn the_data_directory_of_the_command_line_wins_over_all() {
    let environment = sources::environment(variables(&[("AMIGO_ADMIN_DATA_DIR", "2026")])).unwrap();
    let config = Config::from_sources(None, &environment, Some(Path::new("there"))).unwrap();
    assert_eq!(config.directory_file(), Path::new("there/directory.db"));
    assert_eq!(config.lake_dir(), Path::new("there/lake"));
    assert_eq!(config.spill_dir(), Path::new("there/spill"));
}

#[test]
fn a_text_setting_takes_a_variable_that_looks_like_a_number_as_text() {
    let config = load("", &[("AMIGO_ADMIN_DATA_DIR", "2026")]).unwrap();
    assert_eq!(config.data_dir, Path::new("2026"));
}

#[test]
fn a_name_that_is_no_setting_is_refused_by_name() {
    refused(
        "sql_rows = 3",
        &[],
        &["sql_rows in ", "settings.toml", "is no setting"],
    );
    refused(
        "[limits]\nsql_row = 3",
        &[],
        &["limits.sql_row in ", "settings.toml", "is no setting"],
    );
    refused(
        "[limit]\nsql_rows = 3",
        &[],
        &["limit in ", "is no setting"],
    );
    for name in [
        "AMIGO_ADMIN_LIMITS__SQL_ROW",
        "AMIGO_ADMIN_LIMITS_SQL_ROWS",
        "AMIGO_ADMIN_limits__sql_rows",
        "AMIGO_ADMIN_LIMITS",
        "AMIGO_ADMIN_",
    ] {
        refused("", &[(name, "3")], &[name, "names no setting"]);
    }
}

#[test]
fn a_value_of_the_wrong_type_is_refused_with_the_name_and_the_source() {
    refused(
        "[limits]\nsql_rows = \"many\"",
        &[],
        &["limits.sql_rows in ", "settings.toml", "many"],
    );
    refused("[limits]\nsql_rows = -1", &[], &["limits.sql_rows in "]);
    refused("limits = 3", &[], &["limits in ", "settings.toml"]);
    refused("[logs]\nformat = \"xml\"", &[], &["logs.format in ", "xml"]);
    refused("[server]\nlisten = \"8080\"", &[], &["server.listen in "]);
    refused(
        "[server]\nlisten = \"127.0.0.1:65536\"",
        &[],
        &["server.listen in "],
    );
    refused(
        "",
        &[("AMIGO_ADMIN_LIMITS__RATE_LIMITS", "maybe")],
        &[
            "limits.rate_limits in the environment variable AMIGO_ADMIN_LIMITS__RATE_LIMITS",
            "maybe",
        ],
    );
}

#[test]
fn every_number_is_refused_just_outside_its_range() {
    for setting in Config::settings() {
        let Some((first, last)) = setting.allowed.split_once(" to ") else {
            continue;
        };
        let first: u64 = first.parse().unwrap();
        let last: u64 = last.parse().unwrap();
        for inside in [first, last] {
            load(&format!("{} = {inside}", setting.path), &[]).unwrap();
        }
        for outside in [first.checked_sub(1), Some(last + 1)].into_iter().flatten() {
            let expected = format!(
                "{} is {outside}; it must be {}",
                setting.path, setting.allowed
            );
            refused(&format!("{} = {outside}", setting.path), &[], &[&expected]);
        }
    }
}

#[test]
fn texts_that_mean_nothing_are_refused_by_name() {
    refused("data_dir = \"\"", &[], &["data_dir is empty"]);
    for level in [
        "info=loud",
        "inof",
        "warn,amigo_admin",
        "inof,amigo_admin=debug",
    ] {
        refused(
            &format!("[logs]\nlevel = {level:?}"),
            &[],
            &[&format!("logs.level is {level:?}")],
        );
    }
    refused(
        "[server]\ntrusted_proxies = [\"proxy.example\"]",
        &[],
        &["server.trusted_proxies", "\"proxy.example\" is no address"],
    );
    refused(
        "[server]\nmetrics_listen = \"9464\"",
        &[],
        &["server.metrics_listen is \"9464\""],
    );
    refused(
        "[identity]\nissuer = \"\"",
        &[],
        &["identity.issuer must be"],
    );
    refused(
        "[identity]\nissuer = \"a b\"",
        &[],
        &["identity.issuer must be"],
    );
}

#[test]
fn a_value_that_cannot_be_meant_is_refused_with_its_source() {
    for (setting, value) in [
        ("limits.sql_rows", "0"),
        ("prompt_logs.key_template", "{"),
        ("server.public_url", "data.example.com"),
        ("server.metrics_listen", "9464"),
        ("logs.level", "inof"),
        ("identity.issuer", "a b"),
    ] {
        let toml = match setting {
            "limits.sql_rows" => format!("{setting} = {value}"),
            _ => format!("{setting} = {value:?}"),
        };
        refused(&toml, &[], &[setting, "(given in /", "settings.toml)"]);
        let variable = sources::variable_of(setting);
        let source = format!("(given in the environment variable {variable})");
        refused("", &[(&variable, value)], &[setting, &source]);
        refused(
            "[limits]\nsql_seconds = 8",
            &[(&variable, value)],
            &[setting, &source],
        );
    }
}

#[test]
fn a_file_that_is_missing_or_no_toml_is_refused_by_name() {
    refused("limits = [", &[], &["settings.toml is not valid TOML"]);
    let missing = Config::from_sources(
        Some(Path::new("nowhere/settings.toml")),
        &sources::Environment::default(),
        None,
    );
    let message = missing.unwrap_err().to_string();
    assert!(
        message.contains("nowhere/settings.toml cannot be read"),
        "{message}"
    );
}

#[test]
fn the_example_file_sets_every_setting_to_its_default_below_its_help() {
    let config = load(EXAMPLE, &[]).unwrap();
    assert_eq!(config, Config::default());
    let file = Figment::from(Toml::string(EXAMPLE));
    for setting in Config::settings() {
        let given: Value = file.find_value(setting.path).expect(setting.path);
        assert!(!matches!(given, Value::Dict(..)), "{}", setting.path);
        let name = setting.path.rsplit('.').next().unwrap();
        let allowed = match setting.allowed.as_str() {
            "" => String::new(),
            allowed => format!(" Allowed: {allowed}."),
        };
        let lines = format!(
            "# {}{allowed}\n{name} = {}\n",
            setting.help, setting.default
        );
        assert!(EXAMPLE.contains(&lines), "the example lacks:\n{lines}");
    }
}

#[test]
fn tables_are_declared_by_organization_and_lie_in_the_data_directory_or_anywhere() {
    let config = load(
        "data_dir = \"/srv/amigo\"\n\
         [organizations.acme.tables.events]\npath = \"events\"\nformat = \"parquet\"\n\
         [organizations.acme.tables.people]\npath = \"/data/people\"\nformat = \"csv\"",
        &[],
    )
    .unwrap();
    let org = |org| rules::OrgId::parse(org).unwrap();
    let declared: Vec<_> = config
        .declared_tables(&org("acme"))
        .into_iter()
        .map(|table| (table.name.to_string(), table.folder, table.format))
        .collect();
    assert_eq!(
        declared,
        [
            (
                "events".to_owned(),
                "/srv/amigo/events".into(),
                TableFormat::Parquet
            ),
            ("people".to_owned(), "/data/people".into(), TableFormat::Csv),
        ]
    );
    assert_eq!(config.declared_tables(&org("globex")), []);
}

#[test]
fn a_table_that_can_be_none_is_refused_by_name() {
    let declare = |org: &str, table: &str, rest: &str| {
        format!("[organizations.{org}.tables.{table}]\n{rest}")
    };
    let good = "path = \"x\"\nformat = \"csv\"";
    for own in SERVER_TABLES {
        refused(
            &declare("acme", own, good),
            &[],
            &["organizations.acme.tables", own, "another name"],
        );
    }
    refused(
        &declare("acme", "events", "path = \"\"\nformat = \"csv\""),
        &[],
        &["organizations.acme.tables.events.path is empty"],
    );
    refused(
        &declare("acme", "events", "path = \"x\"\nformat = \"xls\""),
        &[],
        &["organizations.acme.tables.events", "xls", "settings.toml"],
    );
    refused(
        &declare("acme", "Events", good),
        &[],
        &["organizations.acme.tables"],
    );
    refused(
        &declare(
            "acme",
            "events",
            "path = \"x\"\nformat = \"csv\"\nheader = true",
        ),
        &[],
        &["header", "is no setting"],
    );
    refused(
        "",
        &[("AMIGO_ADMIN_ORGANIZATIONS", "{}")],
        &["names no setting"],
    );
}

/// An OpenID provider of an organization, one line of it changed.
fn provider(org: &str, changed: &str) -> String {
    let lines = [
        "issuer = \"https://id.example\"",
        "jwks_url = \"https://id.example/keys\"",
        "audience = \"amigo\"",
    ];
    let name = changed.split(' ').next().unwrap_or_default();
    let kept = lines
        .into_iter()
        .filter(|line| !line.starts_with(&format!("{name} ")));
    let lines: Vec<&str> = kept.chain([changed]).collect();
    format!("[organizations.{org}.openid]\n{}\n", lines.join("\n"))
}

#[test]
fn an_organization_may_have_an_openid_provider_beside_its_tables() {
    let table = "[organizations.acme.tables.events]\npath = \"events\"\nformat = \"csv\"\n";
    let config = load(&(provider("acme", "") + table), &[]).unwrap();
    let providers: Vec<_> = config.openid_providers().collect();
    let expected = OpenId {
        issuer: "https://id.example".to_owned(),
        jwks_url: "https://id.example/keys".to_owned(),
        audience: "amigo".to_owned(),
        user_claim: "sub".to_owned(),
    };
    assert_eq!(
        providers,
        [(&rules::OrgId::parse("acme").unwrap(), &expected)]
    );
    assert_eq!(
        config
            .declared_tables(&rules::OrgId::parse("acme").unwrap())
            .len(),
        1
    );
    let config = load(&provider("acme", "user_claim = \"email\""), &[]).unwrap();
    assert_eq!(
        config.openid_providers().next().unwrap().1.user_claim,
        "email"
    );
    for url in [
        "http://localhost:1/keys",
        "http://127.0.0.2/keys",
        "http://[::1]:8080/keys",
    ] {
        load(&provider("acme", &format!("jwks_url = {url:?}")), &[]).unwrap();
    }
}

#[test]
fn a_provider_that_can_be_none_is_refused_by_name() {
    let of = "organizations.acme.openid";
    for url in [
        "http://id.example/keys",
        "http://127.0.0.1.id.example/keys",
        "http://localhost.id.example/",
        "http://10.0.0.1/keys",
        "file:///etc/keys",
        "id.example/keys",
        "",
    ] {
        let changed = format!("jwks_url = {url:?}");
        let expected = format!("{of}.jwks_url is {url:?}; it must be an https address");
        refused(&provider("acme", &changed), &[], &[&expected]);
    }
    for name in ["issuer", "audience", "user_claim"] {
        for value in ["", "a b"] {
            let expected = format!("{of}.{name} must be 1 to 256 printable");
            refused(
                &provider("acme", &format!("{name} = {value:?}")),
                &[],
                &[&expected],
            );
        }
    }
    refused(
        "[organizations.acme.openid]\nissuer = \"x\"",
        &[],
        &[of, "missing field"],
    );
    refused(
        &provider("acme", "secret = \"x\""),
        &[],
        &["secret", "is no setting"],
    );
    refused(
        &(provider("acme", "") + &provider("globex", "audience = \"other\"")),
        &[],
        &["organizations.globex.openid.issuer is the issuer of acme too"],
    );
    refused(
        &provider("acme", "issuer = \"amigo-admin\""),
        &[],
        &["organizations.acme.openid.issuer is the issuer of identity too"],
    );
}

#[test]
fn the_document_has_a_line_for_every_setting_and_for_nothing_else() {
    let mut lines = DOCUMENT.lines().filter(|line| line.starts_with("| `"));
    for setting in Config::settings() {
        let expected = format!(
            "| `{}` | `{}` | {} | {} |",
            setting.path,
            setting.default.replace('|', "\\|"),
            setting.allowed,
            setting.help.replace('|', "\\|")
        );
        assert_eq!(lines.next(), Some(expected.as_str()));
    }
    assert_eq!(lines.next(), None);
}
