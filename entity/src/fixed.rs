//! Exact amounts: integers in the database, decimal text everywhere else, never a float.

use std::{fmt, str::FromStr};

/// Why a text is not an amount.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FixedError {
    /// Not plain decimal notation.
    Malformed,
    /// More decimals than the type has.
    TooFine,
    /// Outside of what 64 bits hold.
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

/// Reads plain decimal notation into units of `10^-scale`. Trailing zeros beyond the scale are no finer amount.
fn parse(text: &str, scale: usize) -> Result<i64, FixedError> {
    let (negative, digits) = match text.strip_prefix('-') {
        Some(rest) => (true, rest),
        None => (false, text),
    };
    let (whole, fraction) = digits.split_once('.').unwrap_or((digits, "0"));
    let plain = |part: &str| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit());
    if !plain(whole) || !plain(fraction) || text.len() > 64 {
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

/// Writes units of `10^-scale` with at least `least` decimals and no zeros beyond them.
fn write(f: &mut fmt::Formatter<'_>, units: i64, scale: usize, least: usize) -> fmt::Result {
    let sign = if units < 0 { "-" } else { "" };
    let digits = format!("{:0width$}", units.unsigned_abs(), width = scale + 1);
    let (whole, fraction) = digits.split_at(digits.len() - scale);
    let kept = fraction.trim_end_matches('0').len().max(least);
    match fraction.get(..kept) {
        Some(fraction) if kept > 0 => write!(f, "{sign}{whole}.{fraction}"),
        _ => write!(f, "{sign}{whole}"),
    }
}

macro_rules! fixed_point {
    ($(#[$doc:meta])* $name:ident, $scale:literal, $least:literal) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, sea_orm::DeriveValueType)]
        pub struct $name(i64);

        impl $name {
            /// Nothing.
            pub const ZERO: Self = Self(0);
            /// Decimals kept.
            pub const SCALE: usize = $scale;

            /// From whole units of the smallest step.
            pub const fn from_units(units: i64) -> Self { Self(units) }
            /// In whole units of the smallest step.
            pub const fn units(self) -> i64 { self.0 }
            /// The sum, or `None` past 64 bits.
            pub fn plus(self, other: Self) -> Option<Self> { self.0.checked_add(other.0).map(Self) }
            /// The difference, or `None` past 64 bits.
            pub fn minus(self, other: Self) -> Option<Self> { self.0.checked_sub(other.0).map(Self) }
            /// Above zero.
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
            fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> { serializer.collect_str(self) }
        }

        impl<'de> serde::Deserialize<'de> for $name {
            fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
            }
        }
    };
}

fixed_point!(
    /// US dollars, in cents.
    Money, 2, 2
);
fixed_point!(
    /// US dollars for one share, in ten-thousandths.
    Price, 4, 2
);
fixed_point!(
    /// Shares, in hundred-millionths.
    Quantity, 8, 0
);

/// Divides and rounds half away from zero.
fn divide(value: i128, by: i128) -> i128 {
    let half = by / 2;
    if value < 0 { (value - half) / by } else { (value + half) / by }
}

impl Money {
    /// What `quantity` shares cost at `price`, rounded half up to the cent; `None` past 64 bits.
    pub fn cost(quantity: Quantity, price: Price) -> Option<Self> {
        let exact = i128::from(quantity.units()) * i128::from(price.units());
        i64::try_from(divide(exact, 10_000_000_000)).ok().map(Self)
    }

    /// This amount times `part / whole`, rounded half up to the cent; `None` when `whole` is zero or the result past 64 bits.
    pub fn share(self, part: i64, whole: i64) -> Option<Self> {
        if whole == 0 {
            return None;
        }
        i64::try_from(divide(i128::from(self.0) * i128::from(part), i128::from(whole))).ok().map(Self)
    }
}

impl Price {
    /// The price of one share when `quantity` shares cost `total`, rounded half up; `None` for no shares.
    pub fn average(total: Money, quantity: Quantity) -> Option<Self> {
        if quantity.units() == 0 {
            return None;
        }
        let scaled = i128::from(total.units()) * 10_000_000_000;
        i64::try_from(divide(scaled, i128::from(quantity.units()))).ok().map(Self)
    }

    /// This price raised by `percent` hundredths, rounded half up; `None` past 64 bits.
    pub fn raised_by(self, percent: i64) -> Option<Self> {
        let scaled = i128::from(self.0) * i128::from(100 + percent);
        i64::try_from(divide(scaled, 100)).ok().map(Self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn amounts_are_read_and_written_exactly() {
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
    fn what_is_not_an_amount_is_refused() {
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
    fn shares_lose_trailing_zeros_and_prices_keep_two() {
        assert_eq!("0.2000".parse::<Quantity>().unwrap().to_string(), "0.2");
        assert_eq!("0".parse::<Quantity>().unwrap().to_string(), "0");
        assert_eq!("100".parse::<Price>().unwrap().to_string(), "100.00");
        assert_eq!("100.1234".parse::<Price>().unwrap().to_string(), "100.1234");
    }

    #[test]
    fn costs_round_half_up() {
        let cost = |quantity: &str, price: &str| Money::cost(quantity.parse().unwrap(), price.parse().unwrap()).unwrap().to_string();
        assert_eq!(cost("0.2", "250.10"), "50.02");
        assert_eq!(cost("0.0001", "50"), "0.01");
        assert_eq!(cost("0.0001", "49.99"), "0.00");
        assert_eq!(cost("3", "33.3333"), "100.00");
        assert_eq!(Money::cost(Quantity::from_units(i64::MAX), Price::from_units(i64::MAX)), None);
    }
}
