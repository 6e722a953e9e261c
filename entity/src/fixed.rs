//! Fixed-point amounts: integers in the database, decimal text everywhere else, never floats.

use std::{fmt, str::FromStr};

/// Why a text is not a valid amount.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FixedError {
    /// Not plain decimal notation.
    Malformed,
    /// More decimals than the type supports.
    TooFine,
    /// Does not fit into 64 bits.
    OutOfRange,
}

impl fmt::Display for FixedError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Malformed => "is not a decimal number",
            Self::TooFine => "has too many decimals",
            Self::OutOfRange => "is out of range",
        })
    }
}

impl std::error::Error for FixedError {}

/// Parses plain decimal notation into units of `10^-scale`. Trailing zeros may exceed the scale.
fn parse(text: &str, scale: usize) -> Result<i64, FixedError> {
    let (negative, digits) = match text.strip_prefix('-') {
        Some(rest) => (true, rest),
        None => (false, text),
    };
    let (whole, fraction) = digits.split_once('.').unwrap_or((digits, "0"));
    let plain = |part: &str| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit());
    if !plain(whole) || !plain(fraction) || text.len() > MAX_LENGTH {
        return Err(FixedError::Malformed);
    }
    let fraction = fraction.trim_end_matches('0');
    if fraction.len() > scale {
        return Err(FixedError::TooFine);
    }
    let sign = if negative { -1 } else { 1 };
    whole
        .bytes()
        .chain(fraction.bytes())
        .chain(std::iter::repeat_n(b'0', scale - fraction.len()))
        .try_fold(0_i64, |units, digit| units.checked_mul(10)?.checked_add(sign * i64::from(digit - b'0')))
        .ok_or(FixedError::OutOfRange)
}

/// Maximum length of an amount in text form.
const MAX_LENGTH: usize = 64;

/// Converts a JSON number, including one with an exponent, to plain decimal notation: `1.0E-4` to `0.0001`.
///
/// # Errors
/// [`FixedError::Malformed`] if the text is not a JSON number; the other errors if no type can hold the
/// number.
fn plain(number: &str) -> Result<String, FixedError> {
    let (sign, unsigned) = number.strip_prefix('-').map_or(("", number), |rest| ("-", rest));
    let (mantissa, exponent) = unsigned.split_once(['e', 'E']).unwrap_or((unsigned, "0"));
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    let digits = format!("{whole}{fraction}");
    let magnitude = exponent.strip_prefix(['-', '+']).unwrap_or(exponent);
    let plain = |part: &str| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit());
    if !plain(&digits) || !plain(magnitude) {
        return Err(FixedError::Malformed);
    }
    let significant = digits.trim_matches('0');
    if significant.is_empty() {
        return Ok("0".to_owned());
    }
    // The value is 0.SIGNIFICANT times ten to the power of `point`.
    let leading = digits.len() - digits.trim_start_matches('0').len();
    let magnitude = magnitude.parse::<i64>().unwrap_or(i64::from(u32::MAX));
    let exponent = if exponent.starts_with('-') { -magnitude } else { magnitude };
    let distance = |length: usize| i64::try_from(length).unwrap_or(i64::MAX);
    let point = exponent.saturating_add(distance(whole.len())).saturating_sub(distance(leading));
    let length = distance(significant.len());
    if point > 20 {
        return Err(FixedError::OutOfRange);
    }
    if point < -20 || length - point > 20 {
        return Err(FixedError::TooFine);
    }
    let zeros = |count: i64| "0".repeat(usize::try_from(count).unwrap_or(0));
    let (before, after) = significant.split_at(usize::try_from(point.clamp(0, length)).unwrap_or(0));
    let (before, after) = (format!("{before}{}", zeros(point - length)), format!("{}{after}", zeros(-point)));
    let before = if before.is_empty() { "0" } else { &before };
    Ok(if after.is_empty() { format!("{sign}{before}") } else { format!("{sign}{before}.{after}") })
}

/// Writes units of `10^-scale` with at least `least` decimals and no trailing zeros after those.
fn write(f: &mut fmt::Formatter<'_>, units: i64, scale: usize, least: usize) -> fmt::Result {
    let sign = if units < 0 { "-" } else { "" };
    let digits = format!("{:0width$}", units.unsigned_abs(), width = scale + 1);
    let (whole, fraction) = digits.split_at(digits.len() - scale);
    let decimals = fraction.trim_end_matches('0').len().max(least);
    match fraction.get(..decimals) {
        Some(fraction) if decimals > 0 => write!(f, "{sign}{whole}.{fraction}"),
        _ => write!(f, "{sign}{whole}"),
    }
}

macro_rules! fixed_point {
    ($(#[$doc:meta])* $name:ident, $scale:literal, $least:literal) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, sea_orm::DeriveValueType)]
        pub struct $name(i64);

        impl $name {
            /// Zero.
            pub const ZERO: Self = Self(0);
            /// Number of decimals.
            pub const SCALE: usize = $scale;

            /// Parses a JSON number, with or without an exponent. For strings use `parse`.
            ///
            /// # Errors
            /// Same as `parse`.
            pub fn from_json_number(number: &str) -> Result<Self, FixedError> { plain(number)?.parse() }
            /// Creates an amount from a number of its smallest units.
            pub const fn from_units(units: i64) -> Self { Self(units) }
            /// Returns the number of smallest units.
            pub const fn units(self) -> i64 { self.0 }
            /// Returns the sum, or `None` if it exceeds 64 bits.
            pub fn plus(self, other: Self) -> Option<Self> { self.0.checked_add(other.0).map(Self) }
            /// Returns the difference, or `None` if it exceeds 64 bits.
            pub fn minus(self, other: Self) -> Option<Self> { self.0.checked_sub(other.0).map(Self) }
            /// Returns whether the amount is above zero.
            pub const fn is_positive(self) -> bool { self.0 > 0 }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result { write(f, self.0, $scale, $least) }
        }

        impl FromStr for $name {
            type Err = FixedError;
            fn from_str(text: &str) -> Result<Self, FixedError> { parse(text, $scale).map(Self) }
        }

        impl serde::Serialize for $name {
            fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok,
            S::Error> { serializer.collect_str(self) }
        }

        impl<'de> serde::Deserialize<'de> for $name {
            fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
            }
        }
    };
}

fixed_point!(
    /// Amount in US dollars, in cents.
    Money, 2, 2
);
fixed_point!(
    /// Price of one share in US dollars, in ten-thousandths.
    Price, 4, 2
);
fixed_point!(
    /// Number of shares, in hundred-millionths.
    Quantity, 8, 0
);

/// Divides and rounds half away from zero.
fn divide(value: i128, by: i128) -> i128 {
    let half = by / 2;
    if value < 0 { (value - half) / by } else { (value + half) / by }
}

impl Money {
    /// Returns the cost of `quantity` shares at `price`, rounded half up to the cent; `None` if it exceeds 64
    /// bits.
    pub fn cost(quantity: Quantity, price: Price) -> Option<Self> {
        let exact = i128::from(quantity.units()) * i128::from(price.units());
        i64::try_from(divide(exact, 10_000_000_000)).ok().map(Self)
    }

    /// Returns the cost of `quantity` shares if the price rises by `percent` percent, rounded up to the cent
    /// once after all multiplications; `None` if it exceeds 64 bits.
    pub fn hold(quantity: Quantity, price: Price, percent: i64) -> Option<Self> {
        let exact = i128::from(quantity.units())
            .checked_mul(i128::from(price.units()))?
            .checked_mul(i128::from(100 + percent))?;
        let whole = 100 * 10_000_000_000;
        i64::try_from(exact.div_euclid(whole) + i128::from(exact.rem_euclid(whole) > 0)).ok().map(Self)
    }

    /// Returns this amount times `part / whole`, rounded half up to the cent; `None` if `whole` is zero or
    /// the result exceeds 64 bits.
    pub fn share(self, part: i64, whole: i64) -> Option<Self> {
        if whole == 0 {
            return None;
        }
        i64::try_from(divide(i128::from(self.0) * i128::from(part), i128::from(whole))).ok().map(Self)
    }
}

impl Price {
    /// Returns the price per share if `quantity` shares cost `total`, rounded half up; `None` if `quantity`
    /// is zero.
    pub fn average(total: Money, quantity: Quantity) -> Option<Self> {
        if quantity.units() == 0 {
            return None;
        }
        let scaled = i128::from(total.units()) * 10_000_000_000;
        i64::try_from(divide(scaled, i128::from(quantity.units()))).ok().map(Self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn amounts_are_parsed_and_formatted_exactly() {
        for (text, units, shown) in [
            ("0", 0, "0.00"),
            ("0.01", 1, "0.01"),
            ("-0.01", -1, "-0.01"),
            ("1.5", 150, "1.50"),
            ("1.500000", 150, "1.50"),
            ("90071992547409.93", 9_007_199_254_740_993, "90071992547409.93"),
            ("92233720368547758.07", i64::MAX, "92233720368547758.07"),
            ("-92233720368547758.08", i64::MIN, "-92233720368547758.08"),
        ] {
            let money: Money = text.parse().unwrap();
            assert_eq!((money.units(), money.to_string().as_str()), (units, shown), "{text}");
        }
    }

    #[test]
    fn invalid_amounts_are_refused() {
        for (text, why) in [
            ("", FixedError::Malformed),
            (".5", FixedError::Malformed),
            ("5.", FixedError::Malformed),
            ("+5", FixedError::Malformed),
            ("1e3", FixedError::Malformed),
            (" 1", FixedError::Malformed),
            ("1,000", FixedError::Malformed),
            ("NaN", FixedError::Malformed),
            ("1.005", FixedError::TooFine),
            ("92233720368547758.08", FixedError::OutOfRange),
        ] {
            assert_eq!(text.parse::<Money>(), Err(why), "{text}");
        }
    }

    #[test]
    fn quantities_have_no_trailing_zeros_and_prices_at_least_two_decimals() {
        assert_eq!("0.2000".parse::<Quantity>().unwrap().to_string(), "0.2");
        assert_eq!("0".parse::<Quantity>().unwrap().to_string(), "0");
        assert_eq!("100".parse::<Price>().unwrap().to_string(), "100.00");
        assert_eq!("100.1234".parse::<Price>().unwrap().to_string(), "100.1234");
    }

    #[test]
    fn json_numbers_are_parsed_by_value() {
        for (number, read) in [
            ("1.0E-4", Ok("0.0001")),
            ("1E+1", Ok("10")),
            ("1e1", Ok("10")),
            ("-2.50e0", Ok("-2.5")),
            ("0.00012e4", Ok("1.2")),
            ("100000000e-8", Ok("1")),
            ("0e999999999999999999999", Ok("0")),
            ("-0.0", Ok("0")),
            ("1.50000000000000000000000000000000000000000000000000000000000000000000", Ok("1.5")),
            ("1e-9", Err(FixedError::TooFine)),
            ("1e-999999999999999999999", Err(FixedError::TooFine)),
            ("1e11", Err(FixedError::OutOfRange)),
            ("1e999999999999999999999", Err(FixedError::OutOfRange)),
            ("true", Err(FixedError::Malformed)),
            ("[]", Err(FixedError::Malformed)),
            ("\"1\"", Err(FixedError::Malformed)),
            ("1e", Err(FixedError::Malformed)),
        ] {
            assert_eq!(
                Quantity::from_json_number(number).map(|read| read.to_string()),
                read.map(str::to_owned),
                "{number}"
            );
        }
    }

    #[test]
    fn holds_are_multiplied_first_and_rounded_up_once() {
        let hold = |quantity: &str, price: &str| {
            Money::hold(quantity.parse().unwrap(), price.parse().unwrap(), 3).unwrap().to_string()
        };
        assert_eq!(hold("1", "250.10"), "257.61");
        assert_eq!(hold("1", "100"), "103.00");
        // If the raised price were rounded first, it would be 0.0001 and the hold 1.00.
        assert_eq!(hold("10000", "0.0001"), "1.03");
        assert_eq!(hold("0.0001", "49.99"), "0.01");
        assert_eq!(Money::hold(Quantity::from_units(i64::MAX), Price::from_units(i64::MAX), 3), None);
    }

    #[test]
    fn costs_round_half_up() {
        let cost = |quantity: &str, price: &str| {
            Money::cost(quantity.parse().unwrap(), price.parse().unwrap()).unwrap().to_string()
        };
        assert_eq!(cost("0.2", "250.10"), "50.02");
        assert_eq!(cost("0.0001", "50"), "0.01");
        assert_eq!(cost("0.0001", "49.99"), "0.00");
        assert_eq!(cost("3", "33.3333"), "100.00");
        assert_eq!(Money::cost(Quantity::from_units(i64::MAX), Price::from_units(i64::MAX)), None);
    }
}
