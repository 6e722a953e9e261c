//! Imports run one way: what must never stand in a room is searched for in its text.

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

/// The sources of a room: a folder, and the file beside it that is its root.
fn room(name: &str) -> Vec<Source> {
    let mut paths = Vec::new();
    let folder = root().join(name);
    if folder.is_dir() {
        files_under(&folder, &mut paths);
    }
    let file = root().join(format!("{name}.rs"));
    if file.is_file() {
        paths.push(file);
    }
    assert!(!paths.is_empty(), "there is no room {name}");
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

/// Files made for unit tests alone.
const TOYS: [&str; 2] = ["src/graphql/core/test_schema.rs", "src/graphql/core/complete/tests.rs"];

#[track_caller]
fn assert_absent(words: &[&str], rooms: &[&str], exempt: &[&str], why: &str) {
    let mut found = Vec::new();
    for source in
        rooms.iter().flat_map(|name| room(name)).filter(|source| !exempt.contains(&source.path.as_str()))
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
fn rules_know_no_door() {
    let manifest = fs::read_to_string(root().join("domain/Cargo.toml")).unwrap();
    for door in ["async-graphql", "axum"] {
        assert!(!manifest.contains(door), "rules and tables must not know how they are asked");
    }
}

#[test]
fn doors_read_no_tables() {
    assert_absent(
        &["sea_orm"],
        &["src/graphql", "src/rest"],
        &[
            "src/graphql/core/loaders.rs",
            "src/graphql/core/loaders/keyed.rs",
            "src/graphql/core/loaders/rows.rs",
        ],
        "a door asks the domain",
    );
}

#[test]
fn the_doors_do_not_know_each_other() {
    assert_absent(&["rest::"], &["src/graphql"], &[], "the GraphQL door must not use the REST door");
    assert_absent(&["graphql"], &["src/rest"], &[], "the REST door must not use the GraphQL door");
}

#[test]
fn nothing_reopens_what_fault_closes() {
    let words = ["async_graphql::*", "async_graphql::Result", "Error::new"];
    assert_absent(
        &words,
        &["src/graphql"],
        &TOYS,
        "an error leaves through `Fault`, which has no text to leak",
    );
    for source in room("src/graphql").iter().filter(|source| !TOYS.contains(&source.path.as_str())) {
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
fn providers_know_of_the_rules_only_the_calendar_and_where_they_are_kept() {
    for source in room("domain/src/providers") {
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
        &["now_v7", "new_v4"],
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

/// The names that the root of the crate `domain` re-exports, and the module each comes from.
fn reexported(text: &str) -> BTreeMap<String, Vec<String>> {
    let mut names = BTreeMap::new();
    for tree in text.split("pub use ").skip(1).filter_map(|rest| rest.split(';').next()) {
        for path in expanded(tree) {
            names.insert(path.last().unwrap().clone(), path);
        }
    }
    names
}

/// The paths that a tree such as `a::{b, c::{self, d}}` stands for.
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

/// Every path of a file of the crate `domain` that names something of the crate, from its root on.
fn paths_in(source: &Source) -> Vec<Vec<String>> {
    let module = source.path.trim_start_matches("domain/src/").trim_end_matches(".rs");
    let module: Vec<String> = module.split('/').map(str::to_owned).collect();
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
            let kept = base.unwrap_or_else(|| module.len().saturating_sub(up));
            let tree = rest.split([';', '(', ')']).next().unwrap_or_default();
            paths.extend(
                expanded(tree).into_iter().map(|path| module[..kept].iter().cloned().chain(path).collect()),
            );
        }
    }
    paths
}

/// The items of a `{…}` list, up to the bracket that closes it.
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
fn areas_use_only_areas_before_them() {
    let sources = room("domain/src");
    let reexported =
        reexported(&sources.iter().find(|source| source.path == "domain/src/lib.rs").unwrap().text);
    assert_eq!(reexported["Refusal"], ["kernel", "error", "Refusal"]);
    let rank = |area: &str| AREAS.iter().position(|one| *one == area);
    let mut edges: BTreeMap<(String, String), BTreeSet<String>> = BTreeMap::new();
    for source in sources.iter().filter(|source| source.path != "domain/src/lib.rs") {
        let area = source.path.trim_start_matches("domain/src/").split(['/', '.']).next().unwrap().to_owned();
        assert!(rank(&area).is_some(), "{} belongs to no area", source.path);
        for path in paths_in(source) {
            let Some(first) = path.first() else { continue };
            let other = reexported.get(first).map_or(first, |path| &path[0]).clone();
            assert!(rank(&other).is_some() || other == "AREAS", "{}: {other:?} is no area", source.path);
            edges.entry((area.clone(), other)).or_default().insert(source.path.clone());
        }
    }
    let of = |from: &str, to: &str| edges.get(&(from.to_owned(), to.to_owned()));
    assert!(
        of("trading", "kernel").is_some() && of("funding", "compliance").is_none(),
        "the graph was not read: {edges:?}"
    );
    let upward: Vec<_> = edges.iter().filter(|((from, to), _)| rank(to) > rank(from)).collect();
    assert!(upward.is_empty(), "areas use areas after them: {upward:#?}");
}
