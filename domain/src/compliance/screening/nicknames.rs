//! Short and pet forms of given names.
//!
//! `nicknames.txt` has one given name a line with its diminutives and the forms of neighbouring languages,
//! compiled for Coffer from the common diminutives of English, Russian, Ukrainian, Polish, German, Spanish,
//! Italian and Arabic names.

use std::{collections::HashMap, sync::LazyLock};

static GROUPS: LazyLock<HashMap<&'static str, Vec<u16>>> = LazyLock::new(|| {
    let mut groups: HashMap<&str, Vec<u16>> = HashMap::new();
    for (number, line) in (0..).zip(include_str!("nicknames.txt").lines()) {
        for name in line.split(' ') {
            groups.entry(name).or_default().push(number);
        }
    }
    groups
});

/// The groups of names that are used for each other which a name is in.
pub fn groups(name: &str) -> &'static [u16] {
    GROUPS.get(name).map_or(&[], Vec::as_slice)
}
