//! Reads settings from the file and the environment and says precisely which one is wrong.

use std::error::Error as _;
use std::ffi::OsString;
use std::path::{Path, PathBuf};

use figment::error::Kind;
use figment::providers::{Format, Serialized, Toml};
use figment::value::Value;
use figment::{Figment, Provider};
use rules::{Error, Result};

use super::clusters::without_credentials;
use super::{Config, rows};

/// What the names of all environment variables of the server begin with.
const PREFIX: &str = "AMIGO_ADMIN_";

/// What those of clusters begin with.
const CLUSTERS: &str = "AMIGO_ADMIN_CLUSTERS__";

/// The settings of a cluster that a variable can give, and whether they are text.
const OF_CLUSTER: [(&str, bool); 7] = [
    ("mongodb", true),
    ("mongodb_file", true),
    ("database", true),
    ("org_id_field", true),
    ("read_concern", true),
    ("concurrent_scans", false),
    ("batch_documents", false),
];

/// The settings given as environment variables.
#[derive(Default)]
pub(super) struct Environment {
    /// By path.
    settings: Vec<(&'static str, Value)>,
    clusters: Vec<ClusterVariable>,
}

/// A setting of a cluster, whose name is known in capitals only.
struct ClusterVariable {
    name: String,
    cluster: String,
    setting: &'static str,
    value: Value,
}

impl ClusterVariable {
    fn parse(name: &str, text: &str) -> Option<Self> {
        let (cluster, given) = name.strip_prefix(CLUSTERS)?.rsplit_once("__")?;
        let setting = OF_CLUSTER
            .iter()
            .find(|(setting, _)| setting.to_uppercase() == given);
        let (setting, is_text) = setting.filter(|_| !cluster.is_empty())?;
        let value = match is_text {
            true => Value::from(text),
            false => typed(text.to_owned(), &Value::from(0)),
        };
        Some(Self {
            name: name.to_owned(),
            cluster: cluster.to_owned(),
            setting,
            value,
        })
    }

    /// The cluster of the file whose name this is in capitals, with `_` for `-`; where there is none, one of this name in
    /// small letters.
    fn cluster(&self, in_file: &[String]) -> Result<String> {
        let capitals = |name: &str| name.to_uppercase().replace('-', "_");
        let mut meant = in_file.iter().filter(|name| capitals(name) == self.cluster);
        match (meant.next(), meant.next()) {
            (Some(one), Some(other)) => Err(Error::invalid(format!(
                "the environment variable {} may mean clusters.{one} or clusters.{other}; use the file for these",
                self.name
            ))),
            (Some(one), None) => Ok(one.clone()),
            (None, _) => Ok(self.cluster.to_lowercase()),
        }
    }
}

/// Picks the server's settings out of all environment variables.
pub(super) fn environment(
    variables: impl IntoIterator<Item = (OsString, OsString)>,
) -> Result<Environment> {
    let defaults = Figment::from(Serialized::defaults(Config::default()));
    let mut given = Environment::default();
    for (name, text) in variables {
        let Some(name) = name.to_str().filter(|name| name.starts_with(PREFIX)) else {
            continue;
        };
        let text = text.into_string().map_err(|_| {
            Error::invalid(format!("the environment variable {name} is not UTF-8 text"))
        })?;
        if let Some(variable) = ClusterVariable::parse(name, &text) {
            given.clusters.push(variable);
            continue;
        }
        let path = path_of(name).ok_or_else(|| {
            Error::invalid(format!(
                "the environment variable {name} names no setting; unset it or correct its name"
            ))
        })?;
        let default = defaults
            .find_value(path)
            .expect("every row of the table has a default");
        given.settings.push((path, typed(text, &default)));
    }
    Ok(given)
}

/// `AMIGO_ADMIN_LIMITS__SQL_ROWS` is `limits.sql_rows`; exactly so, capitals included, so that no two spellings of one
/// setting can contradict each other.
fn path_of(variable: &str) -> Option<&'static str> {
    rows()
        .iter()
        .map(|row| row.path)
        .find(|path| variable_of(path) == variable)
}

/// The environment variable of the setting at `path`.
pub(super) fn variable_of(path: &str) -> String {
    format!("{PREFIX}{}", path.to_uppercase().replace('.', "__"))
}

/// A text setting takes the variable as it is (a folder may be called `2026`), any other as TOML would read it.
fn typed(text: String, default: &Value) -> Value {
    match default {
        Value::String(..) => Value::from(text),
        _ => text
            .parse()
            .unwrap_or_else(|never: std::convert::Infallible| match never {}),
    }
}

/// Where settings were given.
pub(super) struct Origin {
    file: Option<PathBuf>,
    /// Those of the environment by path, each with its variable.
    variables: Vec<(String, String)>,
}

impl Origin {
    /// The environment wins over the file, so what it gave is what was read.
    fn of(&self, path: &str) -> Option<String> {
        let variable = self.variables.iter().find(|(given, _)| given == path);
        match (variable, &self.file) {
            (Some((_, variable)), _) => Some(format!("the environment variable {variable}")),
            (None, Some(file)) => Some(file.display().to_string()),
            (None, None) => None,
        }
    }

    /// The error with where the setting was given that its sentence begins with.
    pub(super) fn named(&self, error: Error) -> Error {
        let message = error.message();
        let path = message.split([' ', ':']).next().unwrap_or_default();
        let Some(given) = self.of(path) else {
            return error;
        };
        let named = Error::invalid(format!("{message} (given in {given})"));
        match error.source() {
            Some(cause) => named.because(cause.to_string()),
            None => named,
        }
    }
}

/// Defaults, file and environment laid over each other, and where they were given; ranges are not checked yet.
pub(super) fn read(file: Option<&Path>, environment: &Environment) -> Result<(Config, Origin)> {
    let mut all = Figment::from(Serialized::defaults(Config::default()));
    if let Some(file) = file {
        let text = std::fs::read_to_string(file).map_err(|error| {
            Error::invalid(format!(
                "the configuration file {} cannot be read ({error})",
                file.display()
            ))
        })?;
        let toml = Toml::string(&text);
        toml.data().map_err(|error| {
            let place = place_in_toml(&error.to_string());
            Error::invalid(format!("{} is not valid TOML{place}", file.display()))
        })?;
        all = all.merge(toml);
    }
    let mut given = Vec::new();
    for (path, value) in &environment.settings {
        given.push(((*path).to_owned(), variable_of(path)));
        all = all.merge(Serialized::default(path, value));
    }
    all = clusters_of(all, environment, &mut given)?;
    let origin = Origin {
        file: file.map(Path::to_owned),
        variables: given,
    };
    match all.extract() {
        Ok(config) => Ok((config, origin)),
        Err(error) => Err(explain(&error, &origin)),
    }
}

/// Lays the environment's settings of clusters over the file's.
fn clusters_of(
    mut all: Figment,
    environment: &Environment,
    given: &mut Vec<(String, String)>,
) -> Result<Figment> {
    let in_file: Vec<String> = match all.find_value("clusters") {
        Ok(Value::Dict(_, clusters)) => clusters.into_keys().collect(),
        _ => Vec::new(),
    };
    for variable in &environment.clusters {
        let cluster = format!("clusters.{}", variable.cluster(&in_file)?);
        let path = |setting: &str| format!("{cluster}.{setting}");
        let mine = path(variable.setting);
        let other = match variable.setting {
            "mongodb" => path("mongodb_file"),
            "mongodb_file" => path("mongodb"),
            _ => String::new(),
        };
        // The other way to say where the cluster is may be the file's; here it would contradict.
        if !other.is_empty() && !given.iter().any(|(path, _)| *path == other) {
            all = all.merge(Serialized::default(&other, None::<String>));
        }
        all = all.merge(Serialized::default(&mine, &variable.value));
        given.push((mine, variable.name.clone()));
    }
    Ok(all)
}

/// Where a file stops being TOML. Not the line itself, which the parser quotes: it may hold a password.
fn place_in_toml(error: &str) -> String {
    let place = error.lines().next().unwrap_or_default();
    match place.strip_prefix("TOML parse error at ") {
        Some(place) => format!(" at {place}"),
        None => String::new(),
    }
}

fn explain(error: &figment::Error, origin: &Origin) -> Error {
    let path = error.path.join(".");
    let source = origin.of(&path);
    let source = source.unwrap_or_else(|| "the settings".to_owned());
    Error::invalid(match &error.kind {
        Kind::UnknownField(..) => {
            format!("{path} in {source} is no setting; correct its name or remove it")
        }
        Kind::InvalidType(_, expected) | Kind::InvalidValue(_, expected)
            if is_of_address(&error.path) =>
        {
            format!("{path} in {source} must be {expected}")
        }
        kind => without_credentials(&format!("{path} in {source}: {kind}")),
    })
}

/// Whether what was found there may be a connection string: where a cluster is, or a cluster itself.
fn is_of_address(path: &[String]) -> bool {
    match path {
        [clusters, _] => clusters == "clusters",
        [clusters, _, setting, ..] => clusters == "clusters" && setting == "mongodb",
        _ => false,
    }
}
