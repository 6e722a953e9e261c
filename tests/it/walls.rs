//! Imports run one way: what must never stand in a room is searched for in its text.

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
        let text = code.lines().filter(|line| !line.trim_start().starts_with("//")).collect::<Vec<_>>().join("\n");
        Source { path: path.strip_prefix(root()).unwrap().to_str().unwrap().to_owned(), text }
    };
    paths.into_iter().map(source).collect()
}

/// Files made for unit tests alone.
const TOYS: [&str; 2] = ["src/graphql/toy.rs", "src/graphql/complete/tests.rs"];

#[track_caller]
fn assert_absent(words: &[&str], rooms: &[&str], exempt: &[&str], why: &str) {
    let mut found = Vec::new();
    for source in rooms.iter().flat_map(|name| room(name)).filter(|source| !exempt.contains(&source.path.as_str())) {
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
    assert_absent(&["async_graphql", "axum"], &["src/domain", "entity/src"], &[], "rules and tables must not know how they are asked");
    let doors = ["crate::graphql", "crate::rest", "crate::http", "crate::wire", "crate::workers"];
    assert_absent(&doors, &["src/domain", "src/providers", "src/app"], &[], "imports run from the doors to the rules");
}

#[test]
fn doors_read_no_tables() {
    assert_absent(&["sea_orm"], &["src/graphql", "src/rest"], &["src/graphql/loaders.rs"], "a door asks the domain");
}

#[test]
fn the_doors_do_not_know_each_other() {
    assert_absent(&["rest::"], &["src/graphql"], &[], "the GraphQL door must not use the REST door");
    assert_absent(&["graphql"], &["src/rest"], &[], "the REST door must not use the GraphQL door");
}

#[test]
fn nothing_reopens_what_fault_closes() {
    let words = ["async_graphql::*", "async_graphql::Result", "Error::new"];
    assert_absent(&words, &["src/graphql"], &TOYS, "an error leaves through `Fault`, which has no text to leak");
    for source in room("src/graphql").iter().filter(|source| !TOYS.contains(&source.path.as_str())) {
        for import in source.text.split("use async_graphql::").skip(1).filter_map(|rest| rest.split(';').next()) {
            let list = format!("{import}}}");
            let items = if import.starts_with('{') { outermost(&list[1..]) } else { vec![import] };
            for item in items {
                let forbidden = ["*", "Result", "Error", "FieldResult", "FieldError"];
                assert!(!forbidden.contains(&item.trim()), "{} imports async_graphql::{}", source.path, item.trim());
            }
        }
    }
}

#[test]
fn providers_know_of_the_rules_only_the_calendar() {
    for source in room("src/providers") {
        for (module, _) in domain_modules_named_in(&source.text, false) {
            assert_eq!(module, "calendar", "{} uses domain::{module}", source.path);
        }
    }
}

#[test]
fn time_ids_and_settings_come_from_one_place() {
    assert_absent(
        &["Utc::now", "Local::now", "SystemTime::now"],
        &["src", "entity/src"],
        &["src/domain/clock.rs"],
        "time comes from the clock",
    );
    assert_absent(&["now_v7", "new_v4"], &["src", "entity/src"], &["src/domain/ids.rs"], "ids come from the App");
    assert_absent(&["env::var"], &["src", "entity/src"], &["src/config.rs"], "settings are read in config.rs");
}

/// What `domain.rs` gives out under its own name, and the module it comes from.
fn given_out(text: &str) -> BTreeMap<String, String> {
    let mut names = BTreeMap::new();
    for line in text.lines().filter_map(|line| line.strip_prefix("pub use ")) {
        let (module, list) = line.trim_end_matches(';').split_once("::").unwrap();
        for name in list.trim_matches(['{', '}']).split(',') {
            names.insert(name.trim().to_owned(), module.to_owned());
        }
    }
    names
}

/// The first step of every path that starts in `domain`, with the text that follows it.
fn domain_modules_named_in(text: &str, within: bool) -> Vec<(String, String)> {
    let mut steps = Vec::new();
    let starts: &[&str] = if within { &["super::", "crate::domain::"] } else { &["crate::domain::"] };
    for start in starts {
        for rest in text.split(start).skip(1) {
            let list = match rest.strip_prefix('{') {
                Some(list) => outermost(list),
                None => vec![rest],
            };
            for item in list {
                let step: String = item.trim_start().chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect();
                steps.push((step, item.trim_start().to_owned()));
            }
        }
    }
    steps
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
fn no_rule_needs_what_needs_it() {
    let sources = room("src/domain");
    let given_out = given_out(&sources.iter().find(|source| source.path == "src/domain.rs").unwrap().text);
    assert_eq!(given_out.get("Refusal").map(String::as_str), Some("error"));
    let module_of = |path: &str| path.trim_start_matches("src/domain/").split(['/', '.']).next().unwrap().to_owned();
    let modules: BTreeSet<String> =
        sources.iter().filter(|source| source.path != "src/domain.rs").map(|source| module_of(&source.path)).collect();
    let mut uses: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for source in sources.iter().filter(|source| source.path != "src/domain.rs") {
        let module = module_of(&source.path);
        let deep = source.path.matches('/').count() > 2;
        for (step, _) in domain_modules_named_in(&source.text, !deep) {
            let other = given_out.get(&step).unwrap_or(&step).clone();
            assert!(modules.contains(&other), "{}: {step:?} is no module of the domain", source.path);
            if other != module {
                uses.entry(module.clone()).or_default().insert(other);
            }
        }
    }
    assert!(uses["orders"].contains("ledger") && uses["orders"].contains("positions"), "the graph was not read: {uses:?}");
    let mut cycles = BTreeSet::new();
    for start in uses.keys() {
        find_cycles(&uses, &mut vec![start.as_str()], &mut cycles);
    }
    assert!(cycles.is_empty(), "modules of the domain need each other:\n{}", cycles.into_iter().collect::<Vec<_>>().join("\n"));
}

/// Walks on from the end of `way`; a way that returns to its start is a cycle. Every module of a cycle stands behind its least one.
fn find_cycles<'a>(uses: &'a BTreeMap<String, BTreeSet<String>>, way: &mut Vec<&'a str>, cycles: &mut BTreeSet<String>) {
    let (start, end) = (way[0], way[way.len() - 1]);
    for next in uses.get(end).into_iter().flatten() {
        if next == start {
            cycles.insert(format!("{} → {start}", way.join(" → ")));
        } else if next.as_str() > start && !way.contains(&next.as_str()) {
            way.push(next);
            find_cycles(uses, way, cycles);
            way.pop();
        }
    }
}
