//! Names prepared for comparison: normalized, in Latin letters, split into parts.

use super::scripts::{self, Script, is_invisible, is_mark, latin, script};
use unicode_normalization::{UnicodeNormalization, char::is_combining_mark};

/// Words between the parts of a name that are often left out.
const PARTICLES: [&str; 44] = [
    "al", "el", "ul", "ad", "ar", "as", "ash", "at", "az", "bin", "ben", "ibn", "bint", "binti", "da", "das",
    "de", "del", "della", "dello", "den", "der", "di", "do", "dos", "du", "e", "la", "las", "le", "los",
    "ould", "oglu", "te", "ten", "ter", "van", "von", "y", "zu", "zum", "und", "af", "av",
];

/// Words after or before a name that are not part of it.
const SUFFIXES: [&str; 6] = ["jr", "sr", "ii", "iii", "dr", "mr"];

/// Returns a name in lower case without diacritics and punctuation, with its parts separated by blanks.
/// Apostrophes and invisible characters are removed.
pub fn folded(name: &str) -> String {
    let mut text = String::with_capacity(name.len());
    let visible = name.chars().filter(|character| !is_invisible(*character));
    for character in
        visible.nfkd().filter(|character| !is_combining_mark(*character)).flat_map(char::to_lowercase)
    {
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
            apostrophe if is_apostrophe(apostrophe) => {}
            other if other.is_alphanumeric() => text.push(other),
            _ if text.ends_with(' ') || text.is_empty() => {}
            _ => text.push(' '),
        }
    }
    text.truncate(text.trim_end().len());
    text
}

const fn is_apostrophe(character: char) -> bool {
    matches!(
        character,
        '\'' | '’' | '‘' | 'ʼ' | 'ʻ' | 'ʾ' | 'ʿ' | 'ʹ' | 'ʺ' | '`' | '´' | '׳' | '״' | '″' | '′'
    )
}

/// Most parts of a name that are compared.
pub const MAX_PARTS: usize = 12;

/// Part of a name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Part {
    /// Text in lower-case Latin letters.
    pub text: String,
    /// Whether the part is often left out.
    pub particle: bool,
    /// Whether the part is known to belong to the family name.
    pub family: bool,
    /// Whether the script omits vowels.
    pub abjad: bool,
}

/// Whether a name can be compared. Names that are too long or in an unsupported script need a reviewer.
pub fn is_comparable(name: &str) -> bool {
    let read = read(name);
    read.parts.is_some_and(|parts| !parts.is_empty() && parts.len() <= MAX_PARTS)
}

/// Returns the parts of a name, given names first. The name is written `Family, Given`, or without a comma in
/// any order.
pub fn parts(name: &str) -> Vec<Part> {
    let Reading { parts, readable } = read(name);
    let mut parts = parts.unwrap_or(readable);
    parts.truncate(MAX_PARTS);
    let core = |parts: &[Part]| parts.iter().filter(|part| !part.particle).count();
    if core(&parts) < 2 {
        for part in &mut parts {
            part.particle = false;
        }
    }
    parts
}

#[derive(Debug)]
struct Reading {
    /// None if some part cannot be read.
    parts: Option<Vec<Part>>,
    /// Parts that can be read.
    readable: Vec<Part>,
}

fn read(name: &str) -> Reading {
    let (family, given) = name.split_once(',').map_or(("", name), |(family, given)| (family, given));
    let (mut readable, mut all) = (Vec::new(), true);
    let mut piece = |text: &str, is_family: bool| {
        let from = readable.len();
        for word in words(text) {
            match latin(&word) {
                Some(parts) => {
                    let abjad = word.iter().all(|(_, script)| *script == Script::Abjad);
                    let parts = parts.into_iter().flat_map(|text| without_article(text, &word));
                    readable.extend(parts.map(|text| Part {
                        text,
                        particle: false,
                        family: is_family,
                        abjad,
                    }));
                }
                None => all = false,
            }
        }
        let piece = readable.get_mut(from..).unwrap_or_default();
        mark_particles(piece);
    };
    piece(given, false);
    piece(family, true);
    readable.retain(|part| !SUFFIXES.contains(&part.text.as_str()) && !part.text.is_empty());
    // Without a comma, a particle in last position is the family name.
    if family.is_empty()
        && let Some(last) = readable.last_mut()
    {
        last.particle = false;
    }
    Reading { parts: all.then(|| readable.clone()), readable }
}

/// Marks particles, unless the piece consists of particles only.
fn mark_particles(piece: &mut [Part]) {
    let count = piece.len();
    for (at, part) in piece.iter_mut().enumerate() {
        let outer = at == 0 || at + 1 == count;
        part.particle = PARTICLES.contains(&part.text.as_str()) && !(outer && part.text.len() == 1);
    }
    if piece.iter().all(|part| part.particle) {
        for part in piece {
            part.particle = false;
        }
    }
}

/// Splits the article from an Arabic word.
fn without_article(text: String, word: &[(char, Script)]) -> Vec<String> {
    match word {
        [('ا' | 'ٱ' | 'أ', _), ('ل', _), _, _, ..] => {
            vec!["al".to_owned(), text.get(2..).unwrap_or_default().to_owned()]
        }
        _ => vec![text],
    }
}

/// Most words of a name that are read.
const MAX_WORDS: usize = 40;

/// Splits a name into words: runs of letters of one script. Mixed Latin, Greek and Cyrillic letters form one
/// word.
fn words(name: &str) -> Vec<Vec<(char, Script)>> {
    let mut words: Vec<Vec<(char, Script)>> = vec![Vec::new()];
    let visible = name.chars().filter(|character| !is_invisible(*character));
    for character in visible
        .nfkc()
        .filter(|character| !is_mark(*character))
        .flat_map(char::to_lowercase)
        .filter(|c| !is_mark(*c))
    {
        if is_apostrophe(character) {
            continue;
        }
        let found = script(character).or_else(|| character.is_numeric().then_some(Script::Latin));
        let Some(found) = found else {
            if words.last().is_some_and(|word| !word.is_empty()) {
                words.push(Vec::new());
            }
            continue;
        };
        if words.len() > MAX_WORDS {
            break;
        }
        let family = |script: Script| match script {
            Script::Cyrillic | Script::Greek => Script::Latin,
            Script::Kana => Script::Han,
            other => other,
        };
        if words.last().and_then(|word| word.last()).is_some_and(|(_, last)| family(*last) != family(found)) {
            words.push(Vec::new());
        }
        if let Some(word) = words.last_mut()
            && word.len() < scripts::MAX_WORD
        {
            word.push((character, found));
        }
    }
    words.retain(|word| !word.is_empty());
    words
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
            ("Ada\u{200b} Car\u{ad}ter", "ada carter"),
            ("李 小龙", "李 小龙"),
            ("...", ""),
        ] {
            assert_eq!(folded(name), expected);
        }
    }

    /// Returns the parts of a name, with particles in brackets.
    fn joined_parts(name: &str) -> String {
        let part = |part: &Part| if part.particle { format!("({})", part.text) } else { part.text.clone() };
        parts(name).iter().map(part).collect::<Vec<_>>().join(" ")
    }

    #[test]
    fn names_are_split_into_parts() {
        for (name, expected) in [
            ("BIN LADEN, Usama", "usama (bin) laden"),
            ("de la Cruz, Juan", "juan (de) (la) cruz"),
            ("bin Laden", "bin laden"),
            ("DAS, Ravi Kumar", "ravi kumar das"),
            ("Ravi Kumar Das", "ravi kumar das"),
            ("Juan Ortega y Gasset", "juan ortega (y) gasset"),
            ("CARTER, E.", "e carter"),
            ("J. Smith Jr.", "j smith"),
            ("Ｊｏｈｎ Smi\u{200d}th", "john smith"),
            ("Чехов, Антон", "anton chekhov"),
            ("Оsаmа", "osama"),
            ("الحربي, سمير", "smyr (al) hrby"),
            ("李, 小龙", "xiao long li"),
            ("欧阳娜娜", "ouyang na na"),
            ("김정은", "gim jeong eun"),
            ("Παπαδόπουλος, Γιώργος", "giorgos papadopoulos"),
        ] {
            assert_eq!(joined_parts(name), expected, "{name}");
        }
    }

    #[test]
    fn names_that_cannot_be_read_are_not_comparable() {
        for (name, expected) in [
            ("Carter, Ada", true),
            ("Чехов, Антон", true),
            ("الحربي, سمير", true),
            ("李, 小龙", true),
            ("김정은", true),
            ("สมชาย, ใจดี", false),
            ("渡辺, さくら", false),
            ("...", false),
            ("\u{200b}", false),
        ] {
            assert_eq!(is_comparable(name), expected, "{name}");
        }
        assert!(!is_comparable(&"Ada ".repeat(100)));
        assert!(is_comparable(&format!("Carter, {}", "a".repeat(10_000))));
    }
}
