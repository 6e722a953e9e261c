//! Dates of birth on watch lists: full dates, months, years, and unreadable ones.

use chrono::{Datelike, NaiveDate};
use std::{fmt, ops::RangeInclusive};

/// Date of birth as precise as the list has it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Birth {
    Day(NaiveDate),
    Month(i32, u32),
    Year(i32),
    /// Listed but unreadable, so that it contradicts no date.
    Unread,
}

impl fmt::Display for Birth {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Day(day) => write!(f, "{day}"),
            Self::Month(year, month) => write!(f, "{year:04}-{month:02}"),
            Self::Year(year) => write!(f, "{year:04}"),
            Self::Unread => f.write_str("?"),
        }
    }
}

impl Birth {
    /// Parses the output of `Display`.
    pub fn parse(text: &str) -> Self {
        let parsed = match text.len() {
            10 => text.parse().ok().map(Self::Day),
            7 => text.split_once('-').and_then(|(year, month)| {
                Some(Self::Month(
                    year_of(year)?,
                    month.parse().ok().filter(|month| MONTHS_OF_A_YEAR.contains(month))?,
                ))
            }),
            _ => year_of(text).map(Self::Year),
        };
        parsed.unwrap_or(Self::Unread)
    }

    fn year(self) -> Option<i32> {
        match self {
            Self::Day(day) => Some(day.year()),
            Self::Month(year, _) | Self::Year(year) => Some(year),
            Self::Unread => None,
        }
    }
}

const MONTHS_OF_A_YEAR: RangeInclusive<u32> = 1..=12;
const MONTHS: [&str; 12] =
    ["jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"];

/// Longest span of years that is read as single years.
const MAX_SPAN: i32 = 20;

/// Returns the dates of birth in an entry's remarks, for example `DOB 12 Dec 1960; alt. DOB circa 1961; …`,
/// sorted and without duplicates.
pub fn in_remarks(remarks: &str) -> Vec<Birth> {
    let mut births: Vec<Birth> = remarks.split(';').filter_map(after_label).flat_map(read).collect();
    births.sort_unstable();
    births.dedup();
    births
}

/// Returns the text after `DOB` or `alt. DOB`.
fn after_label(remark: &str) -> Option<&str> {
    let remark = remark.trim().trim_end_matches('.');
    let label = remark.get(..3).filter(|label| label.eq_ignore_ascii_case("dob")).map(|_| remark);
    let alternative = || {
        remark.get(..8).filter(|label| label.eq_ignore_ascii_case("alt. dob")).and_then(|_| remark.get(5..))
    };
    let text = label.or_else(alternative)?.get(3..)?;
    text.starts_with([' ', ':']).then(|| text.trim_start_matches(':').trim())
}

/// Parses one listed date, or the years that it may be in.
fn read(text: &str) -> Vec<Birth> {
    let text = text.to_lowercase();
    let (text, about) = ["circa ", "c. ", "c "]
        .iter()
        .find_map(|word| text.strip_prefix(word))
        .map_or((text.as_str(), 0), |rest| (rest.trim(), 1));
    if let Some(first) = text.strip_suffix("0s").and_then(|decade| year_of(&format!("{decade}0"))) {
        return years(first, first + 9);
    }
    match text.split_once(" to ").or_else(|| text.split_once('-')) {
        Some((from, to)) => match (one(from.trim()).year(), one(to.trim()).year()) {
            (Some(from), Some(to)) => years(from - about, to + about),
            _ => vec![Birth::Unread],
        },
        None => match (one(text), about) {
            (birth, 0) => vec![birth],
            (birth, about) => {
                birth.year().map_or_else(|| vec![Birth::Unread], |year| years(year - about, year + about))
            }
        },
    }
}

fn years(from: i32, to: i32) -> Vec<Birth> {
    if (0..=MAX_SPAN).contains(&(to - from)) {
        (from..=to).map(Birth::Year).collect()
    } else {
        vec![Birth::Unread]
    }
}

/// Parses `12 dec 1960`, `dec 1960` or `1960`.
fn one(text: &str) -> Birth {
    let words: Vec<&str> = text.split_whitespace().collect();
    let month =
        |name: &str| MONTHS_OF_A_YEAR.zip(MONTHS).find(|(_, known)| *known == name).map(|(number, _)| number);
    let birth = match words.as_slice() {
        [year] => year_of(year).map(Birth::Year),
        [name, year] => year_of(year).zip(month(name)).map(|(year, month)| Birth::Month(year, month)),
        [day, name, year] => year_of(year)
            .zip(month(name))
            .and_then(|(year, month)| NaiveDate::from_ymd_opt(year, month, day.parse().ok()?))
            .map(Birth::Day),
        _ => None,
    };
    birth.unwrap_or(Birth::Unread)
}

fn year_of(text: &str) -> Option<i32> {
    let digits = text.len() == 4 && text.bytes().all(|byte| byte.is_ascii_digit());
    text.parse().ok().filter(|year| digits && *year >= 1000)
}

/// Tolerated error of a listed date, in years.
const TOLERANCE: i32 = 2;

/// Minimum points of a date that supports a match: the same date, or one with a typical typing error.
pub const NEAR: i32 = 12;
/// Points of the same year, if the list has no more.
pub const SAME_YEAR: i32 = 10;
/// Points of dates that are years apart.
pub const FAR: i32 = -30;

const YEARS_AWAY: &str = "Every listed date of birth is years away.";

/// Returns the points for the listed dates of birth of an entry, with the rule. The rule contains no date.
pub fn compared(births: &[Birth], born: NaiveDate) -> (i32, &'static str) {
    births
        .iter()
        .map(|birth| one_compared(*birth, born))
        .max_by_key(|(points, _)| *points)
        .unwrap_or((0, "No date of birth is listed."))
}

fn one_compared(birth: Birth, born: NaiveDate) -> (i32, &'static str) {
    let year = born.year();
    if let Birth::Day(day) = birth {
        // Common case: years apart and on another day of the year, so no typing error explains it.
        if (day.year() - year).abs() > TOLERANCE && day.ordinal().abs_diff(born.ordinal()) > 1 {
            return (FAR, YEARS_AWAY);
        }
        if let Some(typing_error) = typing_error(day, born) {
            return typing_error;
        }
    }
    match birth {
        Birth::Month(listed, month) if (listed, month) == (year, born.month()) => {
            (15, "The same month of birth is listed.")
        }
        Birth::Year(listed) if listed == year => (SAME_YEAR, "The same year of birth is listed."),
        Birth::Unread => (0, "The listed date of birth cannot be read."),
        other => match other.year().map_or(0, |listed| (listed - year).abs()) {
            0 => (5, "Another date of the same year is listed."),
            apart if apart > TOLERANCE => (FAR, YEARS_AWAY),
            _ if matches!(other, Birth::Day(_)) => (-5, "Another date is listed, at most two years away."),
            _ => (0, "The listed year of birth is at most two years away."),
        },
    }
}

/// Compares a listed date for the same date or a typical typing error.
fn typing_error(listed: NaiveDate, born: NaiveDate) -> Option<(i32, &'static str)> {
    let years = (listed.year() - born.year()).abs();
    let same_day = (listed.month(), listed.day()) == (born.month(), born.day());
    if listed == born {
        Some((20, "The same date of birth is listed."))
    } else if years == 0 && (listed.month(), listed.day()) == (born.day(), born.month()) {
        Some((18, "The same date of birth is listed with day and month swapped."))
    } else if (listed - born).num_days().abs() == 1 {
        Some((18, "The day before or after is listed."))
    } else if years == 1 && same_day {
        Some((17, "The same day of the year before or after is listed."))
    } else if one_digit_differs(listed, born) {
        Some((12, "The listed date of birth differs in one digit."))
    } else if same_day && listed.year() / 100 == born.year() / 100 && swapped(listed.year()) == born.year() {
        Some((17, "The same date of birth is listed with the last digits of the year swapped."))
    } else {
        None
    }
}

/// Returns a year with its last two digits swapped.
const fn swapped(year: i32) -> i32 {
    year / 100 * 100 + year % 10 * 10 + year / 10 % 10
}

fn one_digit_differs(one: NaiveDate, other: NaiveDate) -> bool {
    let number = |day: NaiveDate| (day.year().unsigned_abs() * 100 + day.month()) * 100 + day.day();
    let (mut one, mut other, mut differing) = (number(one), number(other), 0);
    while one > 0 || other > 0 {
        differing += u32::from(one % 10 != other % 10);
        (one, other) = (one / 10, other / 10);
    }
    differing == 1
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(remarks: &str) -> Vec<String> {
        in_remarks(remarks).iter().map(Birth::to_string).collect()
    }

    #[test]
    fn dates_months_years_and_spans_are_read_from_remarks() {
        for (remarks, expected) in [
            ("DOB 12 Dec 1960; POB Beirut, Lebanon.", vec!["1960-12-12"]),
            ("DOB 1960.", vec!["1960"]),
            ("nationality Iran; DOB Dec 1960;", vec!["1960-12"]),
            ("DOB circa 1960; Passport 123 (individual)", vec!["1959", "1960", "1961"]),
            ("DOB 1958 to 1960", vec!["1958", "1959", "1960"]),
            ("DOB circa 1961-1962", vec!["1960", "1961", "1962", "1963"]),
            ("DOB 01 Jan 1958 to 31 Dec 1959", vec!["1958", "1959"]),
            ("DOB 12 Dec 1960; alt. DOB 1962; alt. DOB 1962", vec!["1960-12-12", "1962"]),
            (
                "DOB 1970s",
                vec!["1970", "1971", "1972", "1973", "1974", "1975", "1976", "1977", "1978", "1979"],
            ),
            ("DOB early 1950s; alt. DOB 1951", vec!["1951", "?"]),
            ("DOB 31 Feb 1960", vec!["?"]),
            ("DOB 1900 to 1990", vec!["?"]),
            ("POB Dobruja; a.k.a. 'DOBBY 1960'", vec![]),
            ("", vec![]),
        ] {
            assert_eq!(lines(remarks), expected, "{remarks}");
        }
    }

    #[test]
    fn displayed_dates_are_parsed_again() {
        for text in ["1960-12-12", "1960-12", "1960", "?"] {
            assert_eq!(Birth::parse(text).to_string(), text);
        }
        for text in ["", "1960-13", "1960-1-1", "nope", "1960-12-32"] {
            assert_eq!(Birth::parse(text), Birth::Unread, "{text}");
        }
    }

    #[test]
    fn typing_errors_count_nearly_as_much_as_the_same_date() {
        let day = |text: &str| text.parse::<NaiveDate>().unwrap();
        for (listed, born, points) in [
            ("1960-04-03", "1960-03-04", 18),
            ("1960-03-31", "1960-04-01", 18),
            ("1959-12-31", "1960-01-01", 18),
            ("1961-03-04", "1960-03-04", 17),
            ("1965-03-04", "1956-03-04", 17),
            ("1960-03-14", "1960-03-04", 12),
            ("1960-04-05", "1960-03-04", 5),
            ("1966-04-05", "1960-03-04", -30),
        ] {
            assert_eq!(compared(&[Birth::Day(day(listed))], day(born)).0, points, "{listed} {born}");
            assert_eq!(compared(&[Birth::Day(day(born))], day(listed)).0, points, "{listed} {born}");
        }
    }

    #[test]
    fn the_nearest_listed_date_counts() {
        let born = "1960-12-12".parse().unwrap();
        for (remarks, points) in [
            ("", 0),
            ("DOB 12 Dec 1960", 20),
            ("DOB Dec 1960", 15),
            ("DOB 1960", 10),
            ("DOB 13 Dec 1960", 18),
            ("DOB 12 Dec 1961", 17),
            ("DOB 12 Dec 1968", 12),
            ("DOB 12 Nov 1960", 12),
            ("DOB 14 Nov 1960", 5),
            ("DOB Nov 1960", 5),
            ("DOB 1962", 0),
            ("DOB 31 Oct 1958", -5),
            ("DOB 1963", -30),
            ("DOB 1957", -30),
            ("DOB 1940; alt. DOB 12 Dec 1960", 20),
            ("DOB circa 1959", 10),
            ("DOB 1940; alt. DOB late 1960s", 0),
        ] {
            assert_eq!(compared(&in_remarks(remarks), born).0, points, "{remarks}");
        }
    }
}
