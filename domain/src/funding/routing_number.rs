//! Bank routing numbers and account numbers, with the checks that need no bank.

use std::fmt;

/// US bank routing number: nine digits with a valid district and check digit. It identifies a bank and is not
/// secret.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct RoutingNumber(u32);

/// Why a text is not a routing number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RoutingError {
    /// Not exactly nine digits.
    Shape,
    /// Nine zeros, which have a valid check digit but identify no bank.
    Zero,
    /// The first two digits are not a Federal Reserve district.
    District,
    /// The check digit is wrong.
    Checksum,
}

impl RoutingNumber {
    /// Parses a routing number by the American Bankers Association's rule: nine digits, and the sum with
    /// weights 3, 7, 1 is divisible by ten.
    ///
    /// # Errors
    /// The first that applies, in the order of [`RoutingError`].
    pub fn parse(text: &str) -> Result<Self, RoutingError> {
        if text.len() != 9 || !text.bytes().all(|byte| byte.is_ascii_digit()) {
            return Err(RoutingError::Shape);
        }
        let number: u32 = text.parse().map_err(|_| RoutingError::Shape)?;
        if number == 0 {
            return Err(RoutingError::Zero);
        }
        if !matches!(number / 10_000_000, 0..=12 | 21..=32 | 61..=72 | 80) {
            return Err(RoutingError::District);
        }
        let digits = text.bytes().map(|byte| u32::from(byte - b'0'));
        let sum: u32 = digits.zip([3, 7, 1].into_iter().cycle()).map(|(digit, weight)| digit * weight).sum();
        if !sum.is_multiple_of(10) {
            return Err(RoutingError::Checksum);
        }
        Ok(Self(number))
    }
}

impl fmt::Display for RoutingNumber {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:09}", self.0)
    }
}

impl fmt::Display for RoutingError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Shape => "must have nine digits",
            Self::Zero => "must not be all zeros",
            Self::District => "must begin with a valid Federal Reserve prefix",
            Self::Checksum => "must have a matching check digit",
        })
    }
}

impl std::error::Error for RoutingError {}

/// Bank account number. `Display` and `Debug` show only its last characters.
#[derive(Clone, PartialEq, Eq)]
pub struct AccountNumber(String);

/// Why a text is not a bank account number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AccountNumberError {
    /// Fewer than 4 or more than 17 characters.
    Length,
    /// A character other than an ASCII letter or digit.
    Character,
}

impl AccountNumber {
    /// Parses 4 to 17 ASCII letters and digits; 17 is the width of the field in a Nacha entry.
    ///
    /// # Errors
    /// [`AccountNumberError`]; the length is checked first.
    pub fn parse(text: &str) -> Result<Self, AccountNumberError> {
        if !(4..=17).contains(&text.chars().count()) {
            return Err(AccountNumberError::Length);
        }
        if !text.bytes().all(|byte| byte.is_ascii_alphanumeric()) {
            return Err(AccountNumberError::Character);
        }
        Ok(Self(text.to_owned()))
    }

    /// Returns the full number, for the bank and the owner. Never log it.
    #[must_use]
    pub fn reveal(&self) -> &str {
        &self.0
    }

    /// Returns the last four characters, or fewer of a number shorter than eight, so that at least half stays
    /// hidden.
    #[must_use]
    pub fn tail(&self) -> &str {
        let shown = (self.0.len() / 2).min(4);
        self.0.get(self.0.len() - shown..).unwrap_or_default()
    }
}

impl fmt::Display for AccountNumber {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "****{}", self.tail())
    }
}

impl fmt::Debug for AccountNumber {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "AccountNumber({self})")
    }
}

impl fmt::Display for AccountNumberError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Length => "must have 4 to 17 characters",
            Self::Character => "must contain only letters and digits",
        })
    }
}

impl std::error::Error for AccountNumberError {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn routing_numbers_are_validated() {
        for valid in ["121042882", "021000021", "122105155", "011000015", "021000089"] {
            assert_eq!(RoutingNumber::parse(valid).map(|number| number.to_string()), Ok(valid.to_owned()));
        }
        for (text, reason) in [
            ("", RoutingError::Shape),
            ("12104288", RoutingError::Shape),
            ("1210428820", RoutingError::Shape),
            ("12104288a", RoutingError::Shape),
            ("+21042882", RoutingError::Shape),
            (" 21000021", RoutingError::Shape),
            ("٣٣٣٣1", RoutingError::Shape),
            ("000000000", RoutingError::Zero),
            ("130000006", RoutingError::District),
            ("200000004", RoutingError::District),
            ("333333334", RoutingError::District),
            ("600000002", RoutingError::District),
            ("730000008", RoutingError::District),
            ("810000003", RoutingError::District),
            ("121042883", RoutingError::Checksum),
            ("021000088", RoutingError::Checksum),
        ] {
            assert_eq!(RoutingNumber::parse(text), Err(reason), "{text}");
        }
    }

    #[test]
    fn only_federal_reserve_districts_have_valid_numbers() {
        for district in 0..100_u32 {
            let found =
                (0..10).any(|check| RoutingNumber::parse(&format!("{district:02}000010{check}")).is_ok());
            let known = matches!(district, 0..=12 | 21..=32 | 61..=72 | 80);
            assert_eq!(found, known, "{district:02}");
        }
    }

    #[test]
    fn a_single_wrong_digit_is_always_detected() {
        for position in 0..9 {
            for digit in b'0'..=b'9' {
                let mut bytes = *b"121042882";
                let same = bytes[position] == digit;
                bytes[position] = digit;
                assert_eq!(RoutingNumber::parse(std::str::from_utf8(&bytes).unwrap()).is_ok(), same);
            }
        }
    }

    #[test]
    fn account_numbers_are_validated() {
        for valid in ["1234", "00001234", "12345678901234567", "AB12cd34"] {
            assert_eq!(AccountNumber::parse(valid).unwrap().reveal(), valid);
        }
        for (text, reason) in [
            ("", AccountNumberError::Length),
            ("123", AccountNumberError::Length),
            ("123456789012345678", AccountNumberError::Length),
            ("1234-5678", AccountNumberError::Character),
            ("1234 5678", AccountNumberError::Character),
            ("١٢٣٤", AccountNumberError::Character),
        ] {
            assert_eq!(AccountNumber::parse(text), Err(reason), "{text}");
        }
    }

    #[test]
    fn a_printed_account_number_hides_at_least_half() {
        for (text, printed) in
            [("1234567890", "****7890"), ("12345678", "****5678"), ("1234567", "****567"), ("1234", "****34")]
        {
            let number = AccountNumber::parse(text).unwrap();
            assert_eq!(number.to_string(), printed);
            assert_eq!(format!("{number:?}"), format!("AccountNumber({printed})"));
        }
    }
}
