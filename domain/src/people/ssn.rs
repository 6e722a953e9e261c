//! Social security numbers: validation, and the issuing state of older ones.

use chrono::{Datelike, NaiveDate};
use std::fmt;

/// Social security number that the Social Security Administration can have issued. `Debug` does not print it.
#[derive(Clone, PartialEq, Eq)]
pub struct Ssn(u32);

/// Why a text is not a social security number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SsnError {
    /// Neither nine digits nor `AAA-GG-SSSS`.
    Shape,
    /// Published in an advertisement or on a sample card, so never assigned.
    Advertised,
    /// The first three digits are 000, 666 or 900 and above, which are never issued.
    Area,
    /// The middle two digits are 00.
    Group,
    /// The last four digits are 0000.
    Serial,
}

impl Ssn {
    /// Parses nine digits, plain or as `AAA-GG-SSSS`, by the Social Security Administration's published
    /// rules.
    ///
    /// `allow_area_666` accepts that one unassigned area, so that a sandbox has numbers of no real person.
    ///
    /// # Errors
    /// The first reason that applies, in the order of [`SsnError`].
    pub fn parse(text: &str, allow_area_666: bool) -> Result<Self, SsnError> {
        let ssn = Self(digits(text).ok_or(SsnError::Shape)?);
        if matches!(ssn.0, 78_051_120 | 219_099_999 | 987_654_320..=987_654_329) {
            return Err(SsnError::Advertised);
        }
        match ssn.area() {
            666 if allow_area_666 => {}
            0 | 666 | 900.. => return Err(SsnError::Area),
            _ => {}
        }
        if ssn.group() == 0 {
            return Err(SsnError::Group);
        }
        if ssn.0.is_multiple_of(10_000) {
            return Err(SsnError::Serial);
        }
        Ok(ssn)
    }

    /// Returns all nine digits without dashes, for encryption and comparison. Must not be logged or returned.
    #[must_use]
    pub fn reveal(&self) -> String {
        format!("{:09}", self.0)
    }

    /// Returns the last four digits, the only part that may be displayed.
    #[must_use]
    pub fn last4(&self) -> String {
        format!("{:04}", self.0 % 10_000)
    }

    /// Returns the two-letter code of the state, district or territory that issued the number to a person
    /// born on a date.
    ///
    /// Uses the Social Security Administration's area table from before the randomization of 2011-06-25. None
    /// for people born since, for railroad and entry numbers, for areas not issued then, and for area 586,
    /// which several Pacific territories shared.
    #[must_use]
    pub fn issuing_state(&self, born: NaiveDate) -> Option<&'static str> {
        if (born.year(), born.month(), born.day()) >= (2011, 6, 25) {
            return None;
        }
        match (self.area(), self.group()) {
            (232, 30) => Some("NC"),
            (580, 1..=18) => Some("VI"),
            (area, _) => {
                AREAS.iter().find(|(first, last, _)| (*first..=*last).contains(&area)).and_then(|row| row.2)
            }
        }
    }

    fn area(&self) -> u32 {
        self.0 / 1_000_000
    }

    fn group(&self) -> u32 {
        self.0 / 10_000 % 100
    }
}

impl fmt::Debug for Ssn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Ssn(***)")
    }
}

impl fmt::Display for SsnError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Shape => "must have nine digits",
            Self::Advertised | Self::Area | Self::Group | Self::Serial => {
                "must be a valid social security number"
            }
        })
    }
}

impl std::error::Error for SsnError {}

fn digits(text: &str) -> Option<u32> {
    let dashed = |at| matches!(at, 3 | 6);
    let well_formed = match text.len() {
        9 => text.bytes().all(|byte| byte.is_ascii_digit()),
        11 => text
            .bytes()
            .enumerate()
            .all(|(at, byte)| if dashed(at) { byte == b'-' } else { byte.is_ascii_digit() }),
        _ => false,
    };
    let value = |number, byte| number * 10 + u32::from(byte - b'0');
    well_formed.then(|| text.bytes().filter(u8::is_ascii_digit).fold(0, value))
}

/// First area, last area, and issuer before 2011-06-25. Covers every area from 001 to 772 except 666 exactly
/// once.
#[rustfmt::skip]
const AREAS: [(u32, u32, Option<&str>); 79] = [
    (1, 3, Some("NH")), (4, 7, Some("ME")), (8, 9, Some("VT")), (10, 34, Some("MA")), (35, 39, Some("RI")),
    (40, 49, Some("CT")), (50, 134, Some("NY")), (135, 158, Some("NJ")), (159, 211, Some("PA")),
    (212, 220, Some("MD")), (221, 222, Some("DE")), (223, 231, Some("VA")), (232, 236, Some("WV")),
    (237, 246, Some("NC")), (247, 251, Some("SC")), (252, 260, Some("GA")), (261, 267, Some("FL")),
    (268, 302, Some("OH")), (303, 317, Some("IN")), (318, 361, Some("IL")), (362, 386, Some("MI")),
    (387, 399, Some("WI")), (400, 407, Some("KY")), (408, 415, Some("TN")), (416, 424, Some("AL")),
    (425, 428, Some("MS")), (429, 432, Some("AR")), (433, 439, Some("LA")), (440, 448, Some("OK")),
    (449, 467, Some("TX")), (468, 477, Some("MN")), (478, 485, Some("IA")), (486, 500, Some("MO")),
    (501, 502, Some("ND")), (503, 504, Some("SD")), (505, 508, Some("NE")), (509, 515, Some("KS")),
    (516, 517, Some("MT")), (518, 519, Some("ID")), (520, 520, Some("WY")), (521, 524, Some("CO")),
    (525, 525, Some("NM")), (526, 527, Some("AZ")), (528, 529, Some("UT")), (530, 530, Some("NV")),
    (531, 539, Some("WA")), (540, 544, Some("OR")), (545, 573, Some("CA")), (574, 574, Some("AK")),
    (575, 576, Some("HI")), (577, 579, Some("DC")), (580, 580, Some("PR")), (581, 584, Some("PR")),
    (585, 585, Some("NM")), (586, 586, None), (587, 588, Some("MS")), (589, 595, Some("FL")), (596, 599, Some("PR")),
    (600, 601, Some("AZ")), (602, 626, Some("CA")), (627, 645, Some("TX")), (646, 647, Some("UT")),
    (648, 649, Some("NM")), (650, 653, Some("CO")), (654, 658, Some("SC")), (659, 665, Some("LA")),
    (667, 675, Some("GA")), (676, 679, Some("AR")), (680, 680, Some("NV")), (681, 690, Some("NC")),
    (691, 699, Some("VA")), (700, 728, None), (729, 733, None), (734, 749, None), (750, 751, Some("HI")),
    (752, 755, Some("MS")), (756, 763, Some("TN")), (764, 765, Some("AZ")), (766, 772, Some("FL")),
];

#[cfg(test)]
mod tests {
    use super::*;

    fn ssn(area: u32, group: u32) -> Ssn {
        Ssn::parse(&format!("{area:03}-{group:02}-6789"), true).unwrap()
    }

    fn day(text: &str) -> NaiveDate {
        text.parse().unwrap()
    }

    fn issuer(area: u32, group: u32) -> Option<&'static str> {
        ssn(area, group).issuing_state(day("1980-01-01"))
    }

    #[test]
    fn numbers_are_accepted_with_or_without_dashes() {
        for text in ["123-45-6789", "123456789"] {
            let ssn = Ssn::parse(text, false).unwrap();
            assert_eq!((ssn.reveal().as_str(), ssn.last4().as_str()), ("123456789", "6789"));
        }
        assert_eq!(Ssn::parse("001-01-0001", false).unwrap().reveal(), "001010001");
        assert_eq!(Ssn::parse("899-99-9999", false).unwrap().last4(), "9999");
    }

    #[test]
    fn impossible_numbers_are_refused_with_their_reason() {
        for (text, reason) in [
            ("", SsnError::Shape),
            ("12345678", SsnError::Shape),
            ("1234567890", SsnError::Shape),
            ("123-456789", SsnError::Shape),
            ("12345-6789", SsnError::Shape),
            ("12-345-6789", SsnError::Shape),
            ("123 45 6789", SsnError::Shape),
            ("123-45-678a", SsnError::Shape),
            ("+23456789", SsnError::Shape),
            (" 123456789", SsnError::Shape),
            ("\u{661}\u{662}\u{663}\u{664}1", SsnError::Shape),
            ("078-05-1120", SsnError::Advertised),
            ("219-09-9999", SsnError::Advertised),
            ("987-65-4320", SsnError::Advertised),
            ("987-65-4329", SsnError::Advertised),
            ("000-45-6789", SsnError::Area),
            ("666-45-6789", SsnError::Area),
            ("900-45-6789", SsnError::Area),
            ("987-65-4330", SsnError::Area),
            ("999-45-6789", SsnError::Area),
            ("123-00-6789", SsnError::Group),
            ("123-45-0000", SsnError::Serial),
        ] {
            assert_eq!(Ssn::parse(text, false), Err(reason), "{text}");
        }
    }

    #[test]
    fn the_sandbox_area_skips_no_other_rule() {
        assert_eq!(Ssn::parse("666-45-6789", true).unwrap().last4(), "6789");
        assert_eq!(Ssn::parse("666-00-6789", true), Err(SsnError::Group));
        assert_eq!(Ssn::parse("666-45-0000", true), Err(SsnError::Serial));
        assert_eq!(Ssn::parse("000-45-6789", true), Err(SsnError::Area));
        assert_eq!(Ssn::parse("900-45-6789", true), Err(SsnError::Area));
    }

    #[test]
    fn debug_output_hides_the_number() {
        assert_eq!(format!("{:?}", ssn(123, 45)), "Ssn(***)");
    }

    #[test]
    fn every_area_issued_before_2011_is_listed_once() {
        for area in 0..=999 {
            let rows = AREAS.iter().filter(|(first, last, _)| (*first..=*last).contains(&area)).count();
            assert_eq!(rows, usize::from(matches!(area, 1..=665 | 667..=772)), "{area:03}");
        }
        assert!(AREAS.is_sorted_by(|one, next| one.1 < next.0));
    }

    #[test]
    fn areas_name_the_state_that_issued_them() {
        for (first, last, state) in [
            (1, 3, "NH"),
            (10, 34, "MA"),
            (50, 134, "NY"),
            (135, 158, "NJ"),
            (223, 231, "VA"),
            (691, 699, "VA"),
            (237, 246, "NC"),
            (681, 690, "NC"),
            (667, 675, "GA"),
            (766, 772, "FL"),
            (627, 645, "TX"),
            (520, 520, "WY"),
            (525, 525, "NM"),
            (585, 585, "NM"),
            (530, 530, "NV"),
            (680, 680, "NV"),
            (602, 626, "CA"),
            (574, 574, "AK"),
            (750, 751, "HI"),
            (577, 579, "DC"),
            (581, 584, "PR"),
            (596, 599, "PR"),
        ] {
            assert!((first..=last).all(|area| issuer(area, 45) == Some(state)), "{state}");
        }
        for area in (700..=749).chain([586, 666, 773, 899]) {
            assert_eq!(issuer(area, 45), None, "{area}");
        }
    }

    #[test]
    fn two_areas_have_different_issuers_by_group() {
        for (area, group, state) in [
            (232, 29, "WV"),
            (232, 30, "NC"),
            (232, 31, "WV"),
            (233, 30, "WV"),
            (580, 1, "VI"),
            (580, 18, "VI"),
            (580, 19, "PR"),
            (580, 99, "PR"),
        ] {
            assert_eq!(issuer(area, group), Some(state), "{area}-{group}");
        }
    }

    #[test]
    fn numbers_since_randomization_have_no_issuing_state() {
        assert_eq!(ssn(123, 45).issuing_state(day("2011-06-24")), Some("NY"));
        assert_eq!(ssn(123, 45).issuing_state(day("2011-06-25")), None);
        assert_eq!(ssn(232, 30).issuing_state(day("2015-01-01")), None);
    }
}
