//! Cost of screening a person against 20,000 names: `cargo bench -p domain --bench screening`.

use chrono::NaiveDate;
use divan::Bencher;
use domain::compliance::screening::{Birth, Index, ListedName};
use std::{hint::black_box, sync::LazyLock};

/// A deterministic random number generator.
struct Dice(u64);

impl Dice {
    fn roll(&mut self, sides: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        usize::try_from(self.0 >> 11).unwrap_or_default() % sides
    }

    fn one_of<T: Copy>(&mut self, all: &[T], otherwise: T) -> T {
        all.get(self.roll(all.len())).copied().unwrap_or(otherwise)
    }

    /// Returns a part of a name; one in three is a common name.
    fn part(&mut self) -> String {
        if self.roll(3) == 0 {
            return self.one_of(&COMMON, "Ali").to_owned();
        }
        let mut part: String = (0..=self.roll(3)).map(|_| self.one_of(&SYLLABLES, "ba")).collect();
        part.push_str(self.one_of(&ENDINGS, "n"));
        part
    }
}

const COMMON: [&str; 24] = [
    "Mohammed", "Muhammad", "Ahmad", "Ali", "Abdul", "Rahman", "Hassan", "Hussein", "Omar", "Khalid",
    "Ibrahim", "Yusuf", "Maria", "Jose", "Juan", "Luis", "Carlos", "Garcia", "Lopez", "Martinez", "Ivan",
    "Sergei", "Petrov", "Kim",
];
const SYLLABLES: [&str; 40] = [
    "ba", "be", "cha", "da", "di", "fa", "ga", "gho", "ha", "hi", "ja", "ka", "khe", "la", "li", "ma", "mi",
    "mo", "na", "ne", "no", "pa", "po", "qa", "ra", "ri", "ro", "sa", "she", "so", "ta", "ti", "to", "va",
    "vi", "wa", "ya", "yu", "za", "zi",
];
const ENDINGS: [&str; 10] = ["n", "d", "r", "ov", "ez", "man", "i", "ullah", "vic", "s"];

/// Names of two to four parts, with birth dates.
static LISTED: LazyLock<Vec<ListedName>> = LazyLock::new(|| {
    let mut dice = Dice(20_000);
    (0..20_000)
        .map(|entry| {
            let parts: Vec<String> = (0..2 + dice.roll(3)).map(|_| dice.part()).collect();
            let (last, first) = parts
                .split_first()
                .map(|(last, first)| (last.to_uppercase(), first.join(" ")))
                .unwrap_or_default();
            let year = 1940 + dice.roll(60);
            let births =
                vec![Birth::parse(&format!("{year}-{:02}-{:02}", 1 + dice.roll(12), 1 + dice.roll(28)))];
            ListedName {
                entry,
                name: format!("{last}, {first}"),
                alias: false,
                births,
                programs: "SDGT".to_owned(),
            }
        })
        .collect()
});

static INDEX: LazyLock<Index> = LazyLock::new(|| Index::new(LISTED.iter().cloned()));

/// Builds the index.
#[divan::bench]
fn build(bencher: Bencher) {
    bencher.with_inputs(|| LISTED.clone()).bench_values(|listed| Index::new(listed).len());
}

fn screened(bencher: Bencher, name: &str, found: bool) {
    let born = NaiveDate::from_ymd_opt(1985, 1, 23).unwrap_or_default();
    assert_eq!(INDEX.resembling(name, born).is_empty(), !found, "{name}");
    bencher.bench(|| INDEX.resembling(black_box(name), black_box(born)));
}

/// A person who matches no entry.
#[divan::bench]
fn no_match(bencher: Bencher) {
    screened(bencher, "Grace Brewster Hopper", false);
}

/// A person with a variant spelling of a listed name and the listed birth date.
#[divan::bench]
fn near_match(bencher: Bencher) {
    let listed = LISTED.iter().find(|listed| listed.name.split(' ').count() == 2 && listed.name.len() > 16);
    let (name, born) =
        listed.map(|listed| (listed.name.replacen('A', "E", 1), listed.births.clone())).unwrap_or_default();
    let born = born.first().and_then(|birth| birth.to_string().parse::<NaiveDate>().ok()).unwrap_or_default();
    assert!(!INDEX.resembling(&name, born).is_empty(), "{name}");
    bencher.bench(|| INDEX.resembling(black_box(&name), black_box(born)));
}

/// A person with names that hundreds of entries share.
#[divan::bench]
fn common_name(bencher: Bencher) {
    screened(bencher, "Mohammed Ali Hassan", false);
}

fn main() {
    divan::main();
}
