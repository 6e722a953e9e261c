//! Writing JSON.

use super::{Fast, Slow};
use crate::graphql::core::scalars::{Date, DateTime, Decimal};
use async_graphql::{ID, resolver_utils::EnumType};
use chrono::{Datelike, Timelike};

/// JSON text with a maximum size.
pub struct Out {
    bytes: Vec<u8>,
    limit: usize,
    is_full: bool,
}

impl Out {
    /// Creates an empty text of at most `limit` bytes.
    pub fn new(limit: usize) -> Self {
        Self { bytes: Vec::with_capacity(512), limit, is_full: false }
    }

    /// Adds bytes.
    pub fn push(&mut self, bytes: &[u8]) -> Fast<()> {
        if bytes.len() > self.limit.saturating_sub(self.bytes.len()) {
            self.is_full = true;
            return Err(Slow);
        }
        self.bytes.extend_from_slice(bytes);
        Ok(())
    }

    /// Adds a JSON string.
    pub fn text(&mut self, text: &str) -> Fast<()> {
        // Without an early exit, so that several bytes are compared at once.
        let is_special = |byte: u8| (byte < b' ') | (byte == b'"') | (byte == b'\\');
        if !text.bytes().fold(false, |found, byte| found | is_special(byte)) {
            self.push(b"\"")?;
            self.push(text.as_bytes())?;
            self.push(b"\"")
        } else {
            let escaped = serde_json::to_vec(text).map_err(|_| Slow)?;
            self.push(&escaped)
        }
    }

    /// Whether more was to be written than the limit allows.
    pub const fn is_full(&self) -> bool {
        self.is_full
    }

    /// Returns the bytes.
    pub fn into_bytes(self) -> Vec<u8> {
        self.bytes
    }
}

/// A value without fields.
pub trait Leaf {
    /// Writes the value as JSON.
    fn write(&self, out: &mut Out) -> Fast<()>;
}

/// Lets a field return a leaf.
macro_rules! leaf_output {
    ($($type:ty),*) => {
        $(
            impl $crate::graphql::core::breadth::Output for $type {
                const IS_LEAF: bool = true;
                type Plan = ();

                fn plan(
                    _: &$crate::graphql::core::breadth::Asked<'_>,
                    _: &[&async_graphql::parser::types::SelectionSet],
                ) -> $crate::graphql::core::breadth::Fast<()> {
                    Ok(())
                }

                fn load<'a>(
                    _: &'a $crate::graphql::core::context::Viewpoint,
                    _: Vec<Self>,
                    (): &'a (),
                ) -> $crate::graphql::core::breadth::Loading<'a> {
                    Box::pin(std::future::ready(Err($crate::graphql::core::breadth::Slow)))
                }

                fn write_leaf(
                    &self,
                    out: &mut $crate::graphql::core::breadth::Out,
                ) -> $crate::graphql::core::breadth::Fast<()> {
                    $crate::graphql::core::breadth::Leaf::write(self, out)
                }
            }
        )*
    };
}

pub(crate) use leaf_output;

leaf_output!(String, bool, i32, ID, DateTime, Date, Decimal);

impl Leaf for str {
    fn write(&self, out: &mut Out) -> Fast<()> {
        out.text(self)
    }
}

impl Leaf for String {
    fn write(&self, out: &mut Out) -> Fast<()> {
        out.text(self)
    }
}

impl Leaf for ID {
    fn write(&self, out: &mut Out) -> Fast<()> {
        out.text(self)
    }
}

impl Leaf for bool {
    fn write(&self, out: &mut Out) -> Fast<()> {
        out.push(if *self { b"true" } else { b"false" })
    }
}

impl Leaf for i32 {
    fn write(&self, out: &mut Out) -> Fast<()> {
        out.push(self.to_string().as_bytes())
    }
}

impl Leaf for Decimal {
    fn write(&self, out: &mut Out) -> Fast<()> {
        out.text(self.as_str())
    }
}

impl Leaf for Date {
    fn write(&self, out: &mut Out) -> Fast<()> {
        out.text(&self.0)
    }
}

impl Leaf for DateTime {
    fn write(&self, out: &mut Out) -> Fast<()> {
        let (date, time) = (self.0.date_naive(), self.0.time());
        if !(0..=9999).contains(&date.year()) || time.nanosecond() >= 1_000_000_000 {
            return out.text(&self.text());
        }
        let mut text = *b"\"0000-00-00T00:00:00.000000000";
        let year = date.year().unsigned_abs();
        for (start, length, number) in [
            (1, 4, year),
            (6, 2, date.month()),
            (9, 2, date.day()),
            (12, 2, time.hour()),
            (15, 2, time.minute()),
            (18, 2, time.second()),
            (21, 9, time.nanosecond()),
        ] {
            let mut rest = number;
            for digit in text.iter_mut().skip(start).take(length).rev() {
                *digit = b'0' + u8::try_from(rest % 10).unwrap_or_default();
                rest /= 10;
            }
        }
        let length = match time.nanosecond() {
            0 => 20,
            nanoseconds if nanoseconds % 1_000_000 == 0 => 24,
            nanoseconds if nanoseconds % 1_000 == 0 => 27,
            _ => 30,
        };
        out.push(text.get(..length).ok_or(Slow)?)?;
        out.push(b"Z\"")
    }
}

impl<L: Leaf + ?Sized> Leaf for &L {
    fn write(&self, out: &mut Out) -> Fast<()> {
        L::write(self, out)
    }
}

impl<L: Leaf> Leaf for Option<L> {
    fn write(&self, out: &mut Out) -> Fast<()> {
        match self {
            Some(value) => value.write(out),
            None => out.push(b"null"),
        }
    }
}

impl<L: Leaf> Leaf for Vec<L> {
    fn write(&self, out: &mut Out) -> Fast<()> {
        out.push(b"[")?;
        for (number, item) in self.iter().enumerate() {
            if number > 0 {
                out.push(b",")?;
            }
            item.write(out)?;
        }
        out.push(b"]")
    }
}

/// Writes the name of an enum value.
pub fn write_enum<E: EnumType>(value: E, out: &mut Out) -> Fast<()> {
    let item = E::items().iter().find(|item| item.value == value).ok_or(Slow)?;
    out.push(b"\"")?;
    out.push(item.name.as_bytes())?;
    out.push(b"\"")
}
