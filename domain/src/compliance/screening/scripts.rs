//! Transliteration of names into Latin letters.
//!
//! Cyrillic follows BGN/PCGN; Arabic and Hebrew ALA-LC, without the vowels that their scripts omit (see
//! `sounds`); Greek ELOT 743; Chinese Hanyu Pinyin; Korean the Revised Romanization of 2000. The tables for
//! Chinese, Korean and other scripts are those of `any_ascii`. Letters that look Latin within a Latin word
//! are read as the Latin letter (Unicode Technical Standard 39).

use crate::kernel::text;
use any_ascii::any_ascii_char;
use unicode_normalization::UnicodeNormalization;

/// Most letters of a word that are read.
pub const MAX_WORD: usize = 48;

/// Script of a letter, which determines how it is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Script {
    Latin,
    Cyrillic,
    Greek,
    /// Script that omits vowels.
    Abjad,
    Han,
    Hangul,
    Kana,
    /// Read letter by letter.
    Other,
    /// Not supported.
    Unreadable,
}

/// Returns the script of a letter; none for other characters.
pub fn script(character: char) -> Option<Script> {
    let script = match u32::from(character) {
        0x41..=0x24f | 0x1e00..=0x1eff | 0x2c60..=0x2c7f | 0xa720..=0xa7ff | 0x250..=0x2af => Script::Latin,
        0x370..=0x3ff | 0x1f00..=0x1fff => Script::Greek,
        0x400..=0x52f | 0x1c80..=0x1c8f | 0x2de0..=0x2dff | 0xa640..=0xa69f => Script::Cyrillic,
        // Arabic and Hebrew, and Indic scripts, with letters that have an unwritten vowel.
        0x590..=0x6ff | 0x750..=0x77f | 0x8a0..=0x8ff | 0x900..=0xdff => Script::Abjad,
        0x530..=0x58f | 0x10a0..=0x10ff | 0x1c90..=0x1cbf | 0x2d00..=0x2d2f | 0x1200..=0x139f => {
            Script::Other
        }
        0x3041..=0x30ff | 0x31f0..=0x31ff => Script::Kana,
        0x3005 | 0x3400..=0x4dbf | 0x4e00..=0x9fff | 0xf900..=0xfaff | 0x20000..=0x323af => Script::Han,
        0xac00..=0xd7a3 => Script::Hangul,
        _ => Script::Unreadable,
    };
    // Vowel signs of Indic scripts are marks.
    (character.is_alphabetic() || (0x900..=0xdff).contains(&u32::from(character)) && !character.is_numeric())
        .then_some(script)
}

/// Whether a character is invisible and can be ignored in a name.
pub fn is_invisible(character: char) -> bool {
    text::is_invisible(character) || (character.is_control() && !character.is_whitespace())
}

/// Whether a character is a mark that is not compared: an accent, or a vowel sign of Arabic or Hebrew.
pub const fn is_mark(character: char) -> bool {
    matches!(character as u32,
        0x300..=0x36f | 0x483..=0x489 | 0x591..=0x5c7 | 0x610..=0x61a
            | 0x640 | 0x64b..=0x65f | 0x670 | 0x6d6..=0x6dc | 0x6df..=0x6e8
        | 0x6ea..=0x6ed | 0x1ab0..=0x1aff | 0x1dc0..=0x1dff | 0x20d0..=0x20ff | 0xfe20..=0xfe2f)
}

/// Returns a letter without its marks.
fn bare(character: char) -> char {
    character.nfkd().next().unwrap_or(character)
}

const CYRILLIC: [(char, &str); 64] = [
    ('а', "a"),
    ('б', "b"),
    ('в', "v"),
    ('г', "g"),
    ('ґ', "g"),
    ('д', "d"),
    ('е', "e"),
    ('ж', "zh"),
    ('з', "z"),
    ('и', "i"),
    ('і', "i"),
    ('к', "k"),
    ('л', "l"),
    ('м', "m"),
    ('н', "n"),
    ('о', "o"),
    ('п', "p"),
    ('р', "r"),
    ('с', "s"),
    ('т', "t"),
    ('у', "u"),
    ('ф', "f"),
    ('х', "kh"),
    ('ц', "ts"),
    ('ч', "ch"),
    ('ш', "sh"),
    ('щ', "shch"),
    ('ъ', ""),
    ('ы', "y"),
    ('ь', ""),
    ('э', "e"),
    ('ю', "yu"),
    ('я', "ya"),
    ('є', "ye"),
    ('ђ', "dj"),
    ('ј', "j"),
    ('љ', "lj"),
    ('њ', "nj"),
    ('ћ', "ch"),
    ('џ', "dzh"),
    ('ѕ', "dz"),
    ('ә', "a"),
    ('ғ', "gh"),
    ('қ', "k"),
    ('ң', "ng"),
    ('ө', "o"),
    ('ү', "u"),
    ('ұ', "u"),
    ('һ', "h"),
    ('ҳ', "h"),
    ('ҷ', "j"),
    ('ӏ', ""),
    ('ҡ', "k"),
    ('ҙ', "z"),
    ('ҫ', "s"),
    ('җ', "j"),
    ('ѣ', "e"),
    ('ѳ', "f"),
    ('ѵ', "i"),
    ('ғ', "gh"),
    ('ҝ', "g"),
    ('ҹ', "j"),
    ('ө', "o"),
    ('ӈ', "n"),
];

const GREEK: [(char, &str); 25] = [
    ('α', "a"),
    ('β', "v"),
    ('γ', "g"),
    ('δ', "d"),
    ('ε', "e"),
    ('ζ', "z"),
    ('η', "i"),
    ('θ', "th"),
    ('ι', "i"),
    ('κ', "k"),
    ('λ', "l"),
    ('μ', "m"),
    ('ν', "n"),
    ('ξ', "x"),
    ('ο', "o"),
    ('π', "p"),
    ('ρ', "r"),
    ('σ', "s"),
    ('ς', "s"),
    ('τ', "t"),
    ('υ', "y"),
    ('φ', "f"),
    ('χ', "ch"),
    ('ψ', "ps"),
    ('ω', "o"),
];

const ABJAD: [(char, &str); 82] = [
    ('ا', "a"),
    ('ٱ', "a"),
    ('ب', "b"),
    ('ت', "t"),
    ('ث', "th"),
    ('ج', "j"),
    ('ح', "h"),
    ('خ', "kh"),
    ('د', "d"),
    ('ذ', "dh"),
    ('ر', "r"),
    ('ز', "z"),
    ('س', "s"),
    ('ش', "sh"),
    ('ص', "s"),
    ('ض', "d"),
    ('ط', "t"),
    ('ظ', "z"),
    ('ع', ""),
    ('غ', "gh"),
    ('ف', "f"),
    ('ق', "q"),
    ('ك', "k"),
    ('ک', "k"),
    ('ل', "l"),
    ('م', "m"),
    ('ن', "n"),
    ('ه', "h"),
    ('ة', "a"),
    ('و', "w"),
    ('ي', "y"),
    ('ی', "y"),
    ('ى', "a"),
    ('ئ', "y"),
    ('ؤ', "w"),
    ('أ', "a"),
    ('إ', "i"),
    ('آ', "a"),
    ('ء', ""),
    ('پ', "p"),
    ('چ', "ch"),
    ('ژ', "zh"),
    ('گ', "g"),
    ('ڤ', "v"),
    ('ٹ', "t"),
    ('ڈ', "d"),
    ('ڑ', "r"),
    ('ں', "n"),
    ('ھ', "h"),
    ('ہ', "h"),
    ('ے', "e"),
    ('ۀ', "a"),
    ('ډ', "d"),
    ('ړ', "r"),
    ('ښ', "sh"),
    ('א', "a"),
    ('ב', "b"),
    ('ג', "g"),
    ('ד', "d"),
    ('ה', "h"),
    ('ו', "w"),
    ('ז', "z"),
    ('ח', "kh"),
    ('ט', "t"),
    ('י', "y"),
    ('כ', "kh"),
    ('ך', "kh"),
    ('ל', "l"),
    ('מ', "m"),
    ('ם', "m"),
    ('נ', "n"),
    ('ן', "n"),
    ('ס', "s"),
    ('ע', "a"),
    ('פ', "ph"),
    ('ף', "ph"),
    ('צ', "ts"),
    ('ץ', "ts"),
    ('ק', "k"),
    ('ר', "r"),
    ('ש', "sh"),
    ('ת', "t"),
];

/// Letters of other scripts that look like Latin letters.
const LOOK_ALIKES: [(char, char); 34] = [
    ('а', 'a'),
    ('в', 'b'),
    ('с', 'c'),
    ('е', 'e'),
    ('н', 'h'),
    ('і', 'i'),
    ('ј', 'j'),
    ('к', 'k'),
    ('м', 'm'),
    ('о', 'o'),
    ('р', 'p'),
    ('ѕ', 's'),
    ('т', 't'),
    ('у', 'y'),
    ('х', 'x'),
    ('ԁ', 'd'),
    ('ԛ', 'q'),
    ('ԝ', 'w'),
    ('α', 'a'),
    ('β', 'b'),
    ('ε', 'e'),
    ('η', 'h'),
    ('ι', 'i'),
    ('κ', 'k'),
    ('μ', 'm'),
    ('ν', 'v'),
    ('ο', 'o'),
    ('ρ', 'p'),
    ('τ', 't'),
    ('υ', 'y'),
    ('χ', 'x'),
    ('ζ', 'z'),
    ('γ', 'y'),
    ('һ', 'h'),
];

fn found<T: Copy>(table: &[(char, T)], letter: char) -> Option<T> {
    table.iter().find(|(known, _)| *known == letter).map(|(_, read)| *read)
}

/// Family names of two characters.
const LONG_FAMILIES: [&str; 16] = [
    "欧阳", "歐陽", "司马", "司馬", "诸葛", "諸葛", "上官", "夏侯", "皇甫", "尉迟", "尉遲", "公孙", "公孫",
    "慕容", "司徒", "令狐",
];

/// Characters with a different reading in family names.
const FAMILY_READINGS: [(char, &str); 20] = [
    ('曾', "zeng"),
    ('单', "shan"),
    ('單', "shan"),
    ('解', "xie"),
    ('仇', "qiu"),
    ('查', "zha"),
    ('区', "ou"),
    ('區', "ou"),
    ('翟', "zhai"),
    ('任', "ren"),
    ('缪', "miao"),
    ('繆', "miao"),
    ('覃', "qin"),
    ('朴', "piao"),
    ('盖', "ge"),
    ('乐', "yue"),
    ('秘', "bi"),
    ('冼', "xian"),
    ('葉', "ye"),
    ('沈', "shen"),
];

/// Characters or character forms used only in Japan. The reading of a Japanese name cannot be derived from
/// its characters.
const JAPANESE: &str =
    "々沢浜桜竜広辺斎黒栄辻畑峠込笹榊渋徳巣塩蔵斉弥浅瀬姫関円桧滝榎稲穂恵実駅検県図鉄売読変帰齢顔児恒勲寛塚";

/// Transliterates a word: into syllables for Chinese and Korean, else into one word. None if it cannot be
/// read.
pub fn latin(word: &[(char, Script)]) -> Option<Vec<String>> {
    let first = word.iter().find(|(_, script)| *script != Script::Kana).or(word.first())?.1;
    if word.iter().any(|(_, script)| *script == Script::Unreadable) {
        return None;
    }
    let is_mixed = word.iter().any(|(_, script)| *script == Script::Latin)
        && word.iter().any(|(_, script)| *script != Script::Latin);
    if matches!(first, Script::Han | Script::Hangul) {
        let is_japanese =
            word.iter().any(|(letter, script)| *script == Script::Kana || JAPANESE.contains(*letter));
        return (!is_japanese).then(|| syllables(word));
    }
    let mut text = String::with_capacity(word.len());
    for (letter, script) in word {
        let bare = bare(*letter);
        let read = match script {
            _ if is_mixed && let Some(latin) = found(&LOOK_ALIKES, bare) => {
                text.push(latin);
                continue;
            }
            Script::Cyrillic => found(&CYRILLIC, *letter).or_else(|| found(&CYRILLIC, bare)),
            Script::Greek => found(&GREEK, bare),
            Script::Abjad => found(&ABJAD, *letter).or_else(|| found(&ABJAD, bare)),
            _ => None,
        };
        let read =
            read.unwrap_or_else(|| any_ascii_char(if *script == Script::Latin { bare } else { *letter }));
        text.extend(
            read.chars().filter(char::is_ascii_alphanumeric).map(|letter| letter.to_ascii_lowercase()),
        );
    }
    let text = match first {
        Script::Greek => text.replace("oy", "ou").replace("mp", "b").replace("gk", "g"),
        _ => text,
    };
    (!text.is_empty() || first == Script::Abjad).then(|| vec![text])
}

fn syllables(word: &[(char, Script)]) -> Vec<String> {
    let text: String = word.iter().map(|(letter, _)| letter).collect();
    let is_long = LONG_FAMILIES.iter().any(|family| text.starts_with(family));
    let read = |(at, (letter, _)): (usize, &(char, Script))| {
        let as_family = if at == 0 && !is_long { found(&FAMILY_READINGS, *letter) } else { None };
        as_family.unwrap_or_else(|| any_ascii_char(*letter)).to_ascii_lowercase()
    };
    let mut syllables: Vec<String> = word.iter().enumerate().map(read).collect();
    if is_long && syllables.len() > 2 {
        let second = syllables.remove(1);
        if let Some(first) = syllables.first_mut() {
            first.push_str(&second);
        }
    }
    syllables.retain(|syllable| !syllable.is_empty());
    syllables
}
