//! Words of names, prepared for comparison.

use super::{
    east_asian::{Traditions, korean, pinyin},
    nicknames,
    sounds::Sounding,
};
use std::cmp::Ordering;

/// Part of a name, or neighboring parts written as one word.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Word {
    text: Box<str>,
    sounding: Sounding,
    pinyin: Box<[u64]>,
    korean: Box<[u64]>,
    nicknames: &'static [u16],
}

/// Key that words share if they are worth comparing.
pub type Key = u64;

/// Key kinds in the highest bits. Keys of consonants have none of these bits.
const BY_PINYIN: Key = 1 << 60;
const BY_KOREAN: Key = 2 << 60;
const BY_NICKNAME: Key = 3 << 60;
const BY_BEGINNING: Key = 4 << 60;

/// Minimum likeness of two words, in hundredths.
const MIN_LIKENESS: u32 = 72;
/// Likeness of words with the same sounds and different letters.
const SAME_SOUND: u32 = 97;
const SAME_SYLLABLES: u32 = 95;
const NICKNAME: u32 = 92;
const SHORTENED: u32 = 80;
/// Fewest letters of a name that can abbreviate a longer one.
const MIN_ABBREVIATION: usize = 3;

impl Word {
    /// Creates a word from a part in lower-case Latin letters.
    pub fn new(text: &str, abjad: bool, traditions: Traditions) -> Self {
        let is_word = text.len() > 1;
        Self {
            text: text.into(),
            sounding: Sounding::new(text, abjad),
            pinyin: if traditions.chinese && is_word { pinyin(text).into() } else { Box::default() },
            korean: if traditions.korean && is_word { korean(text).into() } else { Box::default() },
            nicknames: nicknames::groups(text),
        }
    }

    /// Whether the word is an initial, which matches any name that begins with it.
    pub fn is_initial(&self) -> bool {
        self.text.len() == 1
    }

    /// Returns the keys of the word. Words that may be similar share at least one.
    pub fn keys(&self) -> impl Iterator<Item = Key> {
        let pinyin = self.pinyin.iter().map(|hash| BY_PINYIN | hash >> 4);
        let korean = self.korean.iter().map(|hash| BY_KOREAN | hash >> 4);
        let nicknames = self.nicknames.iter().map(|group| BY_NICKNAME | Key::from(*group));
        let beginning = self
            .text
            .as_bytes()
            .first_chunk()
            .map(|letters| BY_BEGINNING | Key::from(u32::from_be_bytes(*letters)));
        self.sounding.keys().into_iter().chain(pinyin).chain(korean).chain(nicknames).chain(beginning)
    }

    /// Returns the likeness of two words in hundredths; none if they are not similar.
    pub fn likeness(&self, other: &Self) -> Option<u32> {
        if self.text == other.text {
            return Some(100);
        }
        if self.is_initial() || other.is_initial() {
            return None;
        }
        let sounds = self.sounding.likeness(&other.sounding, MIN_LIKENESS).map(converted);
        if sounds == Some(SAME_SOUND) {
            return sounds;
        }
        let syllables = have_common(&self.pinyin, &other.pinyin) || have_common(&self.korean, &other.korean);
        let syllables = syllables.then_some(SAME_SYLLABLES);
        let nickname = have_common(self.nicknames, other.nicknames).then_some(NICKNAME);
        let (shorter, longer) =
            if self.text.len() < other.text.len() { (self, other) } else { (other, self) };
        let begins_alike = shorter.text.as_bytes().first() == longer.text.as_bytes().first();
        let shortened =
            begins_alike && shorter.text.len() >= MIN_ABBREVIATION && longer.text.starts_with(&*shorter.text);
        let shortened =
            shortened.then_some(if shorter.text.len() > MIN_ABBREVIATION { SHORTENED } else { MIN_LIKENESS });
        [sounds, syllables, nickname, shortened].into_iter().flatten().max()
    }
}

/// Converts a likeness of sounds: the difference to 100 counts one and a half times, so that words that only
/// resemble each other do not match a name.
const fn converted(likeness: u32) -> u32 {
    if likeness >= SAME_SOUND { SAME_SOUND } else { 100 - (100 - likeness) * 3 / 2 }
}

/// Whether two sorted lists have a common element.
fn have_common<T: Ord>(one: &[T], other: &[T]) -> bool {
    let (mut one, mut other) = (one.iter().peekable(), other.iter().peekable());
    while let (Some(left), Some(right)) = (one.peek(), other.peek()) {
        match left.cmp(right) {
            Ordering::Less => one.next(),
            Ordering::Greater => other.next(),
            Ordering::Equal => return true,
        };
    }
    false
}

#[cfg(test)]
mod tests {
    use super::*;

    fn likeness(one: &str, other: &str) -> u32 {
        let word = |text| Word::new(text, false, Traditions::default());
        let found = word(one).likeness(&word(other));
        assert_eq!(found, word(other).likeness(&word(one)), "{one} {other}");
        found.unwrap_or_default()
    }

    #[test]
    fn spellings_of_one_name_are_similar() {
        for pair in [
            "usama osama",
            "laden ladin",
            "muhammad mohamed",
            "gaddafi qaddafi",
            "yousef yusuf",
            "husayn hussein",
            "smith smyth",
            "jon john",
            "sharif cherif",
            "walid oualid",
            "khalid chalid",
            "chekhov tschechow",
            "jusuf youssouf",
            "yelena jelena",
            "schroeder schroder",
            "carter catrer",
            "carter carver",
            "robert bob",
            "aleksandr sasha",
            "jan yan",
            "umar omar",
            "ivanov iwanoff",
        ] {
            let (one, other) = pair.split_once(' ').unwrap();
            assert!(likeness(one, other) >= 70, "{pair} {}", likeness(one, other));
        }
        for pair in [
            "smith jones",
            "john jane",
            "li lu",
            "li lin",
            "garcia martinez",
            "carter ",
            "maria mark",
            "ali omar",
            "kim lee",
        ] {
            let (one, other) = pair.split_once(' ').unwrap();
            assert!(likeness(one, other) < 60, "{pair} {}", likeness(one, other));
        }
    }
}
