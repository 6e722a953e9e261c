//! A word of a name, ready to be compared.

use super::{
    east_asian::{Traditions, korean, pinyin},
    nicknames,
    sounds::Sounding,
};
use std::cmp::Ordering;

/// One part of a name, or some neighbours written as one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Word {
    text: Box<str>,
    sounding: Sounding,
    pinyin: Box<[u64]>,
    korean: Box<[u64]>,
    nicknames: &'static [u16],
}

/// What words have in common that are worth a comparison.
pub type Key = u64;

/// Keys of four kinds, told apart by their highest bits; those of consonants have none of them.
const BY_PINYIN: Key = 1 << 60;
const BY_KOREAN: Key = 2 << 60;
const BY_NICKNAME: Key = 3 << 60;
const BY_BEGINNING: Key = 4 << 60;

/// How alike two words must be to count, in hundredths.
const ALIKE: u32 = 72;
/// Two words whose sounds are the same and whose letters are not.
const SAME_SOUND: u32 = 97;
const SAME_SYLLABLES: u32 = 95;
const NICKNAME: u32 = 92;
const SHORTENED: u32 = 80;
/// A name of fewer letters does not stand for a longer one that begins with it.
const SHORTEST: usize = 3;

impl Word {
    /// From a part in lower-case Latin letters.
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

    /// Whether it is one letter, which stands for any name that begins with it.
    pub fn is_initial(&self) -> bool {
        self.text.len() == 1
    }

    /// What words that may be alike have in common.
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

    /// How alike two words are, in hundredths, if they are alike at all.
    pub fn likeness(&self, other: &Self) -> Option<u32> {
        if self.text == other.text {
            return Some(100);
        }
        if self.is_initial() || other.is_initial() {
            return None;
        }
        let sounds = self.sounding.likeness(&other.sounding, ALIKE).map(worth);
        if sounds == Some(SAME_SOUND) {
            return sounds;
        }
        let syllables = share(&self.pinyin, &other.pinyin) || share(&self.korean, &other.korean);
        let syllables = syllables.then_some(SAME_SYLLABLES);
        let nickname = share(self.nicknames, other.nicknames).then_some(NICKNAME);
        let (shorter, longer) =
            if self.text.len() < other.text.len() { (self, other) } else { (other, self) };
        let begins_alike = shorter.text.as_bytes().first() == longer.text.as_bytes().first();
        let shortened =
            begins_alike && shorter.text.len() >= SHORTEST && longer.text.starts_with(&*shorter.text);
        let shortened = shortened.then_some(if shorter.text.len() > SHORTEST { SHORTENED } else { ALIKE });
        [sounds, syllables, nickname, shortened].into_iter().flatten().max()
    }
}

/// What a likeness of sounds is worth: what is missing of all counts one and a half times, so that words that
/// only resemble each other do not make a name.
const fn worth(likeness: u32) -> u32 {
    if likeness >= SAME_SOUND { SAME_SOUND } else { 100 - (100 - likeness) * 3 / 2 }
}

/// Whether two sorted lists have something in common.
fn share<T: Ord>(one: &[T], other: &[T]) -> bool {
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
    fn spellings_of_one_name_are_alike() {
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
