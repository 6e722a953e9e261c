//! Diminutives of given names.
//!
//! Each line of `nicknames.txt` has one given name with its diminutives and its forms in related languages,
//! compiled for Coffer from common diminutives of English, Russian, Ukrainian, Polish, German, Spanish,
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

/// Returns the groups of interchangeable names that a name belongs to.
pub fn groups(name: &str) -> &'static [u16] {
    GROUPS.get(name).map_or(&[], Vec::as_slice)
}
