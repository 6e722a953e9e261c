//! Facts from an applicant's data that questions can ask for, each with plausible wrong answers.

use super::questions::{Draws, NONE};
use crate::people::{
    applicants::Applicant,
    person::{Phone, UsState},
    ssn::Ssn,
};
use chrono::Datelike;
use std::{collections::BTreeSet, ops::RangeInclusive};

/// Name of the fact that is asked for first.
pub const ISSUING_STATE: &str = "issuing_state";

/// Question with its correct answer and at least four wrong ones.
pub struct EvidenceFact {
    /// Name that seeds the draws for this fact.
    pub name: &'static str,
    pub question: &'static str,
    pub answer: String,
    pub others: Vec<String>,
}

/// Returns all facts that can be asked for. Birth date and e-mail address alone provide five.
///
/// The name is not used, because it may be corrected together with the answers.
pub fn of(seed: &[u8], applicant: &Applicant) -> Vec<EvidenceFact> {
    let (born, address) = (applicant.birth_date, &applicant.address);
    let domestic = address.country_code.eq_ignore_ascii_case("US");
    let state = |code: &str| UsState::parse(code.trim()).ok().map(UsState::name);
    let issuer =
        Ssn::parse(&applicant.ssn, true).ok().and_then(|ssn| ssn.issuing_state(born)).and_then(state);
    let (house, street) = house_and_street(&address.line1);
    let zip = address.postal_code.trim().get(..5).filter(|zip| domestic && are_digits(zip));
    let phone = applicant.phone.as_deref().and_then(|phone| Phone::parse(phone).ok());
    // In E.164 form: +1, the area code, the exchange, the line.
    let phone = phone.as_ref().map_or("", Phone::as_str);
    let domain = applicant.email.rsplit_once('@').map(|(_, domain)| domain.to_lowercase());
    let states: Vec<&str> = UsState::all().filter(|state| state.issues_ssns()).map(UsState::name).collect();
    let month = usize::try_from(born.month0()).ok().and_then(|month| MONTHS.get(month)).copied();
    let weekday = usize::try_from(born.weekday().num_days_from_monday())
        .ok()
        .and_then(|day| WEEKDAYS.get(day))
        .copied();
    let facts = [
        among(ISSUING_STATE, "What state was your SSN issued in?", issuer, &states),
        among("month", "In which month were you born?", month, MONTHS),
        among("weekday", "On which day of the week were you born?", weekday, WEEKDAYS),
        numbered(
            "day",
            "On which day of the month is your birthday?",
            Some(&born.day().to_string()),
            "",
            1,
            1..=31,
        ),
        near("year", "In which year is your 18th birthday?", Some(born.year() + 18), 12, seed),
        among("domain", "What is the domain of your e-mail address?", domain.as_deref(), DOMAINS),
        among(
            "city",
            "In which city do you live?",
            Some(address.city.trim()),
            if domestic { CITIES } else { CITIES_ABROAD },
        ),
        among("state", "In which state do you live?", state(&address.state).filter(|_| domestic), &states),
        numbered(
            "zip",
            "What is the ZIP code of your address?",
            zip,
            zip.and_then(|zip| zip.get(..3)).unwrap_or_default(),
            2,
            0..=99,
        ),
        near("house", "What is the number of your house?", house, 40, seed),
        among("street", "On which street do you live?", street, STREETS),
        among("area_code", "What is the area code of your phone number?", phone.get(2..5), AREA_CODES),
        four_digits("line", "What are the last four digits of your phone number?", phone.get(8..), seed),
    ];
    facts
        .into_iter()
        .flatten()
        .filter(|fact| fact.others.len() >= 4 && !fact.answer.eq_ignore_ascii_case(NONE))
        .collect()
}

fn are_digits(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit())
}

/// Splits an address line such as `123 Test St` into house number and street; none for other forms.
fn house_and_street(line: &str) -> (Option<i32>, Option<&str>) {
    let Some((number, street)) = line.trim().split_once(' ') else { return (None, None) };
    let house = Some(number)
        .filter(|number| are_digits(number) && !number.starts_with('0'))
        .and_then(|number| number.parse().ok());
    (house, Some(street.trim()).filter(|street| house.is_some() && street.contains(char::is_alphabetic)))
}

/// Returns only letters and digits in lower case, to compare spellings.
fn folded(text: &str) -> String {
    text.chars().filter(|c| c.is_alphanumeric()).flat_map(char::to_lowercase).collect()
}

/// Fact with wrong answers from a list, without those that may be another spelling of the answer: `Oak St`
/// for `Oak Street`.
fn among(
    name: &'static str,
    question: &'static str,
    answer: Option<&str>,
    kind: &[&str],
) -> Option<EvidenceFact> {
    let answer = answer?;
    let own = folded(answer);
    let differs = |other: &&&str| {
        let other_own = folded(other);
        if own.is_empty() {
            **other != answer
        } else {
            !own.starts_with(&other_own) && !other_own.starts_with(&own)
        }
    };
    let others = kind.iter().filter(differs).map(|other| (*other).to_owned()).collect();
    Some(EvidenceFact { name, question, answer: answer.to_owned(), others })
}

/// Fact with digits as answer and all other numbers of a range behind the same prefix as wrong answers.
fn numbered(
    name: &'static str,
    question: &'static str,
    answer: Option<&str>,
    prefix: &str,
    width: usize,
    all: RangeInclusive<u32>,
) -> Option<EvidenceFact> {
    let answer = answer?;
    let others =
        all.map(|number| format!("{prefix}{number:0width$}")).filter(|other| other != answer).collect();
    Some(EvidenceFact { name, question, answer: answer.to_owned(), others })
}

/// Fact with four digits as answer and drawn wrong answers.
fn four_digits(
    name: &'static str,
    question: &'static str,
    answer: Option<&str>,
    seed: &[u8],
) -> Option<EvidenceFact> {
    let answer = answer?;
    let purpose = format!("digits {name}");
    let mut draws = Draws::new(seed, &purpose);
    let drawn: BTreeSet<String> = (0..20).map(|_| format!("{:04}", draws.below(10_000))).collect();
    Some(EvidenceFact {
        name,
        question,
        answer: answer.to_owned(),
        others: drawn.into_iter().filter(|other| other != answer).collect(),
    })
}

/// Fact with a number as answer and its neighbors as wrong answers. The position among them is drawn, so that
/// the middle is no more likely than the ends.
fn near(
    name: &'static str,
    question: &'static str,
    answer: Option<i32>,
    width: i32,
    seed: &[u8],
) -> Option<EvidenceFact> {
    let answer = answer?;
    let behind =
        i32::try_from(Draws::new(seed, &format!("near {name}")).below(usize::try_from(width).ok()?)).ok()?;
    let first = answer.saturating_sub(behind).max(1);
    let others = (first..first.saturating_add(width))
        .filter(|other| *other != answer)
        .map(|other| other.to_string())
        .collect();
    Some(EvidenceFact { name, question, answer: answer.to_string(), others })
}

const MONTHS: &[&str] = &[
    "January",
    "February",
    "March",
    "April",
    "May",
    "June",
    "July",
    "August",
    "September",
    "October",
    "November",
    "December",
];

const WEEKDAYS: &[&str] = &["Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday"];

const DOMAINS: &[&str] = &[
    "gmail.com",
    "yahoo.com",
    "outlook.com",
    "hotmail.com",
    "icloud.com",
    "aol.com",
    "proton.me",
    "comcast.net",
    "verizon.net",
    "fastmail.com",
    "zoho.com",
    "gmx.com",
];

const CITIES: &[&str] = &[
    "Albuquerque",
    "Arlington",
    "Atlanta",
    "Austin",
    "Baltimore",
    "Boise",
    "Charlotte",
    "Chicago",
    "Cleveland",
    "Columbus",
    "Dallas",
    "Denver",
    "Des Moines",
    "Durham",
    "Fresno",
    "Hartford",
    "Houston",
    "Jacksonville",
    "Knoxville",
    "Lexington",
    "Madison",
    "Memphis",
    "Milwaukee",
    "Nashville",
    "Norfolk",
    "Omaha",
    "Orlando",
    "Philadelphia",
    "Phoenix",
    "Pittsburgh",
    "Portland",
    "Raleigh",
    "Richmond",
    "Rochester",
    "Sacramento",
    "Seattle",
    "Spokane",
    "Springfield",
    "Tampa",
    "Tulsa",
];

const CITIES_ABROAD: &[&str] = &[
    "Amsterdam",
    "Auckland",
    "Barcelona",
    "Berlin",
    "Bogota",
    "Brussels",
    "Copenhagen",
    "Dublin",
    "Hamburg",
    "Helsinki",
    "Lisbon",
    "London",
    "Lyon",
    "Madrid",
    "Manchester",
    "Melbourne",
    "Mexico City",
    "Milan",
    "Montreal",
    "Oslo",
    "Paris",
    "Prague",
    "Singapore",
    "Stockholm",
    "Sydney",
    "Toronto",
    "Vancouver",
    "Vienna",
    "Warsaw",
    "Zurich",
];

const STREETS: &[&str] = &[
    "Adams St",
    "Cedar Ln",
    "Cherry St",
    "Chestnut St",
    "Church St",
    "Dogwood Dr",
    "Elm St",
    "Forest Ave",
    "Franklin St",
    "Grove Ave",
    "Highland Ave",
    "Hill Rd",
    "Jefferson St",
    "Lake Dr",
    "Laurel Ln",
    "Lincoln Ave",
    "Locust St",
    "Main St",
    "Maple Ave",
    "Meadow Ln",
    "Mill Rd",
    "Oak St",
    "Park Ave",
    "Pine St",
    "River Rd",
    "School St",
    "Spring St",
    "Sunset Dr",
    "Walnut St",
    "Willow Ct",
];

const AREA_CODES: &[&str] = &[
    "202", "205", "206", "208", "212", "213", "214", "215", "216", "303", "305", "312", "313", "314", "317",
    "404", "405", "410", "412", "414", "415", "502", "503", "504", "505", "512", "513", "602", "612", "615",
    "617", "619", "702", "704", "713", "801", "804", "816", "901", "919",
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_line_is_split_into_house_number_and_street() {
        for (line, house, street) in [
            ("123 Test St", Some(123), Some("Test St")),
            (" 7  Hidden Lane Apt 4 ", Some(7), Some("Hidden Lane Apt 4")),
            ("12B Main St", None, None),
            ("PO Box 12", None, None),
            ("012 Main St", None, None),
            ("99999999999 Main St", None, None),
            ("123 45", Some(123), None),
            ("Broadway", None, None),
            ("", None, None),
        ] {
            assert_eq!(house_and_street(line), (house, street), "{line:?}");
        }
    }

    #[test]
    fn another_spelling_is_not_offered_as_a_wrong_answer() {
        let fact =
            among("street", "", Some("Oak Street"), &["Oak St", "OAK  street apt 3", "Pine St"]).unwrap();
        assert_eq!((fact.answer.as_str(), fact.others), ("Oak Street", vec!["Pine St".to_owned()]));
        assert_eq!(
            among("state", "", Some("Virginia"), &["West Virginia", "Virginia"]).unwrap().others,
            ["West Virginia"]
        );
        assert_eq!(among("city", "", Some("--"), &["--", "Tulsa"]).unwrap().others, ["Tulsa"]);
    }

    #[test]
    fn a_number_is_at_any_position_among_its_neighbors() {
        let positions: std::collections::BTreeSet<usize> = (0_u8..=255)
            .map(|byte| {
                let mut all: Vec<i32> = near("year", "", Some(2003), 12, &[byte])
                    .unwrap()
                    .others
                    .iter()
                    .map(|it| it.parse().unwrap())
                    .collect();
                assert_eq!(all.len(), 11);
                all.push(2003);
                all.sort_unstable();
                assert_eq!(all.last().unwrap() - all[0], 11);
                all.iter().position(|it| *it == 2003).unwrap()
            })
            .collect();
        assert_eq!(positions, (0..12).collect());
        assert!(
            near("house", "", Some(1), 40, b"seed")
                .unwrap()
                .others
                .iter()
                .all(|it| (2..=40).contains(&it.parse::<i32>().unwrap()))
        );
    }
}
