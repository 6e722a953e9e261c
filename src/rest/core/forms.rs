//! Documented formats of texts and amounts in both REST APIs. The domain enforces the rules;
//! `tests/it/forms.rs` checks that these formats agree with it.

use domain::{
    access::passwords,
    people::person::{Country, UsState},
};

/// Format of a text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Form {
    /// Minimum and maximum number of characters.
    pub min: usize,
    pub max: usize,
    /// ECMA-262 regular expression; empty for any text.
    pub pattern: &'static str,
    /// Format from JSON Schema or defined by Coffer; empty for none.
    pub format: &'static str,
}

const fn form(min: usize, max: usize, pattern: &'static str, format: &'static str) -> Form {
    Form { min, max, pattern, format }
}

/// Any text.
pub const ANY: Form = form(0, usize::MAX, "", "");
/// Token or password that is compared and not stored.
pub const SECRET: Form = form(1, usize::MAX, "", "");
/// New password. The length limits apply to its NFKC form.
pub const PASSWORD: Form = form(passwords::MIN_LENGTH, passwords::MAX_LENGTH, "", "password");
/// Up to 100 printable characters.
pub const WORDS: Form = words(100);
/// Given or family name.
pub const NAME: Form = form(1, 100, r"^[^\x00-\x1f\x7f-\x9f]*\p{L}[^\x00-\x1f\x7f-\x9f]*$", "");
/// Full name: one word with a letter, or several words with a letter in the last word and in the rest.
pub const FULL_NAME: Form = form(
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
pub const EMAIL: Form = form(3, 254, r"^[^\s@]+@[^\s@.]+(?:\.[^\s@.]+)+$", "email");
/// Phone number of the North American Numbering Plan, with optional punctuation and country code.
pub const PHONE: Form = form(
    10,
    40,
    concat!(
        r"^\s*(?:\+[ .()\-]*1|[ .()\-]*1)?[ .()\-]*",
        r"[2-9][ .()\-]*[0-9][ .()\-]*[0-9][ .()\-]*[2-9](?:[ .()\-]*[0-9]){6}[ .()\-]*\s*$",
    ),
    "",
);
/// Calendar day that is not in the future.
pub const DATE: Form = form(10, 10, r"^[0-9]{4}-[0-9]{2}-[0-9]{2}$", "date");
/// Social security number that can be issued, with or without dashes. Area 666 is accepted in sandboxes only.
pub const SSN: Form = form(
    9,
    11,
    concat!(
        r"^(?!078-?05-?1120$|219-?09-?9999$)(?!000|9)[0-9]{3}",
        r"(?:-(?!00)[0-9]{2}-(?!0000)[0-9]{4}|(?!00)[0-9]{2}(?!0000)[0-9]{4})$"
    ),
    "",
);
/// ABA routing number. Its last digit is a checksum.
pub const ROUTING_NUMBER: Form =
    form(9, 9, r"^(?!0{9})(?:0[0-9]|1[0-2]|2[1-9]|3[0-2]|6[1-9]|7[0-2]|80)[0-9]{7}$", "aba-routing-number");
/// Bank account number.
pub const BANK_ACCOUNT_NUMBER: Form = form(4, 17, r"^[A-Za-z0-9]{4,17}$", "");
/// Six-digit passcode.
pub const PASSCODE: Form = form(6, 6, r"^[0-9]{6}$", "");
/// Notes, which may have several lines.
pub const NOTES: Form = form(0, 2000, r"^[^\x00-\x08\x0e-\x1f\x7f-\x84\x86-\x9f]*$", "");
/// PDF, JPEG or PNG file in base64.
pub const DOCUMENT: Form = form(
    4,
    usize::MAX,
    concat!(
        r"^(?=JVBERi[0-3]|/9j/|iVBORw0KGgo)(?:[A-Za-z0-9+/]{4})*",
        r"(?:[A-Za-z0-9+/][AQgw](?:==)?|[A-Za-z0-9+/]{2}[AEIMQUYcgkosw048]=?)?$"
    ),
    "",
);
/// File extension of a document.
pub const EXTENSION: Form = form(0, 100, r"^\s*\.*(?:[pP][dD][fF]|[jJ][pP][eE]?[gG]|[pP][nN][gG])\s*$", "");
/// Ticker or id of an instrument.
pub const SYMBOL: Form = form(1, usize::MAX, r"\S", "");

/// Up to `max` printable characters, at least one of them no space.
pub const fn words(max: usize) -> Form {
    form(1, max, r"^[^\x00-\x1f\x7f-\x9f]*[^\x00-\x1f\x7f-\x9f\s][^\x00-\x1f\x7f-\x9f]*$", "")
}

/// Format of amounts above zero.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Amounts {
    /// Regular expression for plain decimal notation.
    pub pattern: &'static str,
    /// Smallest unit and maximum, as text to avoid floats.
    pub step: &'static str,
    pub max: &'static str,
}

/// Dollars and cents, up to the limit of one ACH entry.
pub const DOLLARS: Amounts =
    Amounts { pattern: r"^(?=.*[1-9])0*[0-9]{1,8}(?:\.[0-9]{1,2}0*)?$", step: "0.01", max: "99999999.99" };
/// Shares, with up to four decimals.
pub const SHARES: Amounts = Amounts {
    pattern: r"^(?=.*[1-9])0*(?:[0-9]{1,8}(?:\.[0-9]{1,4}0*)?|100000000(?:\.0+)?)$",
    step: "0.0001",
    max: "100000000",
};

/// Name, description and codes of a list of codes.
pub type Codes = (&'static str, &'static str, fn() -> Vec<&'static str>);

/// Lists of codes. Codes are accepted in either case.
pub const CODES: [Codes; 3] = [
    (COUNTRY, "Two-letter country code (ISO 3166-1 alpha-2), for example `US`.", || {
        Country::all().map(Country::alpha2).collect()
    }),
    (CITIZENSHIP, "Three-letter country code (ISO 3166-1 alpha-3), for example `USA`.", || {
        Country::all().map(Country::alpha3).collect()
    }),
    (
        STATE,
        "Two-letter USPS code of a state, district, territory or military post, for example `VA`.",
        || UsState::all().map(UsState::code).collect(),
    ),
];
pub const COUNTRY: &str = "CountryCode";
pub const CITIZENSHIP: &str = "CitizenshipCode";
pub const STATE: &str = "StateCode";

/// Returns a pattern that matches any of the options in any case. Text that matches `between` may surround
/// each character.
pub fn in_any_case<'a>(options: impl Iterator<Item = &'a str>, between: &str) -> String {
    let either = |character: char| {
        if character.is_ascii_alphabetic() {
            format!("[{}{}]", character.to_ascii_lowercase(), character.to_ascii_uppercase())
        } else if character.is_ascii_digit() || matches!(character, ',' | '/' | '-') {
            character.to_string()
        } else {
            format!("[{character}]")
        }
    };
    let letters = |option: &str| {
        option
            .chars()
            .filter(|character| !character.is_whitespace())
            .map(either)
            .collect::<Vec<_>>()
            .join(between)
    };
    format!("^{between}(?:{}){between}$", options.map(letters).collect::<Vec<_>>().join("|"))
}
