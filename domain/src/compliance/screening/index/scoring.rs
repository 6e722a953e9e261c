//! Scoring of a name comparison.

use super::{
    Compared, EXTRA, FAMILY, HALF_FAMILY, INITIAL, Likeness, ListedName, NAME, Pair, Part, Parts, Shape,
};
use crate::compliance::screening::births::{self, Birth, SAME_YEAR};
use chrono::NaiveDate;

/// Result of comparing two names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NameScore {
    pub points: i32,
    pub same: u32,
    pub alike: u32,
    pub initials: u32,
    pub longer: u32,
    pub is_common: bool,
}

impl NameScore {
    /// Subtracts points for a common name: half as many if the year of birth is the same, none if the names
    /// are identical and no date of birth is listed.
    pub fn penalize_if_common(&mut self, chance: u64, birth: i32, births: &[Birth]) {
        let points = match chance {
            0..100 => 0,
            100..400 => 8,
            _ => 16,
        };
        // The same year of birth is also evidence for the person.
        let points = if birth >= SAME_YEAR { points / 2 } else { points };
        let is_same = self.alike == 0 && self.initials == 0;
        if points > 0 && !(is_same && births.is_empty()) {
            self.points -= points;
            self.is_common = true;
        }
    }
}

/// Compares a name with a listed one by the pairs of their words, which are sorted by likeness.
pub fn compare(pairs: &[Pair], person: &Shape, listed: &Shape) -> NameScore {
    let (mut person_taken, mut listed_taken): (Parts, Parts) = (0, 0);
    let mut found = NameScore { points: 0, same: 0, alike: 0, initials: 0, longer: 0, is_common: false };
    let (mut sum, mut person_count, mut listed_count) =
        (0, person.core.count_ones(), listed.core.count_ones());
    for pair in pairs {
        let (of_person, of_listed) = (pair.person & person.core, pair.listed & listed.core);
        if person_taken & pair.person != 0
            || listed_taken & pair.listed != 0
            || of_person == 0
            || of_listed == 0
        {
            continue;
        }
        person_taken |= pair.person;
        listed_taken |= pair.listed;
        person_count -= of_person.count_ones() - 1;
        listed_count -= of_listed.count_ones() - 1;
        sum += pair.likeness;
        if pair.likeness == 100 {
            found.same += 1;
        } else {
            found.alike += 1;
        }
    }
    for (letter, at) in person.letters.iter().zip(0_u32..) {
        if person.core & !person_taken & 1 << at == 0 {
            continue;
        }
        let free = listed.core & !listed_taken;
        let is_initial = person.initials & 1 << at != 0;
        let fits = |(other, place): &(&u8, u32)| {
            free & 1 << place != 0 && *other == letter && (is_initial || listed.initials & 1 << place != 0)
        };
        if let Some((_, place)) = listed.letters.iter().zip(0_u32..).find(fits) {
            person_taken |= 1 << at;
            listed_taken |= 1 << place;
            sum += INITIAL;
            found.initials += 1;
        }
    }
    let all_taken = person.core & !person_taken == 0 && listed.core & !listed_taken == 0;
    let least =
        if all_taken && (person.core.count_ones() > 1 || listed.core.count_ones() > 1) { 1 } else { 2 };
    let shorter = person_count.min(listed_count).max(least);
    found.longer = person_count.max(listed_count).max(least);
    let (of_longer, taken) =
        if listed_count > person_count { (listed, listed_taken) } else { (person, person_taken) };
    let missing = (of_longer.family & !taken).count_ones().min(found.longer - shorter);
    let family = match missing {
        0 => 0,
        _ if of_longer.family & taken == 0 => FAMILY,
        parts => HALF_FAMILY * parts,
    };
    let points = NAME * sum / (100 * shorter + EXTRA * (found.longer - shorter) + family);
    found.points = points.cast_signed();
    found
}

/// Builds the result for a hit.
pub fn likeness(score: i32, of_name: &NameScore, listed: &ListedName, born: NaiveDate) -> Likeness {
    let NameScore { points, same, alike, initials, longer, is_common } = *of_name;
    let which = if listed.alias { "an alias" } else { "the name" };
    let mut name = format!(
        "Of {longer} parts of {which}, {same} are identical, {alike} similar, and {initials} match \
            an initial."
    );
    if is_common {
        name.push_str(" Similar names are common on the list.");
    }
    let (birth_points, birth_rule) = births::compared(&listed.births, born);
    Likeness {
        entry: listed.entry,
        listed_name: listed.name.clone(),
        programs: listed.programs.clone(),
        score,
        parts: vec![
            Part { name: Compared::Name, points, rule: name.into() },
            Part { name: Compared::BirthDate, points: birth_points, rule: birth_rule.into() },
        ],
    }
}
