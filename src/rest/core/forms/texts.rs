//! Texts and their forms.

use super::Form;
use crate::rest::core::deserializer::Wrong;
use domain::{access::passwords, kernel::text::has_control};
use serde_json::{Map, Value, json};

/// How a text is read. Texts that are stored or looked up must not contain control characters, which some
/// databases cannot store.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Reading {
    /// A blank text counts as left out. The domain ignores spaces around the text, so the maximum length
    /// with spaces is checked here.
    Trimmed,
    /// A blank text counts as left out.
    Whole,
    /// An empty text counts as left out. The text is not stored and may contain anything.
    Secret,
    /// The text is not stored and may contain anything.
    Verbatim,
}

/// Text.
#[derive(Clone, Copy, Debug)]
pub struct Text {
    /// Minimum and maximum number of characters.
    min: usize,
    max: usize,
    /// ECMA-262 regular expression; empty for any text.
    pattern: &'static str,
    /// Format from JSON Schema or defined by Coffer; empty for none.
    format: &'static str,
    reading: Reading,
}

const fn text(min: usize, max: usize, pattern: &'static str, format: &'static str) -> Text {
    Text { min, max, pattern, format, reading: Reading::Trimmed }
}

impl Text {
    /// Leaves the maximum length to the domain, which counts spaces around the text.
    pub const fn whole(self) -> Self {
        Self { reading: Reading::Whole, ..self }
    }

    const fn secret(self) -> Self {
        Self { reading: Reading::Secret, ..self }
    }

    const fn verbatim(self) -> Self {
        Self { reading: Reading::Verbatim, ..self }
    }
}

impl Form for Text {
    type Value = String;

    fn parse(&self, json: &str) -> Result<String, Wrong> {
        let text = string(json)?;
        match self.reading {
            Reading::Secret if text.is_empty() => Err(Wrong::Missing),
            Reading::Secret | Reading::Verbatim => Ok(text),
            Reading::Whole => printable(text),
            Reading::Trimmed => {
                // The domain checks the length without the spaces.
                if text.trim().chars().count() <= self.max {
                    check_length(&text, self.max)?;
                }
                printable(text)
            }
        }
    }

    fn schema(&self) -> Value {
        let mut schema = Map::from_iter([("type".to_owned(), json!("string"))]);
        if self.min > 0 {
            schema.insert("minLength".to_owned(), json!(self.min));
        }
        if self.max < usize::MAX {
            schema.insert("maxLength".to_owned(), json!(self.max));
        }
        for (name, value) in [("pattern", self.pattern), ("format", self.format)] {
            if !value.is_empty() {
                schema.insert(name.to_owned(), json!(value));
            }
        }
        schema.into()
    }
}

pub(super) fn string(json: &str) -> Result<String, Wrong> {
    serde_json::from_str(json).map_err(|_| Wrong::Invalid("must be a string".to_owned()))
}

pub(super) fn check_length(text: &str, max: usize) -> Result<(), Wrong> {
    if text.chars().count() <= max {
        return Ok(());
    }
    Err(Wrong::Invalid(format!("must have at most {max} characters")))
}

pub(super) fn printable(text: String) -> Result<String, Wrong> {
    if text.trim().is_empty() {
        Err(Wrong::Missing)
    } else if has_control(&text) {
        Err(Wrong::Invalid("must not contain control characters".to_owned()))
    } else {
        Ok(text)
    }
}

/// Any text.
pub const ANY: Text = text(0, usize::MAX, "", "").verbatim();
/// Token or password that is compared and not stored.
pub const SECRET: Text = text(1, usize::MAX, "", "").secret();
/// New password. The length limits apply to its NFKC form.
pub const PASSWORD: Text = text(passwords::MIN_LENGTH, passwords::MAX_LENGTH, "", "password").secret();
/// Up to 100 printable characters.
pub const WORDS: Text = words(100);
/// Given or family name.
pub const NAME: Text = text(1, 100, r"^[^\x00-\x1f\x7f-\x9f]*\p{L}[^\x00-\x1f\x7f-\x9f]*$", "");
/// Full name: one word with a letter, or several words with a letter in the last word and in the rest.
pub const FULL_NAME: Text = text(
    1,
    201,
    concat!(
        r"^(?![\s\S]*[\x00-\x1f\x7f-\x9f])\s*(?=\S{1,100}\s*$|[\s\S]{1,100}?\s+\S{1,100}\s*$)",
        r"(?:[^\x00-\x1f\x7f-\x9f]*\p{L}[^\x00-\x1f\x7f-\x9f]*\s)?",
        r"[^\x00-\x1f\x7f-\x9f\s]*\p{L}[^\x00-\x1f\x7f-\x9f\s]*\s*$"
    ),
    "",
);
/// E-mail address. The pattern is necessary but not sufficient.
pub const EMAIL: Text = text(3, 254, r"^[^\s@]+@[^\s@.]+(?:\.[^\s@.]+)+$", "email");
/// Phone number of the North American Numbering Plan, with optional punctuation and country code.
pub const PHONE: Text = text(
    10,
    40,
    concat!(
        r"^\s*(?:\+[ .()\-]*1|[ .()\-]*1)?[ .()\-]*",
        r"[2-9][ .()\-]*[0-9][ .()\-]*[0-9][ .()\-]*[2-9](?:[ .()\-]*[0-9]){6}[ .()\-]*\s*$",
    ),
    "",
);
/// Calendar day that is not in the future.
pub const DATE: Text = text(10, 10, r"^[0-9]{4}-[0-9]{2}-[0-9]{2}$", "date");
/// Social security number that can be issued, with or without dashes. Area 666 is accepted in sandboxes only.
pub const SSN: Text = text(
    9,
    11,
    concat!(
        r"^(?!078-?05-?1120$|219-?09-?9999$)(?!000|9)[0-9]{3}",
        r"(?:-(?!00)[0-9]{2}-(?!0000)[0-9]{4}|(?!00)[0-9]{2}(?!0000)[0-9]{4})$"
    ),
    "",
);
/// ABA routing number. Its last digit is a checksum.
pub const ROUTING_NUMBER: Text =
    text(9, 9, r"^(?!0{9})(?:0[0-9]|1[0-2]|2[1-9]|3[0-2]|6[1-9]|7[0-2]|80)[0-9]{7}$", "aba-routing-number")
        .whole();
/// Bank account number.
pub const BANK_ACCOUNT_NUMBER: Text = text(4, 17, r"^[A-Za-z0-9]{4,17}$", "").whole();
/// Six-digit passcode.
pub const PASSCODE: Text = text(6, 6, r"^[0-9]{6}$", "").verbatim();
/// Notes, which may have several lines.
pub const NOTES: Text = text(0, 2000, r"^[^\x00-\x08\x0e-\x1f\x7f-\x84\x86-\x9f]*$", "");
/// PDF, JPEG or PNG file in base64.
pub const DOCUMENT: Text = text(
    4,
    usize::MAX,
    concat!(
        r"^(?=JVBERi[0-3]|/9j/|iVBORw0KGgo)(?:[A-Za-z0-9+/]{4})*",
        r"(?:[A-Za-z0-9+/][AQgw](?:==)?|[A-Za-z0-9+/]{2}[AEIMQUYcgkosw048]=?)?$"
    ),
    "",
);
/// File extension of a document.
pub const EXTENSION: Text = text(0, 100, r"^\s*\.*(?:[pP][dD][fF]|[jJ][pP][eE]?[gG]|[pP][nN][gG])\s*$", "");
/// Ticker or id of an instrument.
pub const SYMBOL: Text = text(1, usize::MAX, r"\S", "").verbatim();

/// Up to `max` printable characters, at least one of them no space.
pub const fn words(max: usize) -> Text {
    text(1, max, r"^[^\x00-\x1f\x7f-\x9f]*[^\x00-\x1f\x7f-\x9f\s][^\x00-\x1f\x7f-\x9f]*$", "")
}
