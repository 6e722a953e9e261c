//! The language and the layout of what people read: words that puzzle readers, lines and files that are too long.

use std::{
    fs,
    path::{Path, PathBuf},
};

/// Words that the project does not use, in text and in names.
const AVOIDED: [&str; 12] = [
    "she", "her", "hers", "herself", "whom", "nobody", "somebody", "anybody", "door", "doors", "beholder",
    "desk",
];

/// Two words that mean the operator or the server, and are neither.
const AVOIDED_PAIR: [&str; 2] = ["the", "house"];
/// What may follow that pair: an account of the firm, and a part of an address.
const MAY_FOLLOW: [&str; 2] = ["account", "number"];

/// This file, and data in which such a word is a syllable.
const EXEMPT: [&str; 2] = ["tests/it/language.rs", "domain/src/compliance/screening/east_asian.rs"];

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// The files below a folder that have one of these extensions, in order.
fn files(folder: &str, extensions: &[&str]) -> Vec<PathBuf> {
    fn walk(folder: &Path, found: &mut Vec<PathBuf>) {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() && path.file_name().is_none_or(|name| name != "node_modules") {
                walk(&path, found);
            } else if path.is_file() {
                found.push(path);
            }
        }
    }
    let mut found = Vec::new();
    walk(&root().join(folder), &mut found);
    let wanted =
        |path: &PathBuf| path.extension().is_some_and(|ours| extensions.iter().any(|one| ours == *one));
    found.retain(wanted);
    found.sort();
    assert!(!found.is_empty(), "nothing below {folder}");
    found
}

/// Every file that people read, with its path from the root of the repository.
fn texts() -> Vec<(String, String)> {
    let mut paths: Vec<PathBuf> =
        ["README.md", "ARCHITECTURE.md", "CONTRIBUTING.md", "schema.graphql", "openapi.json", "clippy.toml"]
            .iter()
            .map(|name| root().join(name))
            .collect();
    for folder in ["src", "bench/src", "domain/src", "entity/src", "migration/src", "tests/it"] {
        paths.extend(files(folder, &["rs", "html", "graphql", "js"]));
    }
    paths.extend(files("tests/clients", &["mjs", "graphql", "md"]));
    paths.extend(files("docs", &["md"]));
    let read = |path: PathBuf| {
        let name = path.strip_prefix(root()).unwrap().to_str().unwrap().to_owned();
        (name, fs::read_to_string(&path).unwrap())
    };
    paths.into_iter().map(read).filter(|(name, _)| !EXEMPT.contains(&name.as_str())).collect()
}

/// The words of a line in lower case; a name such as `orderPlace` or `place_order` is two words.
fn words(line: &str) -> Vec<String> {
    let mut words = vec![String::new()];
    let mut after_lower = false;
    for character in line.chars() {
        if !character.is_alphabetic() || (character.is_uppercase() && after_lower) {
            words.push(String::new());
        }
        if character.is_alphabetic() {
            words.last_mut().unwrap().extend(character.to_lowercase());
        }
        after_lower = character.is_lowercase();
    }
    words.retain(|word| !word.is_empty());
    words
}

#[test]
fn words_are_split_where_names_are_joined() {
    assert_eq!(
        words("fn place_order(orderPlace: T) // It's."),
        ["fn", "place", "order", "order", "place", "t", "it", "s"]
    );
}

#[test]
fn no_text_and_no_name_puzzles_its_reader() {
    let mut found = Vec::new();
    for (name, text) in texts() {
        for (number, line) in text.lines().enumerate() {
            let words = words(line);
            let avoided = words.iter().find(|word| AVOIDED.contains(&word.as_str()));
            let pair =
                words.windows(2).zip(words.iter().skip(2).map(Some).chain([None])).any(|(pair, next)| {
                    pair == AVOIDED_PAIR && next.is_none_or(|next| !MAY_FOLLOW.contains(&next.as_str()))
                });
            if avoided.is_some() || pair {
                found.push(format!("{name}:{}: {}", number + 1, line.trim()));
            }
        }
    }
    assert!(found.is_empty(), "{} lines with avoided words:\n{}", found.len(), found.join("\n"));
}

#[test]
fn no_line_of_code_is_longer_than_120_columns() {
    let mut found = Vec::new();
    for folder in ["src", "bench", "domain", "entity", "macros", "migration", "tests/it", "benches"] {
        for path in files(folder, &["rs"]) {
            for (number, line) in fs::read_to_string(&path).unwrap().lines().enumerate() {
                if line.chars().count() > 120 {
                    found.push(format!("{}:{}", path.display(), number + 1));
                }
            }
        }
    }
    assert!(found.is_empty(), "lines over 120 columns:\n{}", found.join("\n"));
}

#[test]
fn source_files_are_short() {
    let mut lengths = Vec::new();
    for folder in ["src", "domain/src", "entity/src"] {
        for path in files(folder, &["rs"]) {
            lengths.push((fs::read_to_string(&path).unwrap().lines().count(), path));
        }
    }
    lengths.sort();
    let (median, longest) = (lengths[lengths.len() / 2].0, lengths.last().unwrap());
    assert!(longest.0 <= 500, "{} has {} lines", longest.1.display(), longest.0);
    assert!(median < 200, "half of the files have {median} lines or more");
}
