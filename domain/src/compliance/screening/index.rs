//! A watch list in memory, and how much a person resembles its people.
//!
//! | | points |
//! |---|---|
//! | every part of the name is the same | 80 |
//! | a part sounds alike, or is another romanisation, a nickname or a short form | its likeness, 58 to 97 of 100 |
//! | a part is an initial of the other name's | 50 of 100 |
//! | a part of the shorter name has no counterpart | 0 of 100; one missing where a name has one part only |
//! | a part of the longer name has no counterpart | 15 of 100 are missing |
//! | … and it is a part of the family name of which another part has one | 25 more |
//! | … and nothing of the family name has one | 45 more |
//! | many on the list have names like these, and no near day of birth is listed | −8 or −16; half with the same year |
//! | the listed day of birth is the same day | +20 |
//! | … a day apart, or has day and month the other way round | +18 |
//! | … the same day a year apart, or with the year's last digits the other way round | +17 |
//! | … the same month, where the list has no day | +15 |
//! | … a day that differs in one digit | +12 |
//! | … the same year, where the list has no more | +10 |
//! | … another day of the same year | +5 |
//! | … at most two years away, where the list has no day; unreadable, or not listed | 0 |
//! | … another day, at most two years away | −5 |
//! | … years away, each that is listed | −30 |
//!
//! A hit has 70 or more. So the same name without a listed day of birth is one (80), and so is a like name
//! (75 for `Osama Laden` and `BIN LADIN, Usama`), but neither is when every listed day of birth is years
//! away; a name that agrees in two parts of three is one with the same day of birth only (73), and none with
//! half of a name is (60). A name alone never has 100. Parts may stand in any order, and two or three of one
//! name may be written as one of the other. Particles (`al`, `de`, `van`) may be left out or be written
//! together with the name; a family name that is a particle (`DAS, Ravi`) is compared like any other.
//!
//! How common a name is comes from the list: if names like the two rarest parts of the person's name were
//! independent of each other, how many entries would have both by chance? From one on, points are taken off.
//! The same name without any listed day of birth keeps them. Organisations, vessels and aircraft are not
//! compared with people.
//!
//! A person is compared in full with every name whose listed day of birth is near, and with those that share
//! a word: words are found by keys (see `words`), so that the rest of the list is not looked at.

mod scoring;
#[cfg(test)]
mod tests;

use super::{
    births::{self, Birth, FAR, NEAR},
    east_asian::Traditions,
    names::{self, MOST_PARTS, Part as NamePart},
    words::{Key, Word},
};
use chrono::NaiveDate;
use scoring::{NameScore, compared, told};
use serde::{Deserialize, Serialize};
use std::{
    borrow::Cow,
    cmp::Reverse,
    collections::{HashMap, hash_map::Entry as Slot},
};

/// From how many hundredths on an entry resembles a person.
pub const THRESHOLD: i32 = 70;

/// The points of a name that is the same.
const NAME: u32 = 80;
/// What a part of the longer name without counterpart misses, of the 100 of a part.
const EXTRA: u32 = 15;
/// What a family name without counterpart misses besides.
const FAMILY: u32 = 45;
/// What each missing part of a family name misses besides of which another part has its counterpart.
const HALF_FAMILY: u32 = 25;
/// What an initial is worth, of the 100 of a part.
const INITIAL: u32 = 50;

/// What was compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Compared {
    Name,
    BirthDate,
}

/// What one comparison adds to a score, and why. Nothing of the person is told.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Part {
    pub name: Compared,
    /// In hundredths.
    pub points: i32,
    pub rule: Cow<'static, str>,
}

/// An entry that resembles a person.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Likeness {
    pub entry: i64,
    /// The one of its names that resembles the person's most.
    pub listed_name: String,
    /// One a line.
    pub programs: String,
    /// In hundredths: the sum of the parts.
    pub score: i32,
    pub parts: Vec<Part>,
}

/// One name of one person on a list.
#[derive(Clone, Debug)]
pub struct ListedName {
    pub entry: i64,
    pub name: String,
    pub alias: bool,
    pub births: Vec<Birth>,
    /// One a line.
    pub programs: String,
}

/// Which of a name's parts a word stands for, a bit for each.
type Parts = u16;

#[derive(Debug)]
struct Name {
    listed: ListedName,
    shape: Shape,
    /// Its words by their places, and the parts each stands for.
    words: Box<[(u32, Parts)]>,
}

/// What the parts of a name are.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Shape {
    /// The first letters.
    letters: Box<[u8]>,
    /// Those of one letter.
    initials: Parts,
    /// All but particles.
    core: Parts,
    /// Those of the family name, if it is known.
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

/// The people of one watch list, by the words of their names.
#[derive(Debug, Default)]
pub struct Index {
    names: Vec<Name>,
    /// Every part of every name, and neighbours written as one, with the names they occur in.
    words: Vec<Listing>,
    /// What words have in common and the places of the words, in order.
    keys: Vec<(Key, u32)>,
}

/// A word of the list and where it stands.
#[derive(Debug)]
struct Listing {
    word: Word,
    names: Vec<u32>,
}

/// A word of a person's name.
struct Unit {
    word: Word,
    parts: Parts,
}

/// A word of a person that is like one of a listed name's.
#[derive(Clone, Copy, Debug)]
struct Pair {
    likeness: u32,
    person: Parts,
    listed: Parts,
}

/// How alike words are that were compared already, by the place of the person's and the listed one's.
type PairCache = HashMap<(usize, u32), Option<u32>>;

impl Index {
    /// From the names of the people on a list.
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

    /// The words that have something in common with a word.
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

    /// How many names there are.
    pub fn len(&self) -> usize {
        self.names.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.names.is_empty()
    }

    /// The entries that resemble a person of this name born on this day, the most alike first, each once. The
    /// name is written `Family, Given`, or without a comma.
    pub fn resembling(&self, name: &str, born: NaiveDate) -> Vec<Likeness> {
        let parts = names::parts(name);
        let person = units_of_person(&parts);
        let shape = Shape::of(&parts);
        let births: Vec<i32> =
            self.names.iter().map(|name| births::compared(&name.listed.births, born).0).collect();
        let mut known = PairCache::new();
        let (mut met, chance) = self.met(&person, &shape, &births, &mut known);
        met.extend((0..).zip(&births).filter(|(_, points)| **points >= NEAR).map(|(number, _)| number));
        met.sort_unstable();
        met.dedup();
        let mut best: HashMap<i64, (i32, NameScore, &Name)> = HashMap::new();
        for number in met {
            let Some((name, birth)) =
                self.names.get(number as usize).zip(births.get(number as usize).copied())
            else {
                continue;
            };
            let pairs = self.pairs(&person, name, &mut known);
            let mut of_name = compared(&pairs, &shape, &name.shape);
            if birth < NEAR {
                of_name.common(chance, birth, &name.listed.births);
            }
            let score = of_name.points + birth;
            if score >= THRESHOLD && best.get(&name.listed.entry).is_none_or(|(known, ..)| *known < score) {
                best.insert(name.listed.entry, (score, of_name, name));
            }
        }
        let mut best: Vec<_> = best.into_values().collect();
        best.sort_unstable_by_key(|(score, _, name)| (-score, name.listed.entry));
        best.into_iter().map(|(score, of_name, name)| told(score, &of_name, &name.listed, born)).collect()
    }

    /// The names that enough words of a person are like, those left out whose people were born years away;
    /// and how many names of the list would have as much in common by chance.
    fn met(&self, person: &[Unit], shape: &Shape, births: &[i32], known: &mut PairCache) -> (Vec<u32>, u64) {
        let mut masks: Vec<Parts> = vec![0; self.names.len()];
        let mut touched: Vec<u32> = Vec::new();
        let mut frequencies: Vec<u64> = Vec::new();
        for (at, unit) in person.iter().enumerate() {
            let mut frequency = 0;
            for place in self.candidates(&unit.word) {
                let Some(listing) = self.words.get(place as usize) else { continue };
                // A word of nothing but people born years away is not compared: they are no hits, and it is
                // too rare to make a name common.
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

    /// Every word of a person that is like one of a listed name's, the most alike first.
    fn pairs(&self, person: &[Unit], name: &Name, known: &mut PairCache) -> Vec<Pair> {
        let mut pairs = Vec::new();
        for (at, unit) in person.iter().enumerate() {
            // Neighbours of the person's are compared with one part, not with several.
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

/// The words of a person's name.
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

/// The parts one by one, and neighbours as one: two, or three with a particle among them or of syllables.
fn units(parts: &[NamePart], traditions: Traditions) -> Vec<(String, Parts, bool)> {
    const { assert!(MOST_PARTS <= Parts::BITS as usize, "every part has its bit") };
    let by_syllables = traditions != Traditions::default();
    let mut units = Vec::with_capacity(parts.len() * 3);
    for length in 1..=3_usize {
        for (window, at) in parts.windows(length).zip(0_u32..) {
            let is_worth = match length {
                1 => true,
                2 => window.iter().any(|part| !part.particle),
                _ => {
                    (by_syllables || window.iter().any(|part| part.particle))
                        && window.iter().any(|part| !part.particle)
                }
            };
            if is_worth {
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

/// Of how many names at least a list is taken to be when frequencies are estimated.
const LEAST_NAMES: u64 = 5_000;

/// How many names of a list have words like these by chance, in hundredths, were they independent of each
/// other: the two rarest count.
fn chance(frequencies: &mut [u64], names: usize) -> u64 {
    frequencies.sort_unstable();
    let names = (names as u64).max(LEAST_NAMES);
    match *frequencies {
        [one, other, ..] => 100 * one * other / names,
        _ => 0,
    }
}
