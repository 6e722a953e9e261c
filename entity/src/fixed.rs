//! Fixed-point amounts: integers in the database, decimal text everywhere else, never floats.

use rust_decimal::{Decimal, RoundingStrategy};
use sea_orm::sqlx;
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

/// Parses plain decimal notation into units of `10^-scale`: digits, and a fraction after a point. Zeros at the
/// end of the fraction do not count as decimals.
fn parse(text: &str, scale: u32) -> Result<i64, FixedError> {
    if text.len() > MAX_LENGTH || text.contains(['e', 'E']) {
        return Err(FixedError::Malformed);
    }
    parse_json(text, scale)
}

/// Maximum length of an amount in text form.
const MAX_LENGTH: usize = 64;

/// Maximum number of digits before the point that are read; 64 bits hold fewer.
const MAX_WHOLE_DIGITS: i64 = 20;

/// Parses a JSON number, which may have an exponent, into units of `10^-scale`: `1.0E-4` is `0.0001`.
fn parse_json(number: &str, scale: u32) -> Result<i64, FixedError> {
    let (sign, unsigned) = number.strip_prefix('-').map_or(("", number), |unsigned| ("-", unsigned));
    let (mantissa, exponent) = unsigned.split_once(['e', 'E']).unwrap_or((unsigned, "0"));
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, "0"));
    let magnitude = exponent.strip_prefix(['-', '+']).unwrap_or(exponent);
    let is_digits = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    if ![whole, fraction, magnitude].into_iter().all(is_digits) {
        return Err(FixedError::Malformed);
    }
    let length = |text: &str| i64::try_from(text.len()).unwrap_or(i64::MAX);
    let magnitude = magnitude.parse().unwrap_or(i64::MAX);
    let exponent = if exponent.starts_with('-') { -magnitude } else { magnitude };
    // The value is SIGNIFICANT times ten to the power of `exponent`.
    let digits = format!("{whole}{fraction}");
    let integer = digits.trim_end_matches('0');
    let significant = integer.trim_start_matches('0');
    let exponent =
        exponent.saturating_sub(length(fraction)).saturating_add(length(&digits) - length(integer));
    if significant.is_empty() {
        return Ok(0);
    }
    if exponent < -i64::from(scale) {
        return Err(FixedError::TooFine);
    }
    if length(significant).saturating_add(exponent) > MAX_WHOLE_DIGITS {
        return Err(FixedError::OutOfRange);
    }
    let exact = Decimal::from_scientific(&format!("{sign}{significant}e{exponent}"));
    let mut exact = exact.map_err(|_| FixedError::OutOfRange)?;
    exact.rescale(scale);
    if exact.scale() < scale {
        return Err(FixedError::OutOfRange);
    }
    i64::try_from(exact.mantissa()).map_err(|_| FixedError::OutOfRange)
}

/// Writes units of `10^-scale` with at least `least` decimals and no zeros beyond them. In integers: a list writes
/// thousands of amounts, and removing the zeros of a `Decimal` divides it once for each.
fn write(f: &mut fmt::Formatter<'_>, units: i64, scale: usize, least: usize) -> fmt::Result {
    let sign = if units < 0 { "-" } else { "" };
    let one = (0..scale).fold(1, |power, _| power * 10);
    let (whole, mut fraction) = (units.unsigned_abs() / one, units.unsigned_abs() % one);
    let mut decimals = scale;
    while decimals > least && fraction % 10 == 0 {
        fraction /= 10;
        decimals -= 1;
    }
    write!(f, "{sign}{whole}")?;
    if decimals > 0 { write!(f, ".{fraction:0decimals$}") } else { Ok(()) }
}

macro_rules! fixed_point {
    ($(#[$doc:meta])* $name:ident, $scale:literal, $least:literal) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, sea_orm::DeriveValueType)]
        pub struct $name(i64);

        impl $name {
            /// Zero.
            pub const ZERO: Self = Self(0);
            /// Decimals kept.
            pub const SCALE: u32 = $scale;

            /// Parses a JSON number, with or without an exponent. For strings use `parse`.
            ///
            /// # Errors
            /// As `parse`.
            pub fn from_json_number(number: &str) -> Result<Self, FixedError> { parse_json(number, $scale).map(Self) }
            /// From whole units of the smallest step.
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

        impl<'r, DB: sqlx::Database> sqlx::Decode<'r, DB> for $name
        where
            i64: sqlx::Decode<'r, DB>,
        {
            fn decode(value: DB::ValueRef<'r>) -> Result<Self, sqlx::error::BoxDynError> {
                i64::decode(value).map(Self)
            }
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
fixed_point!(
    /// Percentage, in hundredths of a percent.
    Percent, 2, 0
);
fixed_point!(
    /// Amount in US dollars for each share or other unit, in millionths.
    Rate, 6, 2
);

/// Divides and rounds half away from zero. In integers, since a quotient may have more digits than a `Decimal`.
fn divide(value: i128, by: i128) -> i128 {
    let half = by / 2;
    if value < 0 { (value - half) / by } else { (value + half) / by }
}

impl Money {
    /// What `quantity` shares cost at `price`, rounded half up to the cent; `None` where that is out of range.
    pub fn cost(quantity: Quantity, price: Price) -> Option<Self> {
        Self::rounded(product(quantity, price)?, RoundingStrategy::MidpointAwayFromZero)
    }

    /// What `quantity` shares cost at most if the price rises by `percent`: multiplied first and rounded up to
    /// the cent once; `None` where that is out of range.
    pub fn hold(quantity: Quantity, price: Price, percent: Percent) -> Option<Self> {
        let raised = exact_product(product(quantity, price)?, Decimal::new(10_000 + percent.units(), 4))?;
        Self::rounded(raised, RoundingStrategy::ToPositiveInfinity)
    }

    fn rounded(exact: Decimal, strategy: RoundingStrategy) -> Option<Self> {
        let mut cents = exact.round_dp_with_strategy(2, strategy);
        cents.rescale(2);
        i64::try_from(cents.mantissa()).ok().filter(|_| cents.scale() == 2).map(Self)
    }

    /// What a rate per share makes for `quantity` shares, rounded half up to the cent; `None` if that exceeds 64 bits.
    pub fn per_share(quantity: Quantity, rate: Rate) -> Option<Self> {
        let exact = i128::from(quantity.0) * i128::from(rate.0);
        i64::try_from(divide(exact, RATE_PER_CENT)).ok().map(Self)
    }

    /// The same, rounded up to the cent.
    pub fn per_share_up(quantity: Quantity, rate: Rate) -> Option<Self> {
        let exact = i128::from(quantity.0) * i128::from(rate.0);
        i64::try_from((exact + RATE_PER_CENT - 1).div_euclid(RATE_PER_CENT)).ok().map(Self)
    }

    /// What a rate for each million dollars makes of this amount, rounded up to the cent; `None` if that exceeds 64
    /// bits.
    pub fn per_million_up(self, rate: Rate) -> Option<Self> {
        const MILLION: i128 = 1_000_000 * 1_000_000;
        let exact = i128::from(self.0) * i128::from(rate.0);
        i64::try_from((exact + MILLION - 1).div_euclid(MILLION)).ok().map(Self)
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

/// Units of a quantity times units of a rate in one cent.
const RATE_PER_CENT: i128 = 1_000_000_000_000;

fn product(quantity: Quantity, price: Price) -> Option<Decimal> {
    exact_product(Decimal::new(quantity.0, Quantity::SCALE), Decimal::new(price.0, Price::SCALE))
}

/// The product with all of its decimals; `None` where a `Decimal` cannot hold them.
fn exact_product(one: Decimal, other: Decimal) -> Option<Decimal> {
    one.checked_mul(other)
        .filter(|product| product.is_zero() || product.scale() == one.scale() + other.scale())
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
            ("-0.00", 0, "0.00"),
            ("0000000000000000000000000000000000000000000000000000000000001.5", 150, "1.50"),
            ("1.50000000000000000000000000000000000000000000000000000000000", 150, "1.50"),
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
            ("--5", FixedError::Malformed),
            ("--5.0", FixedError::Malformed),
            ("-", FixedError::Malformed),
            ("-.5", FixedError::Malformed),
            ("1.-5", FixedError::Malformed),
            ("1_000", FixedError::Malformed),
            ("1.005", FixedError::TooFine),
            ("0.00000000000000000000000000000000001", FixedError::TooFine),
            ("99999999999999999999999999999999999999", FixedError::OutOfRange),
            ("9999999999999999999999999999", FixedError::OutOfRange),
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
            ("100000000.0000000000000000000000000001", Err(FixedError::TooFine)),
            ("92233720368547758070e-9", Ok("92233720368.54775807")),
            ("0.000000000000000000000000000000001e33", Ok("1")),
            ("1000000000000000000000000000000000000e-36", Ok("1")),
            ("-1e1", Ok("-10")),
            ("0e-99", Ok("0")),
            ("1e-9", Err(FixedError::TooFine)),
            ("1e-999999999999999999999", Err(FixedError::TooFine)),
            ("1e11", Err(FixedError::OutOfRange)),
            ("1e999999999999999999999", Err(FixedError::OutOfRange)),
            ("true", Err(FixedError::Malformed)),
            ("[]", Err(FixedError::Malformed)),
            ("\"1\"", Err(FixedError::Malformed)),
            ("1e", Err(FixedError::Malformed)),
            ("1e1e1", Err(FixedError::Malformed)),
            ("--1e1", Err(FixedError::Malformed)),
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
            Money::hold(quantity.parse().unwrap(), price.parse().unwrap(), Percent::from_units(300))
                .unwrap()
                .to_string()
        };
        assert_eq!(hold("1", "250.10"), "257.61");
        assert_eq!(hold("1", "100"), "103.00");
        // If the raised price were rounded first, it would be 0.0001 and the hold 1.00.
        assert_eq!(hold("10000", "0.0001"), "1.03");
        assert_eq!(hold("0.0001", "49.99"), "0.01");
        assert_eq!(
            Money::hold(Quantity::from_units(i64::MAX), Price::from_units(i64::MAX), Percent::ZERO),
            None
        );
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
