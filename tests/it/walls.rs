//! Checks the dependencies between modules by searching the source text for forbidden imports.

use domain::AREAS;
use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::{Path, PathBuf},
};

/// A source file: its path from the root of the repository, and its text without comments and unit tests.
struct Source {
    path: String,
    text: String,
}

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn files_under(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            files_under(&path, found);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            found.push(path);
        }
    }
}

/// Returns the sources of a module: its folder, and the file beside the folder that is its root.
fn module(name: &str) -> Vec<Source> {
    let mut paths = Vec::new();
    let folder = root().join(name);
    if folder.is_dir() {
        files_under(&folder, &mut paths);
    }
    let file = root().join(format!("{name}.rs"));
    if file.is_file() {
        paths.push(file);
    }
    assert!(!paths.is_empty(), "module {name} was not found");
    paths.sort();
    let source = |path: PathBuf| {
        let text = fs::read_to_string(&path).unwrap();
        let code = text.split("#[cfg(test)]\nmod tests {").next().unwrap();
        let text =
            code.lines().filter(|line| !line.trim_start().starts_with("//")).collect::<Vec<_>>().join("\n");
        Source { path: path.strip_prefix(root()).unwrap().to_str().unwrap().to_owned(), text }
    };
    paths.into_iter().map(source).collect()
}

/// Files that are used only by unit tests.
const UNIT_TEST_FILES: [&str; 2] = ["src/graphql/core/test_schema.rs", "src/graphql/core/complete/tests.rs"];

#[track_caller]
fn assert_absent(words: &[&str], modules: &[&str], exempt: &[&str], why: &str) {
    let mut found = Vec::new();
    for source in
        modules.iter().flat_map(|name| module(name)).filter(|source| !exempt.contains(&source.path.as_str()))
    {
        for (number, line) in source.text.lines().enumerate() {
            for word in words.iter().filter(|word| line.contains(*word)) {
                found.push(format!("{}: {word:?} in code line {}: {}", source.path, number + 1, line.trim()));
            }
        }
    }
    assert!(found.is_empty(), "{why}:\n{}", found.join("\n"));
}

#[test]
fn the_domain_does_not_depend_on_the_api_libraries() {
    let manifest = fs::read_to_string(root().join("domain/Cargo.toml")).unwrap();
    for library in ["async-graphql", "axum"] {
        assert!(!manifest.contains(library), "the domain must not depend on the API libraries");
    }
}

#[test]
fn the_apis_do_not_read_tables() {
    assert_absent(
        &["sea_orm"],
        &["src/graphql", "src/rest"],
        &[
            "src/graphql/core/loaders.rs",
            "src/graphql/core/loaders/keyed.rs",
            "src/graphql/core/loaders/rows.rs",
        ],
        "the APIs must use the domain instead of the database",
    );
}

#[test]
fn the_apis_do_not_depend_on_each_other() {
    assert_absent(&["rest::"], &["src/graphql"], &[], "the GraphQL API must not use the REST API");
    assert_absent(&["graphql"], &["src/rest"], &[], "the REST API must not use the GraphQL API");
}

#[test]
fn every_graphql_error_is_a_fault() {
    let words = ["async_graphql::*", "async_graphql::Result", "Error::new"];
    assert_absent(
        &words,
        &["src/graphql"],
        &UNIT_TEST_FILES,
        "errors must be returned as `Fault`, which contains no text that could leak",
    );
    for source in
        module("src/graphql").iter().filter(|source| !UNIT_TEST_FILES.contains(&source.path.as_str()))
    {
        for import in
            source.text.split("use async_graphql::").skip(1).filter_map(|rest| rest.split(';').next())
        {
            let list = format!("{import}}}");
            let items = if import.starts_with('{') { outermost(&list[1..]) } else { vec![import] };
            for item in items {
                let forbidden = ["*", "Result", "Error", "FieldResult", "FieldError"];
                assert!(
                    !forbidden.contains(&item.trim()),
                    "{} imports async_graphql::{}",
                    source.path,
                    item.trim()
                );
            }
        }
    }
}

#[test]
fn providers_use_only_the_calendar_and_the_app() {
    for source in module("domain/src/providers") {
        for path in
            paths_in(&source).iter().filter(|path| path.first().is_some_and(|step| step != "providers"))
        {
            let is_allowed = path[0] == "kernel" && ["calendar", "app"].contains(&path[1].as_str());
            assert!(is_allowed, "{} uses {path:?}", source.path);
        }
    }
}

#[test]
fn time_ids_and_settings_come_from_one_place() {
    assert_absent(
        &["Utc::now", "Local::now", "SystemTime::now"],
        &["src", "domain/src", "entity/src"],
        &["domain/src/kernel/clock.rs"],
        "time comes from the clock",
    );
    assert_absent(
        &["::now_v7", "Uuid::new_v4"],
        &["src", "domain/src", "entity/src"],
        &["domain/src/kernel/ids.rs"],
        "ids come from the App",
    );
    assert_absent(
        &["env::var"],
        &["src", "domain/src", "entity/src"],
        &["src/config.rs"],
        "settings are read in config.rs",
    );
}

/// Returns the names that the root of the crate `domain` re-exports, with the path of each.
fn reexported(text: &str) -> BTreeMap<String, Vec<String>> {
    let mut names = BTreeMap::new();
    for tree in text.split("pub use ").skip(1).filter_map(|rest| rest.split(';').next()) {
        for path in expanded(tree) {
            names.insert(path.last().unwrap().clone(), path);
        }
    }
    names
}

/// Expands a use tree such as `a::{b, c::{self, d}}` to its paths.
fn expanded(tree: &str) -> Vec<Vec<String>> {
    let tree = tree.trim();
    if let Some(list) = tree.strip_prefix('{') {
        return outermost(list).into_iter().flat_map(expanded).collect();
    }
    let Some((step, rest)) = tree.split_once("::") else {
        let name = tree.split(|c: char| !c.is_alphanumeric() && c != '_').next().unwrap_or_default();
        return vec![if matches!(name, "" | "self") { Vec::new() } else { vec![name.to_owned()] }];
    };
    let prepend = |path: Vec<String>| std::iter::once(step.to_owned()).chain(path).collect();
    expanded(rest).into_iter().map(prepend).collect()
}

/// Returns every path in a file of the crate `domain` to an item of the same crate, from the crate root.
fn paths_in(source: &Source) -> Vec<Vec<String>> {
    let own = source.path.trim_start_matches("domain/src/").trim_end_matches(".rs");
    let own: Vec<String> = own.split('/').map(str::to_owned).collect();
    let mut paths = Vec::new();
    for (start, base) in [("crate::", Some(0)), ("super::", None)] {
        for (at, _) in source.text.match_indices(start) {
            if source.text[..at].ends_with("super::")
                || source.text[..at].ends_with(|c: char| c.is_alphanumeric() || c == '_')
            {
                continue;
            }
            let mut rest = &source.text[at + start.len()..];
            let mut up = 1;
            while let Some(further) = rest.strip_prefix("super::") {
                (rest, up) = (further, up + 1);
            }
            let depth = base.unwrap_or_else(|| own.len().saturating_sub(up));
            let tree = rest.split([';', '(', ')']).next().unwrap_or_default();
            paths.extend(
                expanded(tree).into_iter().map(|path| own[..depth].iter().cloned().chain(path).collect()),
            );
        }
    }
    paths
}

/// Returns the items of a `{…}` list, up to its closing bracket.
fn outermost(list: &str) -> Vec<&str> {
    let (mut depth, mut from, mut items) = (0, 0, Vec::new());
    for (at, character) in list.char_indices() {
        match character {
            '{' => depth += 1,
            '}' if depth == 0 => {
                items.push(&list[from..at]);
                break;
            }
            '}' => depth -= 1,
            ',' if depth == 0 => {
                items.push(&list[from..at]);
                from = at + 1;
            }
            _ => {}
        }
    }
    items.retain(|item| !item.trim().is_empty());
    items
}

#[test]
fn areas_use_only_areas_that_come_before_them() {
    let sources = module("domain/src");
    let reexported =
        reexported(&sources.iter().find(|source| source.path == "domain/src/lib.rs").unwrap().text);
    assert_eq!(reexported["Refusal"], ["kernel", "error", "Refusal"]);
    let rank = |area: &str| AREAS.iter().position(|one| *one == area);
    let mut edges: BTreeMap<(String, String), BTreeSet<String>> = BTreeMap::new();
    for source in sources.iter().filter(|source| source.path != "domain/src/lib.rs") {
        let area = source.path.trim_start_matches("domain/src/").split(['/', '.']).next().unwrap().to_owned();
        assert!(rank(&area).is_some(), "{} is not in an area", source.path);
        for path in paths_in(source) {
            let Some(first) = path.first() else { continue };
            let other = reexported.get(first).map_or(first, |path| &path[0]).clone();
            assert!(rank(&other).is_some() || other == "AREAS", "{}: {other:?} is not an area", source.path);
            edges.entry((area.clone(), other)).or_default().insert(source.path.clone());
        }
    }
    let of = |from: &str, to: &str| edges.get(&(from.to_owned(), to.to_owned()));
    assert!(
        of("trading", "kernel").is_some() && of("funding", "compliance").is_none(),
        "the dependency graph is incomplete: {edges:?}"
    );
    let upward: Vec<_> = edges.iter().filter(|((from, to), _)| rank(to) > rank(from)).collect();
    assert!(upward.is_empty(), "areas use areas that come after them: {upward:#?}");
}
