//! Personal data fields: validation and stored form.

use crate::{
    Refusal, Result,
    kernel::text::{self, is_refused},
};
use chrono::{Datelike, NaiveDate};
use std::fmt;

pub use super::codes::{CodeError, Country, UsState};
pub use crate::kernel::text::tidy;

macro_rules! checked_text {
    ($($(#[$doc:meta])* $name:ident;)*) => {$(
        $(#[$doc])*
        #[derive(Clone, Debug, PartialEq, Eq, Hash)]
        pub struct $name(String);

        impl $name {
            #[must_use]
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }
    )*};
}

macro_rules! reasons {
    ($($(#[$doc:meta])* $name:ident { $($(#[$why:meta])* $reason:ident = $text:literal,)* })*) => {$(
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub enum $name { $($(#[$why])* $reason,)* }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(match self { $(Self::$reason => $text,)* })
            }
        }

        impl std::error::Error for $name {}
    )*};
}

checked_text! {
    /// ZIP code, `12345` or `12345-6789`.
    PostalCode;
    /// E-mail address as entered.
    Email;
    /// Phone number of the North American Numbering Plan in E.164 form, for example `+12025550107`.
    Phone;
    /// Name of a person in its stored form.
    PersonName;
}

reasons! {
    /// Why a text is not a ZIP code.
    PostalCodeError {
        Shape = "must be a ZIP code of 5 or 9 digits",
    }
    /// Why a text is not an e-mail address.
    EmailError {
        /// More than 254 bytes, the limit for e-mail addresses.
        Length = "must have at most 254 characters",
        /// Not exactly one `@` after a local part, or blanks or control characters.
        Shape = "must be an e-mail address",
        /// No dot in the domain, or an empty label.
        Domain = "must have a domain with a dot",
    }
    /// Why a text is not a telephone number.
    PhoneError {
        /// A character other than digits, a leading plus, blanks, dots, dashes and parentheses.
        Character = "must contain only digits and punctuation",
        /// Neither ten digits, nor eleven that begin with 1.
        Length = "must be a US number of 10 digits",
        /// Area code or exchange begins with 0 or 1.
        Plan = "must have an area code and an exchange code that each begin with 2 to 9",
    }
    /// Why a text is not a person's name.
    PersonNameError {
        Length = "must have 1 to 100 characters",
        /// Contains a control character or a character that changes the writing direction.
        Control = "must not contain control characters",
        NoLetter = "must contain a letter",
    }
    /// Why a text is not a date.
    DateError {
        Shape = "must be a date as YYYY-MM-DD",
        /// Well-formed, but not a calendar date.
        NoSuchDay = "must be a valid calendar date",
    }
}

impl PostalCode {
    /// Parses five digits, or nine with or without the dash, which is inserted.
    ///
    /// # Errors
    /// Any other shape. Whether the code is in use is not checked.
    pub fn parse(text: &str) -> Result<Self, PostalCodeError> {
        let (zip, plus_four) = match (text.len(), text.split_at_checked(5)) {
            (5, _) => (text, None),
            (9, Some((zip, rest))) => (zip, Some(rest)),
            (10, Some((zip, rest))) => (zip, Some(rest.strip_prefix('-').ok_or(PostalCodeError::Shape)?)),
            _ => return Err(PostalCodeError::Shape),
        };
        if !all_digits(zip) || !plus_four.is_none_or(all_digits) {
            return Err(PostalCodeError::Shape);
        }
        Ok(Self(plus_four.map_or_else(|| zip.to_owned(), |rest| format!("{zip}-{rest}"))))
    }
}

impl Email {
    /// Parses an address of at most 254 bytes by the rules of `lettre`, which sends mail: one `@`, no blanks
    /// or invisible characters, and a domain of dotted labels.
    ///
    /// # Errors
    /// The first reason that applies, in the order of [`EmailError`]. Whether mail arrives is not checked.
    pub fn parse(text: &str) -> Result<Self, EmailError> {
        if text.len() > 254 {
            return Err(EmailError::Length);
        }
        let (local, domain) = text.split_once('@').ok_or(EmailError::Shape)?;
        let unprintable = |c: char| c.is_whitespace() || c.is_control() || text::is_invisible(c);
        if local.is_empty() || domain.contains('@') || text.contains(unprintable) {
            return Err(EmailError::Shape);
        }
        if !domain.contains('.') || domain.split('.').any(str::is_empty) || domain.contains(['[', ']']) {
            return Err(EmailError::Domain);
        }
        text.parse::<lettre::Address>().map_err(|_| EmailError::Shape)?;
        Ok(Self(text.to_owned()))
    }

    /// Returns the lower-case form, by which addresses are compared.
    #[must_use]
    pub fn folded(&self) -> String {
        self.0.to_lowercase()
    }
}

impl Phone {
    /// Parses ten digits, or eleven that begin with 1, by the North American Numbering Plan, and drops
    /// punctuation.
    ///
    /// The fictional range 555-0100 to 555-0199 is accepted.
    ///
    /// # Errors
    /// The first reason that applies, in the order of [`PhoneError`].
    pub fn parse(text: &str) -> Result<Self, PhoneError> {
        let (international, rest) =
            text.trim().strip_prefix('+').map_or((false, text.trim()), |rest| (true, rest));
        if !rest.chars().all(|c| c.is_ascii_digit() || matches!(c, ' ' | '.' | '-' | '(' | ')')) {
            return Err(PhoneError::Character);
        }
        let digits: String = rest.chars().filter(char::is_ascii_digit).collect();
        let national = match digits.len() {
            10 if !international => Some(digits.as_str()),
            11 => digits.strip_prefix('1'),
            _ => None,
        };
        let national = national.ok_or(PhoneError::Length)?;
        let begins_area_or_exchange = |(at, byte): (usize, u8)| !matches!(at, 0 | 3) || byte >= b'2';
        if !national.bytes().enumerate().all(begins_area_or_exchange) {
            return Err(PhoneError::Plan);
        }
        Ok(Self(format!("+1{national}")))
    }
}

impl PersonName {
    /// Parses a name of at most 100 characters. Its stored form (see [`tidy`]) has 1 to 100 characters and at
    /// least one letter.
    ///
    /// # Errors
    /// The first reason that applies, in the order of [`PersonNameError`].
    pub fn parse(text: &str) -> Result<Self, PersonNameError> {
        let name = tidy(text);
        if text.chars().count() > 100 || !(1..=100).contains(&name.chars().count()) {
            return Err(PersonNameError::Length);
        }
        if text.contains(is_refused) {
            return Err(PersonNameError::Control);
        }
        if !name.contains(char::is_alphabetic) {
            return Err(PersonNameError::NoLetter);
        }
        Ok(Self(name))
    }
}

/// Parses a calendar date, exactly `YYYY-MM-DD`.
///
/// # Errors
/// Another shape, or a date that does not exist. A future date is accepted; [`age_on`] returns none for it.
pub fn parse_date(text: &str) -> Result<NaiveDate, DateError> {
    let dashed = |at| matches!(at, 4 | 7);
    let fits = |(at, byte): (usize, u8)| if dashed(at) { byte == b'-' } else { byte.is_ascii_digit() };
    if text.len() != 10 || !text.bytes().enumerate().all(fits) {
        return Err(DateError::Shape);
    }
    text.parse().map_err(|_| DateError::NoSuchDay)
}

/// Returns the age in whole years on a day, or none before birth. In years without 29 February, a person born
/// on that day turns a year older on 1 March.
#[must_use]
pub fn age_on(born: NaiveDate, day: NaiveDate) -> Option<u32> {
    let before_birthday = (day.month(), day.day()) < (born.month(), born.day());
    u32::try_from(day.year() - born.year() - i32::from(before_birthday)).ok()
}

/// Returns the last four digits of a number, ignoring punctuation.
pub fn last4(number: &str) -> String {
    let digits: Vec<char> = number.chars().filter(char::is_ascii_digit).collect();
    digits.iter().skip(digits.len().saturating_sub(4)).collect()
}

fn all_digits(text: &str) -> bool {
    text.bytes().all(|byte| byte.is_ascii_digit())
}

/// Refuses text that is missing, longer than 100 characters as entered or as stored, or not printable.
pub fn check_words(field: &str, text: &str) -> Result<()> {
    let stored = tidy(text);
    if stored.is_empty() {
        return Err(Refusal::required(field).into());
    }
    if [text, &stored].iter().any(|words| words.chars().count() > 100) {
        return Err(Refusal::invalid(field, NOT_PRINTABLE).into());
    }
    check_characters(field, text)
}

const NOT_PRINTABLE: &str = "must have at most 100 printable characters";

/// Refuses control characters and characters that change the writing direction.
fn check_characters(field: &str, text: &str) -> Result<()> {
    if text.contains(is_refused) { Err(Refusal::invalid(field, NOT_PRINTABLE).into()) } else { Ok(()) }
}

/// Returns the stored form of a name. Refused if it is missing or invalid.
pub fn person_name(field: &str, text: &str) -> Result<String> {
    if tidy(text).is_empty() {
        return Err(Refusal::required(field).into());
    }
    PersonName::parse(text)
        .map(|name| name.0)
        .map_err(|error| Refusal::invalid(field, error.to_string()).into())
}

/// Longest full name: two names of 100 characters and a blank.
const MAX_FULL_NAME: usize = 201;

/// Returns the stored forms of the given names and of the family name, which is the last word of a full name
/// and may be empty. Refused if a name is missing or invalid.
pub fn names(field: &str, full_name: &str) -> Result<(String, String)> {
    if [full_name, &tidy(full_name)].iter().any(|name| name.chars().count() > MAX_FULL_NAME) {
        return Err(Refusal::invalid(field, format!("must have at most {MAX_FULL_NAME} characters")).into());
    }
    check_characters(field, full_name)?;
    let (first, last) = split_name(full_name);
    person_name(field, &first)?;
    if !last.is_empty() {
        person_name(field, &last)?;
    }
    Ok((first, last))
}

fn split_name(full_name: &str) -> (String, String) {
    let name = tidy(full_name);
    match name.rsplit_once(' ') {
        Some((first, last)) => (first.to_owned(), last.to_owned()),
        None => (name, String::new()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_word_is_the_family_name() {
        for (name, first, last) in [
            ("Test Testing", "Test", "Testing"),
            (" Anna Maria  Okafor ", "Anna Maria", "Okafor"),
            ("Cher", "Cher", ""),
            ("", "", ""),
        ] {
            assert_eq!(split_name(name), (first.to_owned(), last.to_owned()));
        }
    }

    #[test]
    fn zip_codes_have_five_or_nine_digits() {
        for (text, stored) in [
            ("94105", "94105"),
            ("94105-1234", "94105-1234"),
            ("941051234", "94105-1234"),
            ("00501", "00501"),
        ] {
            assert_eq!(PostalCode::parse(text).unwrap().as_str(), stored);
        }
        for text in [
            "",
            "9410",
            "941056",
            "9410a",
            "94105-",
            "94105-123",
            "94105 1234",
            "94105-12345",
            "9410-51234",
            "éé941",
            "1234é5678",
        ] {
            assert_eq!(PostalCode::parse(text), Err(PostalCodeError::Shape), "{text}");
        }
    }

    #[test]
    fn e_mail_addresses_have_a_shape() {
        let label = "b".repeat(63);
        let longest = format!("{}@{label}.{label}.{}.com", "a".repeat(64), "b".repeat(57));
        for text in ["john@example.com", "a.b+c@mail.example.co", "ÿ@example.com", &longest] {
            assert_eq!(Email::parse(text).unwrap().as_str(), text);
        }
        let too_long = format!("a{longest}");
        for (text, reason) in [
            (too_long.as_str(), EmailError::Length),
            ("", EmailError::Shape),
            ("john", EmailError::Shape),
            ("@example.com", EmailError::Shape),
            ("a@b@example.com", EmailError::Shape),
            ("a b@example.com", EmailError::Shape),
            (" a@example.com", EmailError::Shape),
            ("a@example.com\n", EmailError::Shape),
            ("a\0@example.com", EmailError::Shape),
            ("<x@example.com>", EmailError::Shape),
            ("a..b@example.com", EmailError::Shape),
            (".a@example.com", EmailError::Shape),
            ("a.@example.com", EmailError::Shape),
            ("a,b@example.com", EmailError::Shape),
            ("a;b@example.com", EmailError::Shape),
            ("Ada <a@example.com>", EmailError::Shape),
            ("a@-example.com", EmailError::Shape),
            ("a\u{200b}b@example.com", EmailError::Shape),
            ("a@exam\u{ad}ple.com", EmailError::Shape),
            ("\u{feff}a@example.com", EmailError::Shape),
            ("a\u{202e}b@example.com", EmailError::Shape),
            ("a\u{fe0f}@example.com", EmailError::Shape),
            ("a@[127.0.0.1]", EmailError::Domain),
            ("a@", EmailError::Domain),
            ("a@localhost", EmailError::Domain),
            ("a@.com", EmailError::Domain),
            ("a@example.", EmailError::Domain),
            ("a@example..com", EmailError::Domain),
        ] {
            assert_eq!(Email::parse(text), Err(reason), "{text}");
        }
        assert_eq!(Email::parse("John@Example.COM").unwrap().folded(), "john@example.com");
    }

    #[test]
    fn telephone_numbers_follow_the_north_american_plan() {
        for text in [
            "2025550107",
            "12025550107",
            "+12025550107",
            "+1 (202) 555-0107",
            "202.555.0107",
            " 202-555-0107 ",
        ] {
            assert_eq!(Phone::parse(text).unwrap().as_str(), "+12025550107", "{text}");
        }
        for (text, reason) in [
            ("", PhoneError::Length),
            ("+", PhoneError::Length),
            ("202555010", PhoneError::Length),
            ("+2025550107", PhoneError::Length),
            ("22025550107", PhoneError::Length),
            ("120255501077", PhoneError::Length),
            ("+442079460958", PhoneError::Length),
            ("1025550107", PhoneError::Plan),
            ("0025550107", PhoneError::Plan),
            ("2021550107", PhoneError::Plan),
            ("2020550107", PhoneError::Plan),
            ("202555010x", PhoneError::Character),
            ("202+5550107", PhoneError::Character),
            ("++12025550107", PhoneError::Character),
            ("202/555/0107", PhoneError::Character),
            ("٢٠٢5550107", PhoneError::Character),
        ] {
            assert_eq!(Phone::parse(text), Err(reason), "{text}");
        }
    }

    #[test]
    fn names_have_a_letter_and_at_most_a_hundred_characters() {
        let longest = "é".repeat(100);
        for text in ["John", "O'Brien-Łuczak", "李", "J 2", &longest] {
            assert_eq!(PersonName::parse(text).unwrap().as_str(), text);
        }
        for (text, stored) in [
            ("  Doe ", "Doe"),
            ("Mary \u{a0}  Ann", "Mary Ann"),
            ("A\u{200b}da", "Ada"),
            ("\u{feff}Ada\u{2060}\u{ad}", "Ada"),
            ("Ａｄａ", "Ada"),
            ("Jose\u{301}", "José"),
            ("ﬁnn", "finn"),
        ] {
            assert_eq!(PersonName::parse(text).unwrap().as_str(), stored, "{text:?}");
        }
        let too_long = "é".repeat(101);
        for (text, reason) in [
            ("", PersonNameError::Length),
            ("   ", PersonNameError::Length),
            (too_long.as_str(), PersonNameError::Length),
            ("Jo\thn", PersonNameError::Control),
            ("John\n", PersonNameError::Control),
            ("\u{202e}nhoJ", PersonNameError::Control),
            ("Jo\u{2066}hn\u{2069}", PersonNameError::Control),
            ("\u{200b}\u{3164}", PersonNameError::Length),
            ("123", PersonNameError::NoLetter),
            ("-.'", PersonNameError::NoLetter),
        ] {
            assert_eq!(PersonName::parse(text), Err(reason), "{text}");
        }
    }

    #[test]
    fn dates_are_strict() {
        assert_eq!(parse_date("1992-02-29").unwrap().to_string(), "1992-02-29");
        for text in [
            "",
            "1992-2-29",
            "92-02-29",
            "1992/02/29",
            "1992-02-29T",
            " 1992-02-2",
            "+199-02-29",
            "29-02-1992",
        ] {
            assert_eq!(parse_date(text), Err(DateError::Shape), "{text}");
        }
        for text in ["1993-02-29", "1993-13-01", "1993-00-10", "1993-04-31", "1993-04-00"] {
            assert_eq!(parse_date(text), Err(DateError::NoSuchDay), "{text}");
        }
    }

    #[test]
    fn age_counts_birthdays() {
        let day = |text: &str| text.parse().unwrap();
        for (born, on, age) in [
            ("2008-07-10", "2026-07-09", Some(17)),
            ("2008-07-10", "2026-07-10", Some(18)),
            ("2008-02-29", "2026-02-28", Some(17)),
            ("2008-02-29", "2026-03-01", Some(18)),
            ("2008-02-29", "2028-02-29", Some(20)),
            ("2026-07-10", "2026-07-10", Some(0)),
            ("2026-07-11", "2026-07-10", None),
        ] {
            assert_eq!(age_on(day(born), day(on)), age, "{born} on {on}");
        }
    }
}
