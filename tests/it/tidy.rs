//! The house stays as it was laid out: which module may know which, and how large a file may grow.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use crate::support::walk;

/// Modules of the application, top down: each may import those below its own line, and no others but its own.
const LEVELS: [&[&str]; 6] = [
    &["cli"],
    &["app"],
    &["http"],
    &["identity", "prompt_logs", "sql_query"],
    &["guard"],
    &["engine", "clusters", "lake", "directory"],
];
/// What every module may use; these use none of the above.
const FOR_ALL: [&str; 6] = [
    "config",
    "clock",
    "core_dumps",
    "folder",
    "metrics",
    "traces",
];
/// Where DataFusion may be named.
const KNOW_DATAFUSION: [&str; 2] = ["engine", "lake"];
const LINES_MAX: usize = 500;
/// Imports that go against the levels, each with the reason why it is right so.
const EXCEPTIONS: [(&str, &str, &str); 3] = [
    (
        "http",
        "app",
        "handlers get the application as their state; `app` only makes and serves the router",
    ),
    ("engine", "lake", "the engine queries lake tables"),
    (
        "clusters",
        "directory",
        "the columns of a sample are kept, so that they are the same for the next query",
    ),
];

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// Rust files below a folder of the repository, with their text.
fn sources(folder: &str) -> BTreeMap<PathBuf, String> {
    let mut found = BTreeMap::new();
    walk(&root().join(folder), &mut |path| {
        if path.extension().is_some_and(|extension| extension == "rs") {
            let relative = path.strip_prefix(root()).unwrap().to_owned();
            found.insert(relative, std::fs::read_to_string(path).unwrap());
        }
    });
    assert!(!found.is_empty(), "{folder}");
    found
}

/// The lines of a file that are code, without their comments.
fn code(text: &str) -> impl Iterator<Item = &str> {
    let lines = text
        .lines()
        .map(|line| line.split("//").next().unwrap_or_default());
    lines.filter(|line| !line.trim().is_empty())
}

/// The module of the application a file belongs to: `http` for `src/http/caller.rs`, `app` for `src/app.rs`.
fn module(file: &Path) -> String {
    let first = file
        .components()
        .nth(1)
        .unwrap()
        .as_os_str()
        .to_string_lossy();
    first.trim_end_matches(".rs").to_owned()
}

fn level(module: &str) -> Option<usize> {
    LEVELS.iter().position(|level| level.contains(&module))
}

/// The modules that code names as `crate::x`, or several at once as `crate::{x, y::{z, w}}`.
fn imports(text: &str) -> Vec<String> {
    let code: String = code(text).flat_map(|line| [line, "\n"]).collect();
    let mut found = Vec::new();
    for (at, path) in code.match_indices("crate::") {
        let (mut depth, mut name) = (0, String::new());
        for letter in code[at + path.len()..].chars() {
            match letter {
                '{' => depth += 1,
                '}' => depth -= 1,
                ',' if depth == 1 => found.push(std::mem::take(&mut name)),
                // What follows the first `::` of a name is that module's own.
                ':' if depth <= 1 => name.push(':'),
                letter if depth <= 1 && (letter.is_ascii_alphanumeric() || letter == '_') => {
                    name.push(letter)
                }
                letter if letter.is_whitespace() || depth > 1 => {}
                _ => break,
            }
            if depth == 0 && (letter == '}' || name.ends_with(':')) {
                break;
            }
        }
        found.push(name);
    }
    let first = |path: String| path.split(':').next().unwrap_or_default().to_owned();
    let names = found.into_iter().map(first);
    names.filter(|name| !name.is_empty()).collect()
}

/// Whether a file climbs to the root of the crate by `super::super`, past the check of its imports.
fn climbs_out(file: &Path, text: &str) -> bool {
    let path = file.with_extension("");
    let depth = path
        .components()
        .skip(1)
        .filter(|part| part.as_os_str() != "mod")
        .count();
    let climb = "super::".repeat(depth);
    // The tests at a file's end are one module deeper.
    let mut code = code(text).take_while(|line| !line.starts_with("mod tests {"));
    code.any(|line| line.contains(&climb))
}

#[test]
fn imports_are_found_however_they_are_written() {
    let check = |code: &str, expected: &[&str]| assert_eq!(imports(code), expected, "{code}");
    check("use crate::lake::Lake;", &["lake"]);
    check(
        "use crate::{app, lake::{self, Lake}, http::router};\nuse x;",
        &["app", "lake", "http"],
    );
    check(
        "use crate::{\n    clock::Clock,\n    config::Config,\n};",
        &["clock", "config"],
    );
    check("pub(crate) fn x(y: crate::app::App) {}", &["app"]);
    check(
        "// use crate::lake;\nlet x = crate::clock::now();",
        &["clock"],
    );
    assert!(climbs_out(
        Path::new("src/http/router.rs"),
        "use super::super::lake;"
    ));
    assert!(climbs_out(Path::new("src/http/mod.rs"), "use super::lake;"));
    assert!(!climbs_out(
        Path::new("src/engine/sources/prompt_logs.rs"),
        "use super::super::protocol;"
    ));
}

#[test]
fn imports_point_down() {
    let mut wrong = Vec::new();
    for (file, text) in sources("src") {
        let from = module(&file);
        if climbs_out(&file, &text) && !["main", "lib", "app"].contains(&from.as_str()) {
            wrong.push(format!("{} climbs out with super", file.display()));
        }
        for to in imports(&text) {
            let is_right = from == to
                || from == "main"
                || FOR_ALL.contains(&to.as_str())
                || EXCEPTIONS
                    .iter()
                    .any(|(one, other, _)| (*one, *other) == (from.as_str(), to.as_str()))
                || level(&from)
                    .zip(level(&to))
                    .is_some_and(|(from, to)| from < to);
            if !is_right {
                wrong.push(format!("{} imports crate::{to}", file.display()));
            }
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[test]
fn every_module_has_its_place() {
    for file in sources("src").keys() {
        let module = module(file);
        let known = level(&module).is_some() || FOR_ALL.contains(&module.as_str());
        assert!(
            known || ["main", "lib"].contains(&module.as_str()),
            "{} is on no level",
            file.display()
        );
    }
}

#[test]
fn only_the_engine_and_the_lake_know_datafusion() {
    for (file, text) in sources("src") {
        if !KNOW_DATAFUSION.contains(&module(&file).as_str()) {
            let named = code(&text).find(|line| line.contains("datafusion"));
            assert_eq!(named, None, "{}", file.display());
        }
    }
}

#[test]
fn leaf_crates_know_no_runtime_no_server_and_no_engine() {
    let mut manifests = 0;
    for entry in std::fs::read_dir(root().join("crates")).unwrap() {
        let manifest = entry.unwrap().path().join("Cargo.toml");
        let text = std::fs::read_to_string(&manifest).unwrap();
        manifests += 1;
        for line in text.lines() {
            let dependency = line.split(['=', '.', ' ']).next().unwrap_or_default();
            let forbidden = [
                "tokio",
                "axum",
                "datafusion",
                "rules",
                "zip_stream",
                "demo_data",
                "prompt_intake",
                "result_json",
            ];
            assert!(
                !forbidden.contains(&dependency),
                "{}: {line}",
                manifest.display()
            );
        }
    }
    assert!(manifests >= 5);
}

#[test]
fn files_are_short_enough_to_hold_in_the_head() {
    for (file, text) in sources("src") {
        let lines = text.lines().count();
        assert!(lines <= LINES_MAX, "{} has {lines} lines", file.display());
    }
}

#[test]
fn every_file_says_what_it_is_for() {
    for (file, text) in sources("src") {
        // A folder of tests speaks through its tests' names.
        if !file.to_string_lossy().contains("tests") {
            assert!(
                text.starts_with("//!"),
                "{} has no module comment",
                file.display()
            );
        }
    }
}

#[test]
fn every_permission_the_code_asks_for_is_in_the_list() {
    let is_permission = |text: &str| {
        let is_word = |word: &str| {
            word.starts_with(|letter: char| letter.is_ascii_uppercase())
                && word.contains(|letter: char| letter.is_ascii_lowercase())
                && word.chars().all(|letter| letter.is_ascii_alphanumeric())
        };
        text.split_once(':')
            .is_some_and(|(family, name)| is_word(family) && is_word(name))
    };
    let mut asked = Vec::new();
    for (file, text) in sources("src") {
        // Acts of the audit log have names of the same form, which nothing asks for.
        let name = file.to_string_lossy();
        if name.contains("tests") || name.ends_with("audit/action.rs") {
            continue;
        }
        // What stands between quotes, in code; a string over several lines is none of these.
        for line in code(&text).take_while(|line| !line.starts_with("mod tests {")) {
            let quoted = line.split('"').skip(1).step_by(2);
            asked.extend(quoted.filter(|text| is_permission(text)).map(str::to_owned));
        }
    }
    assert!(asked.len() >= 15, "{asked:?}");
    for permission in asked {
        let listed = rules::PERMISSIONS
            .iter()
            .any(|(name, _)| *name == permission);
        assert!(
            listed,
            "{permission} is not in crates/rules/src/permissions.rs"
        );
    }
}

#[test]
fn every_test_that_the_security_page_names_is_there() {
    let page = std::fs::read_to_string(root().join("docs/security.md")).unwrap();
    let section = page.split_once("\n## How to check it\n").unwrap().1;
    let section = section.split_once("\n## ").unwrap().0;
    let code = section.split('`').skip(1).step_by(2);
    // Names of tests are sentences; nothing else there is.
    let is_name = |code: &&str| {
        let is_letter =
            |letter: char| letter.is_ascii_lowercase() || "_0123456789".contains(letter);
        code.matches('_').count() >= 4 && code.chars().all(is_letter)
    };
    let tests: Vec<&str> = code.filter(is_name).collect();
    assert!(tests.len() >= 30, "{tests:?}");
    let mut sources = sources("tests/it");
    sources.extend(self::sources("src"));
    sources.extend(self::sources("crates"));
    for test in tests {
        let is_defined = |text: &String| text.contains(&format!("fn {test}("));
        assert!(sources.values().any(is_defined), "{test}");
    }
}
