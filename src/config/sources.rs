//! Reads settings from the file and the environment and says precisely which one is wrong.

use std::ffi::OsString;
use std::path::Path;

use figment::error::Kind;
use figment::providers::{Format, Serialized, Toml};
use figment::value::Value;
use figment::{Figment, Provider};
use rules::{Error, Result};

use super::{Config, rows};

/// What the names of all environment variables of the server begin with.
const PREFIX: &str = "AMIGO_ADMIN_";

/// The settings given as environment variables, by path.
#[derive(Debug, Default)]
pub(super) struct Environment(Vec<(&'static str, Value)>);

/// Picks the server's settings out of all environment variables.
pub(super) fn environment(
    variables: impl IntoIterator<Item = (OsString, OsString)>,
) -> Result<Environment> {
    let defaults = Figment::from(Serialized::defaults(Config::default()));
    let mut given = Vec::new();
    for (name, text) in variables {
        let Some(name) = name.to_str().filter(|name| name.starts_with(PREFIX)) else {
            continue;
        };
        let path = path_of(name).ok_or_else(|| {
            Error::invalid(format!(
                "the environment variable {name} names no setting; unset it or correct its name"
            ))
        })?;
        let text = text.into_string().map_err(|_| {
            Error::invalid(format!("the environment variable {name} is not UTF-8 text"))
        })?;
        let default = defaults
            .find_value(path)
            .expect("every row of the table has a default");
        given.push((path, typed(text, &default)));
    }
    Ok(Environment(given))
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

/// Defaults, file and environment laid over each other; ranges are not checked yet.
pub(super) fn read(file: Option<&Path>, environment: &Environment) -> Result<Config> {
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
            Error::invalid(format!("{} is not valid TOML: {error}", file.display()))
        })?;
        all = all.merge(toml);
    }
    for (path, value) in &environment.0 {
        all = all.merge(Serialized::default(path, value));
    }
    all.extract()
        .map_err(|error| explain(&error, file, environment))
}

fn explain(error: &figment::Error, file: Option<&Path>, environment: &Environment) -> Error {
    let path = error.path.join(".");
    // The environment wins over the file, so what it gave is what was read.
    let is_from_environment = environment.0.iter().any(|(given, _)| *given == path);
    let source = match file {
        _ if is_from_environment => format!("the environment variable {}", variable_of(&path)),
        Some(file) => file.display().to_string(),
        None => "the settings".to_owned(),
    };
    Error::invalid(match &error.kind {
        Kind::UnknownField(..) => {
            format!("{path} in {source} is no setting; correct its name or remove it")
        }
        kind => format!("{path} in {source}: {kind}"),
    })
}
