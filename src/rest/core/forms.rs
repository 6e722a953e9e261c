//! The forms of texts and amounts in the brokerage and wellness APIs, as the documentation tells them. The
//! rules themselves are in the domain; `tests/it/forms.rs` holds these forms against them.

use domain::{
    access::passwords,
    people::person::{Country, UsState},
};

/// The form of a text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Form {
    /// The fewest and the most characters.
    pub min: usize,
    pub max: usize,
    /// A regular expression of ECMA-262; empty for any text.
    pub pattern: &'static str,
    /// A format of JSON Schema or one of ours; empty for none.
    pub format: &'static str,
}

const fn form(min: usize, max: usize, pattern: &'static str, format: &'static str) -> Form {
    Form { min, max, pattern, format }
}

/// Any text.
pub const ANY: Form = form(0, usize::MAX, "", "");
/// A token or a password that is compared and not kept.
pub const SECRET: Form = form(1, usize::MAX, "", "");
/// A new password. Its length is that of its NFKC form.
pub const PASSWORD: Form = form(passwords::MIN_LENGTH, passwords::MAX_LENGTH, "", "password");
/// Printable words.
pub const WORDS: Form = words(100);
/// A person's name.
pub const NAME: Form = form(1, 100, r"^[^\x00-\x1f\x7f-\x9f]*\p{L}[^\x00-\x1f\x7f-\x9f]*$", "");
/// A full name: one word with a letter, or several of which the last and the rest have one.
pub const FULL_NAME: Form = form(
    1,
    201,
    concat!(
        r"^(?![\s\S]*[\x00-\x1f\x7f-\x9f])\s*(?=\S{1,100}\s*$|[\s\S]{1,100}?\s+\S{1,100}\s*$)",
        r"(?:[^\x00-\x1f\x7f-\x9f]*\p{L}[^\x00-\x1f\x7f-\x9f]*\s)?[^\x00-\x1f\x7f-\x9f\s]*\p{L}[^\x00-\x1f\x7f-\x9f\s]*\s*$"
    ),
    "",
);
/// An e-mail address; the pattern alone does not make one.
pub const EMAIL: Form = form(3, 254, r"^[^\s@]+@[^\s@.]+(?:\.[^\s@.]+)+$", "email");
/// A phone number of the North American plan, with or without punctuation and country code.
pub const PHONE: Form = form(
    10,
    40,
    concat!(
        r"^\s*(?:\+[ .()\-]*1|[ .()\-]*1)?[ .()\-]*",
        r"[2-9][ .()\-]*[0-9][ .()\-]*[0-9][ .()\-]*[2-9](?:[ .()\-]*[0-9]){6}[ .()\-]*\s*$",
    ),
    "",
);
/// A calendar day that is not in the future.
pub const DATE: Form = form(10, 10, r"^[0-9]{4}-[0-9]{2}-[0-9]{2}$", "date");
/// A social security number that can be issued, plain or with dashes; area 666 in sandboxes only.
pub const SSN: Form = form(
    9,
    11,
    concat!(
        r"^(?!078-?05-?1120$|219-?09-?9999$)(?!000|9)[0-9]{3}",
        r"(?:-(?!00)[0-9]{2}-(?!0000)[0-9]{4}|(?!00)[0-9]{2}(?!0000)[0-9]{4})$"
    ),
    "",
);
/// A routing number, whose last digit is a checksum.
pub const ROUTING_NUMBER: Form =
    form(9, 9, r"^(?!0{9})(?:0[0-9]|1[0-2]|2[1-9]|3[0-2]|6[1-9]|7[0-2]|80)[0-9]{7}$", "aba-routing-number");
/// A number at a bank.
pub const BANK_ACCOUNT_NUMBER: Form = form(4, 17, r"^[A-Za-z0-9]{4,17}$", "");
/// A passcode.
pub const PASSCODE: Form = form(6, 6, r"^[0-9]{6}$", "");
/// Notes of several lines.
pub const NOTES: Form = form(0, 2000, r"^[^\x00-\x08\x0e-\x1f\x7f-\x84\x86-\x9f]*$", "");
/// A PDF, a JPEG or a PNG in base64.
pub const DOCUMENT: Form = form(
    4,
    usize::MAX,
    concat!(
        r"^(?=JVBERi[0-3]|/9j/|iVBORw0KGgo)(?:[A-Za-z0-9+/]{4})*",
        r"(?:[A-Za-z0-9+/][AQgw](?:==)?|[A-Za-z0-9+/]{2}[AEIMQUYcgkosw048]=?)?$"
    ),
    "",
);
/// The extension of a document.
pub const EXTENSION: Form = form(0, 100, r"^\s*\.*(?:[pP][dD][fF]|[jJ][pP][eE]?[gG]|[pP][nN][gG])\s*$", "");
/// A ticker or an instrument's id.
pub const SYMBOL: Form = form(1, usize::MAX, r"\S", "");

/// Printable words of at most so many characters.
pub const fn words(max: usize) -> Form {
    form(1, max, r"^[^\x00-\x1f\x7f-\x9f]*[^\x00-\x1f\x7f-\x9f\s][^\x00-\x1f\x7f-\x9f]*$", "")
}

/// The form of amounts above zero.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Amounts {
    /// A regular expression of those in plain decimal notation.
    pub pattern: &'static str,
    /// The least and the greatest, which are written without a float.
    pub step: &'static str,
    pub most: &'static str,
}

/// Dollars and cents, as much as one ACH entry holds.
pub const DOLLARS: Amounts =
    Amounts { pattern: r"^(?=.*[1-9])0*[0-9]{1,8}(?:\.[0-9]{1,2}0*)?$", step: "0.01", most: "99999999.99" };
/// Shares.
pub const SHARES: Amounts = Amounts {
    pattern: r"^(?=.*[1-9])0*(?:[0-9]{1,8}(?:\.[0-9]{1,4}0*)?|100000000(?:\.0+)?)$",
    step: "0.0001",
    most: "100000000",
};

/// The name of a list of codes, what it is, and the codes.
pub type Codes = (&'static str, &'static str, fn() -> Vec<&'static str>);

/// The lists of codes; each is understood in either case.
pub const CODES: [Codes; 3] = [
    (COUNTRY, "ISO 3166-1 code, two letters.", || Country::all().map(Country::alpha2).collect()),
    (CITIZENSHIP, "ISO 3166-1 code, three letters.", || Country::all().map(Country::alpha3).collect()),
    (STATE, "Postal code of a state, district, territory or military post of the United States.", || {
        UsState::all().map(UsState::code).collect()
    }),
];
pub const COUNTRY: &str = "CountryCode";
pub const CITIZENSHIP: &str = "CitizenshipCode";
pub const STATE: &str = "StateCode";

/// A pattern that matches one of these in any case, with anything that matches `between` between the
/// characters.
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
