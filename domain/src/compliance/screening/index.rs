//! Watch list in memory, and the score of how much an applicant resembles its people.
//!
//! The points of a name are 80 times the sum of the values of its parts, divided by 100 for each part of the
//! shorter name plus the additions below.
//!
//! | comparison | points |
//! |---|---|
//! | all parts of the name are identical | 80 |
//! | a part sounds similar, or is a romanization, nickname or short form | its likeness, 58 to 97 of 100 |
//! | a part is an initial of a part of the other name | 50 of 100 |
//! | a part of the shorter name has no counterpart; a name has at least two parts | 0 of 100 |
//! | a part of the longer name has no counterpart | adds 15 to the divisor |
//! | … and it is part of a family name with another part matched | adds 25 more |
//! | … and no part of the family name is matched | adds 45 more |
//! | similar names are common, and no near date of birth is listed | −8 or −16; half with the same year |
//! | date of birth: the same | +20 |
//! | … one day apart, or with day and month swapped | +18 |
//! | … one year apart, or with the last digits of the year swapped | +17 |
//! | … the same month, if the list has no day | +15 |
//! | … different in one digit | +12 |
//! | … the same year, if the list has no more | +10 |
//! | … another day of the same year | +5 |
//! | … at most two years apart, if the list has no day; unreadable, or not listed | 0 |
//! | … another day, at most two years apart | −5 |
//! | … further apart, for every listed date | −30 |
//!
//! A hit has 70 or more points. So the same name without a listed date of birth is a hit (80), and so is a
//! similar name (75 for `Osama Laden` and `BIN LADIN, Usama`), but neither is if every listed date is years
//! apart. A name that agrees in two parts of three is a hit only with the same date of birth (73), and a name
//! that agrees in half is never one (60). A name alone never has 100 points. Parts may be in any order, and
//! two or three parts of one name may be written as one part of the other. Particles (`al`, `de`, `van`) may
//! be left out or joined with the name; a family name that is a particle (`DAS, Ravi`) is compared like any
//! other.
//!
//! The frequency of names is estimated from the list: assuming that names similar to the two rarest parts of
//! the applicant's name occur independently, how many entries would have both by chance? From one on, points
//! are subtracted. The same name without any listed date of birth keeps its points. Organizations, vessels
//! and aircraft are not compared with people.
//!
//! An applicant is compared in full with names with a near date of birth, and with names that share a word.
//! Words are found by keys (see `words`), so that most of the list is not read.

mod scoring;
#[cfg(test)]
mod tests;

use super::{
    births::{self, Birth, FAR, NEAR},
    east_asian::Traditions,
    names::{self, MAX_PARTS, Part as NamePart},
    words::{Key, Word},
};
use chrono::NaiveDate;
use scoring::{NameScore, compare, likeness};
use serde::{Deserialize, Serialize};
use std::{
    borrow::Cow,
    cmp::Reverse,
    collections::{HashMap, hash_map::Entry as Slot},
};

/// Minimum score of a hit, in hundredths.
pub const THRESHOLD: i32 = 70;

/// Points of an identical name.
const NAME: u32 = 80;
/// Divisor added for a part of the longer name without a counterpart, of 100 for each part.
const EXTRA: u32 = 15;
/// Additional divisor if no part of the family name has a counterpart.
const FAMILY: u32 = 45;
/// Additional divisor for each missing part of a family name with another part matched.
const HALF_FAMILY: u32 = 25;
/// Likeness of an initial, of 100 for each part.
const INITIAL: u32 = 50;

/// Subject of a comparison.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Compared {
    Name,
    BirthDate,
}

/// Points that one comparison adds to a score, with the rule. Contains no personal data of the applicant.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Part {
    pub name: Compared,
    /// In hundredths.
    pub points: i32,
    pub rule: Cow<'static, str>,
}

/// Entry that resembles an applicant.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Likeness {
    pub entry: i64,
    /// Name of the entry that resembles the applicant's most.
    pub listed_name: String,
    /// One a line.
    pub programs: String,
    /// Sum of the parts, in hundredths.
    pub score: i32,
    pub parts: Vec<Part>,
}

/// Name of a person on a list.
#[derive(Clone, Debug)]
pub struct ListedName {
    pub entry: i64,
    pub name: String,
    pub alias: bool,
    pub births: Vec<Birth>,
    /// One a line.
    pub programs: String,
}

/// Bit set of the parts of a name that a word covers.
type Parts = u16;

#[derive(Debug)]
struct Name {
    listed: ListedName,
    shape: Shape,
    /// Indexes of its words, with the parts that each covers.
    words: Box<[(u32, Parts)]>,
}

/// Structure of a name's parts.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Shape {
    /// First letter of each part.
    letters: Box<[u8]>,
    /// Parts of one letter.
    initials: Parts,
    /// All parts except particles.
    core: Parts,
    /// Parts of the family name, if known.
    family: Parts,
}

impl Shape {
    fn of(parts: &[NamePart]) -> Self {
        let mask = |is: fn(&NamePart) -> bool| {
            parts.iter().zip(0_u32..).filter(|(part, _)| is(part)).fold(0, |mask, (_, at)| mask | 1 << at)
        };
        Self {
            letters: parts.iter().map(|part| part.text.bytes().next().unwrap_or_default()).collect(),
            initials: mask(|part| part.text.len() == 1),
            core: mask(|part| !part.particle),
            family: mask(|part| part.family && !part.particle),
        }
    }
}

/// Index of the people of watch lists by the words of their names.
#[derive(Debug, Default)]
pub struct Index {
    names: Vec<Name>,
    /// Every part of every name and neighboring parts joined, with the names that contain them.
    words: Vec<Listing>,
    /// Keys with the indexes of their words, sorted.
    keys: Vec<(Key, u32)>,
}

/// Word of the list with the names that contain it.
#[derive(Debug)]
struct Listing {
    word: Word,
    names: Vec<u32>,
}

/// Word of an applicant's name.
struct Unit {
    word: Word,
    parts: Parts,
}

/// Matching words of an applicant's name and a listed name.
#[derive(Clone, Copy, Debug)]
struct Pair {
    likeness: u32,
    person: Parts,
    listed: Parts,
}

/// Likeness of words already compared, by the index of the applicant's word and of the listed one.
type PairCache = HashMap<(usize, u32), Option<u32>>;

impl Index {
    /// Creates an index of the names of the people on lists.
    pub fn new(listed: impl IntoIterator<Item = ListedName>) -> Self {
        let mut index = Self::default();
        let mut places: HashMap<(String, bool, Traditions), u32> = HashMap::new();
        for (number, listed) in (0..).zip(listed) {
            let parts = names::parts(&listed.name);
            let traditions = traditions(&parts);
            let mut words = Vec::new();
            for (text, covered, abjad) in units(&parts, traditions) {
                let place = match places.entry((text, abjad, traditions)) {
                    Slot::Occupied(place) => *place.get(),
                    Slot::Vacant(slot) => {
                        let place = u32::try_from(index.words.len()).unwrap_or(u32::MAX);
                        let word = Word::new(&slot.key().0, abjad, traditions);
                        index.keys.extend(word.keys().map(|key| (key, place)));
                        index.words.push(Listing { word, names: Vec::new() });
                        *slot.insert(place)
                    }
                };
                if let Some(listing) = index.words.get_mut(place as usize) {
                    listing.names.push(number);
                }
                words.push((place, covered));
            }
            index.names.push(Name { listed, shape: Shape::of(&parts), words: words.into() });
        }
        index.keys.sort_unstable();
        index
    }

    /// Returns the words that share a key with a word.
    fn candidates(&self, word: &Word) -> Vec<u32> {
        let sharing = |key| {
            let from = self.keys.partition_point(|(known, _)| *known < key);
            self.keys.iter().skip(from).take_while(move |(known, _)| *known == key).map(|(_, place)| *place)
        };
        let mut places: Vec<u32> = word.keys().flat_map(sharing).collect();
        places.sort_unstable();
        places.dedup();
        places
    }

    /// Returns the number of names.
    pub fn len(&self) -> usize {
        self.names.len()
    }

    /// Whether there are no names.
    pub fn is_empty(&self) -> bool {
        self.names.is_empty()
    }

    /// Returns the entries that resemble a person with this name and date of birth, the most similar first,
    /// each once. The name is written `Family, Given`, or without a comma.
    pub fn resembling(&self, name: &str, born: NaiveDate) -> Vec<Likeness> {
        let parts = names::parts(name);
        let person = units_of_person(&parts);
        let shape = Shape::of(&parts);
        let births: Vec<i32> =
            self.names.iter().map(|name| births::compared(&name.listed.births, born).0).collect();
        let mut known = PairCache::new();
        let (mut candidate_names, chance) = self.candidate_names(&person, &shape, &births, &mut known);
        candidate_names
            .extend((0..).zip(&births).filter(|(_, points)| **points >= NEAR).map(|(number, _)| number));
        candidate_names.sort_unstable();
        candidate_names.dedup();
        let mut best: HashMap<i64, (i32, NameScore, &Name)> = HashMap::new();
        for number in candidate_names {
            let Some((name, birth)) =
                self.names.get(number as usize).zip(births.get(number as usize).copied())
            else {
                continue;
            };
            let pairs = self.pairs(&person, name, &mut known);
            let mut of_name = compare(&pairs, &shape, &name.shape);
            if birth < NEAR {
                of_name.penalize_if_common(chance, birth, &name.listed.births);
            }
            let score = of_name.points + birth;
            if score >= THRESHOLD && best.get(&name.listed.entry).is_none_or(|(known, ..)| *known < score) {
                best.insert(name.listed.entry, (score, of_name, name));
            }
        }
        let mut best: Vec<_> = best.into_values().collect();
        best.sort_unstable_by_key(|(score, _, name)| (-score, name.listed.entry));
        best.into_iter().map(|(score, of_name, name)| likeness(score, &of_name, &name.listed, born)).collect()
    }

    /// Returns the names that are similar to enough words of the applicant's name, except those with dates of
    /// birth years apart, and the number of names on the list that would match as much by chance (in
    /// hundredths).
    fn candidate_names(
        &self,
        person: &[Unit],
        shape: &Shape,
        births: &[i32],
        known: &mut PairCache,
    ) -> (Vec<u32>, u64) {
        let mut masks: Vec<Parts> = vec![0; self.names.len()];
        let mut touched: Vec<u32> = Vec::new();
        let mut frequencies: Vec<u64> = Vec::new();
        for (at, unit) in person.iter().enumerate() {
            let mut frequency = 0;
            for place in self.candidates(&unit.word) {
                let Some(listing) = self.words.get(place as usize) else { continue };
                // Words that occur only with dates of birth years apart are skipped: they cannot be hits, and
                // are too rare to make a name common.
                if listing
                    .names
                    .iter()
                    .all(|number| births.get(*number as usize).is_some_and(|points| *points <= FAR))
                {
                    continue;
                }
                let likeness = unit.word.likeness(&listing.word);
                known.insert((at, place), likeness);
                if likeness.is_none() {
                    continue;
                }
                frequency += listing.names.len() as u64;
                for &number in &listing.names {
                    let Some((mask, _)) = masks
                        .get_mut(number as usize)
                        .zip(births.get(number as usize).filter(|points| **points > FAR))
                    else {
                        continue;
                    };
                    if *mask == 0 {
                        touched.push(number);
                    }
                    *mask |= unit.parts;
                }
            }
            if unit.parts.is_power_of_two() && unit.parts & shape.core != 0 {
                frequencies.push(frequency);
            }
        }
        let enough = |number: &u32| {
            let mask = masks.get(*number as usize).copied().unwrap_or_default() & shape.core;
            let initials = shape.initials != 0
                || self.names.get(*number as usize).is_some_and(|name| name.shape.initials != 0);
            mask.count_ones() >= if initials || shape.core.count_ones() < 2 { 1 } else { 2 }
        };
        touched.retain(enough);
        (touched, chance(&mut frequencies, self.names.len()))
    }

    /// Returns the similar words of an applicant's name and a listed name, the most similar first.
    fn pairs(&self, person: &[Unit], name: &Name, known: &mut PairCache) -> Vec<Pair> {
        let mut pairs = Vec::new();
        for (at, unit) in person.iter().enumerate() {
            // Joined words of the applicant are compared with single parts only.
            let is_one = unit.parts.is_power_of_two();
            for &(place, listed) in name.words.iter().filter(|(_, listed)| is_one || listed.is_power_of_two())
            {
                let Some(listing) = self.words.get(place as usize) else { continue };
                let likeness = *known.entry((at, place)).or_insert_with(|| unit.word.likeness(&listing.word));
                pairs.extend(likeness.map(|likeness| Pair { likeness, person: unit.parts, listed }));
            }
        }
        pairs.sort_unstable_by_key(|pair| {
            Reverse((pair.likeness, pair.person.count_ones() + pair.listed.count_ones()))
        });
        pairs
    }
}

/// Returns the words of an applicant's name.
fn units_of_person(parts: &[NamePart]) -> Vec<Unit> {
    let traditions = traditions(parts);
    let units = units(parts, traditions).into_iter();
    units.map(|(text, parts, abjad)| Unit { word: Word::new(&text, abjad, traditions), parts }).collect()
}

fn traditions(parts: &[NamePart]) -> Traditions {
    let words: Vec<&str> =
        parts.iter().filter(|part| !part.particle).map(|part| part.text.as_str()).collect();
    Traditions::of(&words)
}

/// Returns the single parts, and neighboring parts joined: two, or three if one is a particle or the name is
/// East Asian.
fn units(parts: &[NamePart], traditions: Traditions) -> Vec<(String, Parts, bool)> {
    const { assert!(MAX_PARTS <= Parts::BITS as usize, "every part has its bit") };
    let by_syllables = traditions != Traditions::default();
    let mut units = Vec::with_capacity(parts.len() * 3);
    for length in 1..=3_usize {
        for (window, at) in parts.windows(length).zip(0_u32..) {
            let is_useful = match length {
                1 => true,
                2 => window.iter().any(|part| !part.particle),
                _ => {
                    (by_syllables || window.iter().any(|part| part.particle))
                        && window.iter().any(|part| !part.particle)
                }
            };
            if is_useful {
                let mask = Parts::try_from((1_u32 << length) - 1).unwrap_or_default() << at;
                units.push((
                    window.iter().map(|part| part.text.as_str()).collect(),
                    mask,
                    window.iter().all(|part| part.abjad),
                ));
            }
        }
    }
    units
}

/// Minimum list size for estimating frequencies.
const MIN_NAMES: u64 = 5_000;

/// Returns the expected number of names with similar words by chance, in hundredths, assuming independence of
/// the two rarest.
fn chance(frequencies: &mut [u64], names: usize) -> u64 {
    frequencies.sort_unstable();
    let names = (names as u64).max(MIN_NAMES);
    match *frequencies {
        [one, other, ..] => 100 * one * other / names,
        _ => 0,
    }
}
