//! Names as they are compared: folded, in parts, and how alike two parts are.

use unicode_normalization::{UnicodeNormalization, char::is_combining_mark};

/// Words between the parts of a name that people write or leave out.
const PARTICLES: [&str; 37] = [
    "al", "el", "ul", "ad", "ar", "as", "ash", "at", "az", "bin", "ben", "ibn", "bint", "binti", "da", "das", "de", "del", "della", "den",
    "der", "di", "do", "dos", "du", "e", "la", "las", "le", "los", "ter", "van", "von", "y", "jr", "sr", "zu",
];

/// A name in lower case without diacritics and punctuation, its parts with a blank between them. Apostrophes join.
pub fn folded(name: &str) -> String {
    let mut text = String::with_capacity(name.len());
    for character in name.nfkd().filter(|character| !is_combining_mark(*character)).flat_map(char::to_lowercase) {
        match character {
            'ł' => text.push('l'),
            'ø' => text.push('o'),
            'đ' | 'ð' => text.push('d'),
            'ħ' => text.push('h'),
            'ı' => text.push('i'),
            'þ' => text.push_str("th"),
            'ß' => text.push_str("ss"),
            'æ' => text.push_str("ae"),
            'œ' => text.push_str("oe"),
            '\'' | '’' | '‘' | 'ʼ' | 'ʻ' | 'ʾ' | 'ʿ' | '`' | '´' => {}
            other if other.is_alphanumeric() => text.push(other),
            _ if text.ends_with(' ') || text.is_empty() => {}
            _ => text.push(' '),
        }
    }
    text.truncate(text.trim_end().len());
    text
}

/// The most parts of a name that are looked at.
pub const MOST_PARTS: usize = 12;

/// The parts of a name by which it is compared: without particles, unless fewer than two would be left.
pub fn parts(name: &str) -> Vec<String> {
    let folded = folded(name);
    let all = || folded.split(' ').filter(|part| !part.is_empty());
    let few = all().filter(|part| !PARTICLES.contains(part)).count() < 2;
    all().filter(|part| few || !PARTICLES.contains(part)).take(MOST_PARTS).map(str::to_owned).collect()
}

/// One part of a name, or two neighbours written as one, ready to be compared.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Word {
    letters: Box<[Letter]>,
    /// Which classes of consonants occur.
    consonants: u32,
}

/// A letter, with what its comparison needs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Letter {
    character: char,
    /// Letters of one kind are half a difference from each other; those without one a whole.
    kind: Option<u32>,
    /// What it costs to leave it out, in half differences.
    omission: u16,
}

/// How alike two words must be to count, in hundredths.
const ALIKE: u32 = 80;

/// The letters of a word that are compared.
const MOST_LETTERS: usize = 48;

/// A row of a comparison: what it costs to come from a beginning of one word to each of the other's.
type Row = [u16; MOST_LETTERS + 1];

impl Word {
    /// From a folded part.
    pub fn new(text: &str) -> Self {
        let letters: Vec<char> = text.chars().take(MOST_LETTERS).collect();
        let at = |at: Option<usize>| at.and_then(|at| letters.get(at)).copied();
        let told = |(i, letter): (usize, &char)| Letter {
            character: *letter,
            kind: kind(*letter),
            omission: omission(at(i.checked_sub(1)), *letter, at(Some(i + 1))),
        };
        let consonants = letters.iter().filter_map(|letter| class(*letter)).fold(0, |mask, class| mask | 1 << class);
        Self { letters: letters.iter().enumerate().map(told).collect(), consonants }
    }

    /// Whether it is one letter, which stands for any name that begins with it.
    pub fn initial(&self) -> Option<char> {
        match *self.letters {
            [only] => Some(only.character),
            _ => None,
        }
    }

    /// The first letter.
    pub fn first(&self) -> Option<char> {
        self.letters.first().map(|first| first.character)
    }

    /// How alike two words are, in hundredths, if they are alike at all: 100 less what half of a letter each differs by, of the
    /// longer one. Words of up to three letters must be the same.
    pub fn likeness(&self, other: &Self) -> Option<u32> {
        let longer = self.letters.len().max(other.letters.len());
        if longer < 4 {
            return (self == other).then_some(100);
        }
        let most = longer * 2 / 5;
        let missing = longer - self.letters.len().min(other.letters.len());
        // Each consonant that only one of them has is a whole difference, or half of a substitution's.
        if missing > most || (self.consonants ^ other.consonants).count_ones() as usize > most {
            return None;
        }
        let halves = u32::from(difference(&self.letters, &other.letters, u16::try_from(most).ok()?)?);
        let of = 2 * u32::try_from(longer).ok()?;
        let likeness = 100 * of.checked_sub(halves)? / of;
        (likeness >= ALIKE).then_some(likeness)
    }
}

const fn is_vowel(letter: char) -> bool {
    matches!(letter, 'a' | 'e' | 'i' | 'o' | 'u' | 'y')
}

/// The class of a consonant; letters that are heard alike are in one.
fn class(letter: char) -> Option<u32> {
    let code = u32::from(letter);
    match letter {
        'h' => None,
        vowel if is_vowel(vowel) => None,
        'c' | 'g' | 'k' | 'q' => Some(0),
        's' | 'z' => Some(1),
        'v' | 'w' => Some(2),
        'b'..='x' => Some(code - u32::from('a') + 2),
        _ => Some(26 + code % 6),
    }
}

/// The kind of a letter: the vowels are one, and so is each class of Latin consonants.
fn kind(letter: char) -> Option<u32> {
    match letter {
        vowel if is_vowel(vowel) => Some(u32::MAX),
        'a'..='z' => class(letter),
        _ => None,
    }
}

/// What one letter in the place of another costs, in half differences.
fn exchange(one: Letter, other: Letter) -> u16 {
    if one.character == other.character {
        0
    } else if one.kind.is_some() && one.kind == other.kind {
        1
    } else {
        2
    }
}

/// What it costs to leave a letter out, in half differences: less for a doubled one, an h, and a vowel within a word.
fn omission(before: Option<char>, letter: char, behind: Option<char>) -> u16 {
    let within = before.is_some() && behind.is_some();
    if before == Some(letter) || letter == 'h' || (is_vowel(letter) && within) { 1 } else { 2 }
}

/// What two words differ by, in half differences, unless it is more than `most`; two neighbours that changed places are one whole
/// difference.
fn difference(one: &[Letter], other: &[Letter], most: u16) -> Option<u16> {
    let (mut higher, mut above, mut row): (Row, Row, Row) = ([0; MOST_LETTERS + 1], [0; MOST_LETTERS + 1], [0; MOST_LETTERS + 1]);
    let mut sum = 0;
    for (cell, letter) in above.iter_mut().skip(1).zip(other) {
        sum += letter.omission;
        *cell = sum;
    }
    let mut before: Option<char> = None;
    let mut least_above = 0;
    for letter in one {
        let mut left = above.first().copied().unwrap_or_default() + letter.omission;
        let mut least = left;
        let (first, rest) = row.split_first_mut()?;
        *first = left;
        let mut previous: Option<char> = None;
        // The cell two places back in the row two rows back.
        let mut crossing: Option<u16> = None;
        for (((cell, up), across), far) in rest.iter_mut().zip(above.windows(2)).zip(other).zip(&higher) {
            let [diagonal, over] = *up else { continue };
            let mut best = (diagonal + exchange(*letter, *across)).min(over + letter.omission).min(left + across.omission);
            if before == Some(across.character)
                && previous == Some(letter.character)
                && letter.character != across.character
                && let Some(crossing) = crossing
            {
                best = best.min(crossing + 2);
            }
            (*cell, left, previous, crossing) = (best, best, Some(across.character), Some(*far));
            least = least.min(best);
        }
        if least > most && least_above > most {
            return None;
        }
        (before, least_above) = (Some(letter.character), least);
        std::mem::swap(&mut higher, &mut above);
        std::mem::swap(&mut above, &mut row);
    }
    above.get(other.len()).copied().filter(|halves| *halves <= most)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_folded() {
        for (name, expected) in [
            ("BIN LADEN, Usama", "bin laden usama"),
            ("Müller-Straße", "muller strasse"),
            ("O’Brien, José  ", "obrien jose"),
            ("Łukasz Ørsted", "lukasz orsted"),
            ("'Abd al-Raḥmān", "abd al rahman"),
            ("李 小龙", "李 小龙"),
            ("...", ""),
        ] {
            assert_eq!(folded(name), expected);
        }
    }

    #[test]
    fn particles_do_not_count_unless_little_else_is_left() {
        for (name, expected) in [
            ("BIN LADEN, Usama", vec!["laden", "usama"]),
            ("de la Cruz, Juan", vec!["cruz", "juan"]),
            ("bin Laden", vec!["bin", "laden"]),
            ("VAN, Le", vec!["van", "le"]),
            ("J. Smith Jr.", vec!["j", "smith"]),
        ] {
            assert_eq!(parts(name), expected);
        }
    }

    #[test]
    fn spellings_of_one_name_are_alike() {
        for (one, other, likeness) in [
            ("carter", "carter", Some(100)),
            ("usama", "osama", Some(90)),
            ("laden", "ladin", Some(90)),
            ("muhammad", "mohamed", Some(81)),
            ("muhammad", "mohammed", Some(87)),
            ("gaddafi", "qaddafi", Some(92)),
            ("yousef", "yusuf", Some(83)),
            ("smith", "smyth", Some(90)),
            ("jon", "john", Some(87)),
            ("carter", "catrer", Some(83)),
            ("carter", "carver", Some(83)),
            ("garcia", "garza", None),
            ("smith", "jones", None),
            ("john", "jane", None),
            ("li", "lu", None),
            ("ali", "ali", Some(100)),
            ("li", "lin", None),
            ("carter", "", None),
            ("小龙", "小龙", Some(100)),
        ] {
            let (one, other) = (Word::new(one), Word::new(other));
            assert_eq!(one.likeness(&other), likeness, "{one:?} {other:?}");
            assert_eq!(other.likeness(&one), likeness, "{other:?} {one:?}");
        }
    }
}
