//! Which characters a text may contain, and its normalized form for storage.

use unicode_normalization::UnicodeNormalization;

/// Characters that are not visible, so that two different texts can look the same: Unicode's property
/// `Default_Ignorable_Code_Point` (Unicode 16, DerivedCoreProperties.txt) and the interlinear annotation
/// characters.
const INVISIBLE: [(char, char); 17] = [
    ('\u{ad}', '\u{ad}'),
    ('\u{34f}', '\u{34f}'),
    ('\u{61c}', '\u{61c}'),
    ('\u{115f}', '\u{1160}'),
    ('\u{17b4}', '\u{17b5}'),
    ('\u{180b}', '\u{180f}'),
    ('\u{200b}', '\u{200f}'),
    ('\u{202a}', '\u{202e}'),
    ('\u{2060}', '\u{206f}'),
    ('\u{3164}', '\u{3164}'),
    ('\u{fe00}', '\u{fe0f}'),
    ('\u{feff}', '\u{feff}'),
    ('\u{ffa0}', '\u{ffa0}'),
    ('\u{fff0}', '\u{fffb}'),
    ('\u{1bca0}', '\u{1bca3}'),
    ('\u{1d173}', '\u{1d17a}'),
    ('\u{e0000}', '\u{e0fff}'),
];

/// Whether a character is invisible.
pub fn is_invisible(character: char) -> bool {
    INVISIBLE.iter().any(|(first, last)| (*first..=*last).contains(&character))
}

/// Whether a text contains a control character other than whitespace. PostgreSQL cannot store a NUL at all.
pub fn has_control(text: &str) -> bool {
    text.contains(|character: char| character.is_control() && !character.is_whitespace())
}

/// Returns the stored form of a free text: NFKC, without invisible characters, with single spaces between
/// words and none around them.
///
/// Control characters and characters that change the writing direction must be refused before, see
/// `is_refused`.
pub fn tidy(text: &str) -> String {
    // Removing a character can leave two adjacent ones that compose.
    let text: String = text.nfkc().filter(|character| !is_invisible(*character)).nfkc().collect();
    let words = text
        .split(|character: char| character.is_whitespace() || character == BRAILLE_BLANK)
        .filter(|word| !word.is_empty());
    words.collect::<Vec<_>>().join(" ")
}

/// BRAILLE PATTERN BLANK, which Unicode classifies as a symbol.
const BRAILLE_BLANK: char = '\u{2800}';

/// Whether a character is refused in names and addresses: it is a control character or changes the writing
/// direction.
pub fn is_refused(character: char) -> bool {
    character.is_control() || matches!(character, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equal_looking_texts_have_the_same_stored_form() {
        for (text, stored) in [
            ("", ""),
            (" \u{a0}\u{2003}\u{2800}\u{3000} ", ""),
            ("12  Main\u{2009}St ", "12 Main St"),
            ("A\u{200b}d\u{200d}a", "Ada"),
            ("e\u{34f}\u{301}", "é"),
            ("\u{200e}Ada\u{200f}\u{61c}", "Ada"),
            ("\u{115f}\u{1160}\u{ffa0}\u{3164}", ""),
            ("A\u{e0041}da\u{fe0f}", "Ada"),
            ("１２３ Ｍａｉｎ", "123 Main"),
            ("№ 7", "No 7"),
            ("李 小龙", "李 小龙"),
            ("O'Brien-Łuczak", "O'Brien-Łuczak"),
        ] {
            assert_eq!(tidy(text), stored, "{text:?}");
            assert_eq!(tidy(stored), stored, "{text:?}");
        }
    }

    #[test]
    fn control_and_direction_characters_are_refused() {
        for character in
            ['\0', '\t', '\n', '\u{7f}', '\u{85}', '\u{202a}', '\u{202e}', '\u{2066}', '\u{2069}']
        {
            assert!(is_refused(character), "{character:?}");
        }
        for character in ['a', ' ', '\u{a0}', '\u{200b}', '\u{2060}', 'é'] {
            assert!(!is_refused(character), "{character:?}");
        }
    }
}
