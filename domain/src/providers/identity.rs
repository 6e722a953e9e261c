//! Identity checks: scores whether a user is who they claim to be, and explains the score.

use futures_util::future::BoxFuture;
use serde::{Deserialize, Serialize};
use std::{borrow::Cow, ops::RangeInclusive};

/// Input of an identity check. Formats have already been validated.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(clippy::struct_excessive_bools, reason = "each is a finding of its own")]
pub struct Evidence<'a> {
    pub last_name: &'a str,
    /// Age in whole years on the day of the check.
    pub age: u32,
    pub address: AddressFit,
    /// Whether an address line is a post office box.
    pub is_po_box: bool,
    pub has_phone: bool,
    /// Whether another user of the same partner has the same social security number.
    pub ssn_seen_before: bool,
    /// Whether the user matches an entry of the watch list that has not been cleared.
    pub is_listed: bool,
    /// Whether the last name determines the score and a duplicate social security number is only noted, as in
    /// a sandbox.
    pub personas: bool,
}

/// Whether ZIP code and state of an address match.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AddressFit {
    /// The ZIP code belongs to the state.
    Domestic,
    /// The ZIP code belongs to another state of the United States.
    OtherState,
    /// The address is outside the United States, where postal codes are not checked.
    Foreign,
}

/// Kind of check.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Check {
    Format,
    Age,
    Address,
    PoBox,
    Phone,
    Email,
    DuplicateSsn,
    WatchList,
    Persona,
    Answers,
}

/// Result of one check: whether it passed, its part of the score, and its rule.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Part {
    pub check: Check,
    pub passed: bool,
    /// In hundredths; negative if it lowers the score.
    pub part: i32,
    pub rule: Cow<'static, str>,
}

/// Result of an identity check. The score is the sum of its parts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Verdict {
    pub parts: Vec<Part>,
    pub tags: Vec<&'static str>,
}

/// Scores identities.
pub trait IdentityProvider: Send + Sync {
    /// Scores `evidence`.
    fn check<'a>(&'a self, evidence: Evidence<'a>) -> BoxFuture<'a, Verdict>;
}

/// Returns the sum of the parts, limited to 0 to 99 hundredths.
pub fn score(parts: &[Part]) -> i32 {
    parts.iter().map(|part| part.part).sum::<i32>().clamp(0, 99)
}

/// Tag for a match on the watch list.
pub const WATCH_LIST_TAG: &str = "Watch List Match";

/// Returns the parts as if the watch list check had passed, after its hits were cleared.
pub fn unlisted(parts: Vec<Part>) -> Vec<Part> {
    let passed = |part: Part| {
        if part.check == Check::WatchList { Part { passed: true, part: WATCH_LIST, ..part } } else { part }
    };
    parts.into_iter().map(passed).collect()
}

/// Returns the parts as if the watch list check had failed, after a later hit.
pub fn listed(parts: Vec<Part>) -> Vec<Part> {
    let failed = |part: Part| {
        if part.check == Check::WatchList { Part { passed: false, part: SUSPICIOUS, ..part } } else { part }
    };
    parts.into_iter().map(failed).collect()
}

/// Coffer's own rules. In a sandbox, the last names `Question`, `Review` and `Denied` determine the score.
#[derive(Debug)]
pub struct BuiltIn;

impl IdentityProvider for BuiltIn {
    fn check<'a>(&'a self, evidence: Evidence<'a>) -> BoxFuture<'a, Verdict> {
        Box::pin(async move { verdict(evidence) })
    }
}

const FORMAT: i32 = 25;
const AGE: i32 = 20;
const ADDRESS: i32 = 20;
const PHONE: i32 = 5;
const EMAIL: i32 = 5;
const SSN: i32 = 12;
const WATCH_LIST: i32 = 12;

/// Lowers a perfect score to 0.10, which is denied.
const MINOR: i32 = AGE - 89;
/// Lowers a perfect score to 0.45, which needs a manual review.
const SUSPICIOUS: i32 = 12 - 54;
/// Lowers a perfect score to 0.45 for an implausible age.
const TOO_OLD: i32 = AGE - 54;
/// Lowers a perfect score to 0.79, which leads to questions.
const PO_BOX: i32 = -20;

/// Plausible ages of a user.
const AGES: RangeInclusive<u32> = 18..=120;

fn verdict(evidence: Evidence<'_>) -> Verdict {
    let is_plausible = AGES.contains(&evidence.age);
    let age = match evidence.age {
        ..18 => MINOR,
        _ if is_plausible => AGE,
        _ => TOO_OLD,
    };
    let fits = evidence.address == AddressFit::Domestic;
    let part = |check, passed, part, rule: &'static str| Part { check, passed, part, rule: rule.into() };
    let address = if fits { ADDRESS } else { 0 };
    let phone = if evidence.has_phone { PHONE } else { 0 };
    let ssn = if evidence.ssn_seen_before && !evidence.personas { SUSPICIOUS } else { SSN };
    let mut parts = vec![
        part(
            Check::Format,
            true,
            FORMAT,
            "Every field is well-formed, and the social security number is one that can be issued.",
        ),
        part(Check::Age, is_plausible, age, "The user is 18 to 120 years old."),
        part(
            Check::Address,
            fits,
            address,
            "The address is in the United States, and its ZIP code belongs to its state.",
        ),
        part(Check::Phone, evidence.has_phone, phone, "A North American phone number was provided."),
        part(Check::Email, true, EMAIL, "The e-mail address has a name and a domain."),
        part(
            Check::DuplicateSsn,
            !evidence.ssn_seen_before,
            ssn,
            "No other user has this social security number.",
        ),
        part(
            Check::WatchList,
            !evidence.is_listed,
            if evidence.is_listed { SUSPICIOUS } else { WATCH_LIST },
            "No entry of the watch list matches the name and birth date.",
        ),
    ];
    let po_box = if evidence.is_po_box { PO_BOX } else { 0 };
    if evidence.is_po_box {
        parts.push(part(Check::PoBox, false, PO_BOX, "The address is a residence, not a post office box."));
    }
    if evidence.personas {
        let target = match evidence.last_name.to_ascii_lowercase().as_str() {
            "question" => 75,
            "review" => 45,
            "denied" => 10,
            _ => 99,
        };
        let otherwise = FORMAT + AGE + address + po_box + phone + EMAIL + ssn + WATCH_LIST;
        if target != otherwise {
            parts.push(part(
                Check::Persona,
                target == 99,
                target - otherwise,
                "In a sandbox, the last name determines the score.",
            ));
        }
    }
    let found = [
        (fits, "Address Match"),
        (evidence.address == AddressFit::OtherState, "Address Mismatch"),
        (evidence.is_po_box, "PO Box"),
        (evidence.has_phone, "Phone Match"),
        (evidence.ssn_seen_before, "SSN Seen Before"),
        (evidence.is_listed, WATCH_LIST_TAG),
        (evidence.age < *AGES.start(), "Under 18"),
        (evidence.age > *AGES.end(), "Over 120"),
    ];
    Verdict { parts, tags: found.into_iter().filter_map(|(found, tag)| found.then_some(tag)).collect() }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ADA: Evidence<'static> = Evidence {
        last_name: "Carter",
        age: 40,
        address: AddressFit::Domestic,
        is_po_box: false,
        has_phone: true,
        ssn_seen_before: false,
        is_listed: false,
        personas: true,
    };

    #[test]
    fn last_names_determine_the_score_only_in_a_sandbox() {
        let live = Evidence { personas: false, ..ADA };
        for (evidence, expected, tags) in [
            (ADA, 99, vec!["Address Match", "Phone Match"]),
            (Evidence { has_phone: false, ..ADA }, 99, vec!["Address Match"]),
            (Evidence { address: AddressFit::Foreign, ..ADA }, 99, vec!["Phone Match"]),
            (
                Evidence { address: AddressFit::OtherState, ..ADA },
                99,
                vec!["Address Mismatch", "Phone Match"],
            ),
            (Evidence { is_po_box: true, ..ADA }, 99, vec!["Address Match", "PO Box", "Phone Match"]),
            (Evidence { age: 18, ..ADA }, 99, vec!["Address Match", "Phone Match"]),
            (Evidence { age: 120, ..ADA }, 99, vec!["Address Match", "Phone Match"]),
            (Evidence { age: 121, ..ADA }, 45, vec!["Address Match", "Phone Match", "Over 120"]),
            (Evidence { last_name: "Question", ..ADA }, 75, vec!["Address Match", "Phone Match"]),
            (Evidence { last_name: "Review", ..ADA }, 45, vec!["Address Match", "Phone Match"]),
            (Evidence { last_name: "DENIED", ..ADA }, 10, vec!["Address Match", "Phone Match"]),
            (
                Evidence { ssn_seen_before: true, ..ADA },
                99,
                vec!["Address Match", "Phone Match", "SSN Seen Before"],
            ),
            (Evidence { age: 17, ..ADA }, 10, vec!["Address Match", "Phone Match", "Under 18"]),
            (
                Evidence { is_listed: true, ..ADA },
                45,
                vec!["Address Match", "Phone Match", "Watch List Match"],
            ),
            (live, 99, vec!["Address Match", "Phone Match"]),
            (Evidence { last_name: "Denied", ..live }, 99, vec!["Address Match", "Phone Match"]),
            (Evidence { has_phone: false, ..live }, 94, vec!["Address Match"]),
            (Evidence { address: AddressFit::Foreign, ..live }, 79, vec!["Phone Match"]),
            (
                Evidence { address: AddressFit::OtherState, ..live },
                79,
                vec!["Address Mismatch", "Phone Match"],
            ),
            (Evidence { is_po_box: true, ..live }, 79, vec!["Address Match", "PO Box", "Phone Match"]),
            (Evidence { age: 176, ..live }, 45, vec!["Address Match", "Phone Match", "Over 120"]),
            (
                Evidence { ssn_seen_before: true, ..live },
                45,
                vec!["Address Match", "Phone Match", "SSN Seen Before"],
            ),
            (
                Evidence { is_listed: true, ..live },
                45,
                vec!["Address Match", "Phone Match", "Watch List Match"],
            ),
            (Evidence { age: 17, ..live }, 10, vec!["Address Match", "Phone Match", "Under 18"]),
        ] {
            let found = verdict(evidence);
            assert_eq!((score(&found.parts), found.tags), (expected, tags), "{evidence:?}");
        }
    }

    #[test]
    fn clearing_or_adding_a_hit_gives_the_score_of_a_new_check() {
        for evidence in [
            ADA,
            Evidence { last_name: "Question", ..ADA },
            Evidence { personas: false, has_phone: false, ..ADA },
        ] {
            let listed = verdict(Evidence { is_listed: true, ..evidence });
            assert_ne!(score(&listed.parts), score(&verdict(evidence).parts));
            assert_eq!(super::listed(verdict(evidence).parts), listed.parts, "{evidence:?}");
            assert_eq!(unlisted(listed.parts), verdict(evidence).parts, "{evidence:?}");
        }
    }

    #[test]
    fn every_failed_check_reports_its_part_of_the_score() {
        let failed = |evidence| -> Vec<(Check, i32)> {
            verdict(evidence)
                .parts
                .into_iter()
                .filter(|part| !part.passed)
                .map(|part| (part.check, part.part))
                .collect()
        };
        assert_eq!(failed(ADA), []);
        assert_eq!(
            failed(Evidence {
                age: 17,
                address: AddressFit::OtherState,
                is_po_box: true,
                has_phone: false,
                ssn_seen_before: true,
                is_listed: true,
                personas: false,
                ..ADA
            }),
            [
                (Check::Age, -69),
                (Check::Address, 0),
                (Check::Phone, 0),
                (Check::DuplicateSsn, -42),
                (Check::WatchList, -42),
                (Check::PoBox, -20)
            ]
        );
        assert_eq!(failed(Evidence { last_name: "Review", ..ADA }), [(Check::Persona, -54)]);
    }
}
