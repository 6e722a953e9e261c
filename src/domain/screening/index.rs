//! A watch list in memory, and how much a person resembles its people.
//!
//! | | points |
//! |---|---|
//! | every part of the name is the same | 80 |
//! | a part is spelled alike | its likeness, 80 to 99 of 100 |
//! | a part is an initial of the other name's | 50 of 100 |
//! | a part of the shorter name has no counterpart | 0 of 100; one missing where a name has one part only |
//! | a part of the longer name has no counterpart | 15 of 100 are missing |
//! | the listed day of birth is the same day | +20 |
//! | … the same month, where the list has no day | +15 |
//! | … the same year, where the list has no more | +10 |
//! | … another day of the same year | +5 |
//! | … at most two years away, unreadable, or not listed | 0 |
//! | … years away, each that is listed | −30 |
//!
//! A hit has 70 or more. So the same name without a listed day of birth is one (80), and so is a like name (72 for `Osama Laden` and
//! `BIN LADIN, Usama`), but neither is when every listed day of birth is years away; a name that agrees in two parts of three is one
//! with the same day of birth only (73), and none with half of a name is (60). A name alone never has 100. Parts may stand in any order and
//! two of one name may be written as one of the other. Organisations, vessels and aircraft are not compared with people.

use super::{
    births::{self, Birth},
    names::{self, MOST_PARTS, Word},
};
use chrono::NaiveDate;
use serde::{Deserialize, Serialize};
use std::{borrow::Cow, collections::HashMap, collections::hash_map::Entry as Slot};

/// From how many hundredths on an entry resembles a person.
pub const THRESHOLD: i32 = 70;

/// The points of a name that is the same.
const NAME: u32 = 80;
/// What a part of the longer name without counterpart misses, of the 100 of a part.
const EXTRA: u32 = 15;
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
    /// The one of its names that resembles hers most.
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
    parts: Vec<Word>,
}

/// The people of one watch list, by the words of their names.
#[derive(Debug, Default)]
pub struct Index {
    names: Vec<Name>,
    /// Every part of every name, and every two neighbours written as one, with the names they occur in.
    words: Vec<Listing>,
}

/// A word of the list and where it stands.
#[derive(Debug)]
struct Listing {
    word: Word,
    /// Whether it is one part of a name anywhere, and not always two neighbours.
    stands_alone: bool,
    names: Vec<(usize, Parts)>,
}

/// A word of hers that is like one of a listed name's.
#[derive(Clone, Copy, Debug)]
struct Pair {
    name: usize,
    likeness: u32,
    hers: Parts,
    listed: Parts,
}

impl Index {
    /// From the names of the people on a list.
    pub fn new(listed: impl IntoIterator<Item = ListedName>) -> Self {
        let mut index = Self::default();
        let mut places: HashMap<String, usize> = HashMap::new();
        for listed in listed {
            let parts = names::parts(&listed.name);
            for (text, covered) in units(&parts) {
                let place = match places.entry(text) {
                    Slot::Occupied(place) => *place.get(),
                    Slot::Vacant(place) => {
                        index.words.push(Listing { word: Word::new(place.key()), stands_alone: false, names: Vec::new() });
                        *place.insert(index.words.len() - 1)
                    }
                };
                if let Some(listing) = index.words.get_mut(place) {
                    listing.stands_alone |= covered.is_power_of_two();
                    listing.names.push((index.names.len(), covered));
                }
            }
            index.names.push(Name { listed, parts: words(&parts) });
        }
        index
    }

    /// How many names there are.
    pub fn len(&self) -> usize {
        self.names.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.names.is_empty()
    }

    /// The entries that resemble a person of this name born on this day, the most alike first, each once.
    pub fn resembling(&self, name: &str, born: NaiveDate) -> Vec<Likeness> {
        let parts = names::parts(name);
        let hers = words(&parts);
        let mut pairs = self.pairs(&parts);
        pairs.sort_unstable_by_key(|pair| {
            (pair.name, std::cmp::Reverse((pair.likeness, pair.hers.count_ones() + pair.listed.count_ones())))
        });
        let mut best: HashMap<i64, (i32, NameScore, &Name)> = HashMap::new();
        for pairs in pairs.chunk_by(|one, other| one.name == other.name) {
            let Some(name) = pairs.first().and_then(|pair| self.names.get(pair.name)) else { continue };
            let of_name = compared(pairs, &hers, &name.parts);
            let score = of_name.points + births::compared(&name.listed.births, born).0;
            if score >= THRESHOLD && best.get(&name.listed.entry).is_none_or(|(known, ..)| *known < score) {
                best.insert(name.listed.entry, (score, of_name, name));
            }
        }
        let mut best: Vec<_> = best.into_values().collect();
        best.sort_unstable_by_key(|(score, _, name)| (-score, name.listed.entry));
        best.into_iter().map(|(score, of_name, name)| told(score, &of_name, &name.listed, born)).collect()
    }

    /// Every word of hers that is like one of the list's.
    fn pairs(&self, parts: &[String]) -> Vec<Pair> {
        let mut pairs = Vec::new();
        for (text, hers) in units(parts) {
            let word = Word::new(&text);
            // Two neighbours of hers are compared with one part, not with two.
            let is_one = hers.is_power_of_two();
            for listing in self.words.iter().filter(|listing| is_one || listing.stands_alone) {
                let Some(likeness) = word.likeness(&listing.word) else { continue };
                let fitting = listing.names.iter().filter(|(_, listed)| hers.is_power_of_two() || listed.is_power_of_two());
                pairs.extend(fitting.map(|&(name, listed)| Pair { name, likeness, hers, listed }));
            }
        }
        pairs
    }
}

fn words(parts: &[String]) -> Vec<Word> {
    parts.iter().map(|part| Word::new(part)).collect()
}

/// The parts one by one, and every two neighbours as one.
fn units(parts: &[String]) -> impl Iterator<Item = (String, Parts)> {
    const { assert!(MOST_PARTS <= Parts::BITS as usize, "every part has its bit") };
    let single = parts.iter().zip(0_u32..).map(|(part, at)| (part.clone(), 1 << at));
    let joined = parts.iter().zip(parts.iter().skip(1)).zip(0_u32..).map(|((one, next), at)| (format!("{one}{next}"), 3 << at));
    single.chain(joined)
}

/// What two names have in common.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct NameScore {
    points: i32,
    same: u32,
    alike: u32,
    initials: u32,
    longer: u32,
}

/// Compares a name with a listed one by the pairs of their words, the best pairs first.
fn compared(pairs: &[Pair], hers: &[Word], listed: &[Word]) -> NameScore {
    let (mut hers_taken, mut listed_taken): (Parts, Parts) = (0, 0);
    let mut found = NameScore { points: 0, same: 0, alike: 0, initials: 0, longer: 0 };
    let (mut sum, mut her_count, mut listed_count) = (0, count(hers), count(listed));
    for pair in pairs {
        if hers_taken & pair.hers != 0 || listed_taken & pair.listed != 0 {
            continue;
        }
        hers_taken |= pair.hers;
        listed_taken |= pair.listed;
        her_count -= pair.hers.count_ones() - 1;
        listed_count -= pair.listed.count_ones() - 1;
        sum += pair.likeness;
        if pair.likeness == 100 {
            found.same += 1;
        } else {
            found.alike += 1;
        }
    }
    for (word, _) in hers.iter().zip(0_u32..).filter(|(_, at)| hers_taken & 1 << at == 0) {
        let free = listed.iter().zip(0_u32..).filter(|(_, at)| listed_taken & 1 << at == 0);
        let fits = |other: &Word| word.first() == other.first() && (word.initial().is_some() || other.initial().is_some());
        if let Some((_, place)) = free.into_iter().find(|(other, _)| fits(other)) {
            listed_taken |= 1 << place;
            sum += INITIAL;
            found.initials += 1;
        }
    }
    let shorter = her_count.min(listed_count).max(2);
    found.longer = her_count.max(listed_count).max(2);
    let points = NAME * sum / (100 * shorter + EXTRA * (found.longer - shorter));
    found.points = points.cast_signed();
    found
}

fn count(words: &[Word]) -> u32 {
    u32::try_from(words.len()).unwrap_or(u32::MAX)
}

fn told(score: i32, of_name: &NameScore, listed: &ListedName, born: NaiveDate) -> Likeness {
    let NameScore { points, same, alike, initials, longer } = *of_name;
    let which = if listed.alias { "an alias" } else { "the name" };
    let name = format!("Of {longer} parts of {which}, {same} are the same, {alike} alike, and {initials} fit an initial.");
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

#[cfg(test)]
mod tests {
    use super::*;

    fn listed(entry: i64, name: &str, remarks: &str) -> ListedName {
        ListedName { entry, name: name.to_owned(), alias: false, births: births::in_remarks(remarks), programs: "SDGT".to_owned() }
    }

    /// The points of the name and of the birth date, whether or not they come to a hit.
    fn points(hers: &str, name: &str, remarks: &str) -> (i32, i32) {
        let index = Index::new([listed(1, name, remarks)]);
        let parts = names::parts(hers);
        let mut pairs = index.pairs(&parts);
        pairs.sort_unstable_by_key(|pair| std::cmp::Reverse((pair.likeness, pair.hers.count_ones() + pair.listed.count_ones())));
        let of_name = compared(&pairs, &words(&parts), &index.names[0].parts).points;
        (of_name, births::compared(&index.names[0].listed.births, born()).0)
    }

    fn born() -> NaiveDate {
        "1960-12-12".parse().unwrap()
    }

    #[test]
    fn names_and_days_of_birth_come_to_a_score() {
        for (hers, name, remarks, expected, is_hit) in [
            ("Ada Carter", "CARTER, Ada", "", (80, 0), true),
            ("Ada Carter", "CARTER, Ada", "DOB 12 Dec 1960", (80, 20), true),
            ("Ada Carter", "CARTER, Ada", "DOB Dec 1960", (80, 15), true),
            ("Ada Carter", "CARTER, Ada", "DOB 1960", (80, 10), true),
            ("Ada Carter", "CARTER, Ada", "DOB 1962", (80, 0), true),
            ("Ada Carter", "CARTER, Ada", "DOB 12 Dec 1963", (80, -30), false),
            ("Ada Carter", "CARTER, Ada", "DOB 1930; alt. DOB circa 1961", (80, 10), true),
            ("Ada Carter", "CARTER, Ada", "DOB early 1930s", (80, 0), true),
            ("Carter Ada", "CARTER, Ada", "", (80, 0), true),
            ("ADA CÁRTER", "Carter, Ada", "", (80, 0), true),
            ("Ada Karter", "CARTER, Ada", "", (76, 0), true),
            ("Ada Mary Carter", "CARTER, Ada", "", (74, 0), true),
            ("Ada Carter", "CARTER LOPEZ, Ada Maria", "", (69, 0), false),
            ("Ada Carter", "CARTER LOPEZ, Ada Maria", "DOB 1960", (69, 10), true),
            ("Ada Jane Carter", "CARTER, Ada Maria", "", (53, 0), false),
            ("Ada Jane Carter", "CARTER, Ada Maria", "DOB 1960", (53, 10), false),
            ("Ada Jane Carter", "CARTER, Ada Maria", "DOB 12 Dec 1960", (53, 20), true),
            ("A. Carter", "CARTER, Ada", "", (60, 0), false),
            ("A. Carter", "CARTER, Ada", "DOB 1960", (60, 10), true),
            ("Ada M Carter", "CARTER, Ada Maria", "", (66, 0), false),
            ("Ada Carter", "CARTER, A. M.", "DOB 12 Dec 1960", (55, 20), true),
            ("Bea Carter", "CARTER, Ada", "DOB 12 Dec 1960", (40, 20), false),
            ("Osama Laden", "BIN LADIN, Usama", "", (72, 0), true),
            ("Osama Laden", "BIN LADIN, Usama", "DOB 1957", (72, -30), false),
            ("Mohamed Ali", "ALI, Muhammad", "", (72, 0), true),
            ("Abdulrahman Karim", "KARIM, Abdul Rahman", "", (80, 0), true),
            ("Abd al-Rahman Karim", "KARIM, Abdulrahman", "", (74, 0), true),
            ("Juan de la Cruz", "CRUZ, Juan", "", (80, 0), true),
            ("Madonna Ciccone", "MADONNA", "", (40, 0), false),
            ("Madonna Ciccone", "MADONNA", "DOB 12 Dec 1960", (40, 20), false),
            ("Grace Hopper", "CARTER, Ada", "DOB 12 Dec 1960", (0, 20), false),
            ("李 小龙", "小龙, 李", "", (80, 0), true),
        ] {
            let told = points(hers, name, remarks);
            assert_eq!(told, expected, "{hers} {name} {remarks}");
            assert_eq!(told.0 + told.1 >= THRESHOLD, is_hit, "{hers} {name} {remarks}");
            let found = Index::new([listed(1, name, remarks)]).resembling(hers, born());
            let scores: Vec<i32> = found.iter().map(|hit| hit.score).collect();
            assert_eq!(scores, if is_hit { vec![told.0 + told.1] } else { vec![] }, "{hers} {name} {remarks}");
        }
    }

    #[test]
    fn the_most_alike_come_first_and_each_entry_once() {
        let many = (1..=12).map(|entry| listed(entry, "CARTER, Ada", if entry == 7 { "DOB 12 Dec 1960" } else { "" }));
        let alias = ListedName { alias: true, ..listed(12, "CARTER, Ada", "DOB 1960") };
        let found = Index::new(many.chain([listed(3, "CARTR, Ada", ""), alias])).resembling("Ada Carter", born());
        let entries: Vec<(i64, i32)> = found.iter().map(|hit| (hit.entry, hit.score)).collect();
        let all = [(7, 100), (12, 90), (1, 80), (2, 80), (3, 80), (4, 80), (5, 80), (6, 80), (8, 80), (9, 80), (10, 80), (11, 80)];
        assert_eq!(entries, all);
        assert_eq!(found[0].parts.iter().map(|part| part.points).sum::<i32>(), 100);
        assert_eq!(found[1].parts[0].rule, "Of 2 parts of an alias, 2 are the same, 0 alike, and 0 fit an initial.");
        assert_eq!(found[1].parts[1].rule, "The same year of birth is listed.");
    }
}
