//! Who says whether a person is who she claims to be.

use futures_util::future::BoxFuture;

/// What an identity check goes by. Formats have been checked before.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Evidence<'a> {
    pub last_name: &'a str,
    /// In whole years, on the day of the check.
    pub age: u32,
    pub has_phone: bool,
    /// Whether another customer of the same partner has given the same social security number.
    pub ssn_seen_before: bool,
    /// Whether last names choose the outcome, as they do in a sandbox.
    pub personas: bool,
}

/// What a check found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Verdict {
    /// In hundredths; 90 and more is approved, 60 and more asks questions, 30 and more asks for documents.
    pub score: i32,
    pub tags: Vec<&'static str>,
}

/// Scores the evidence for an identity.
pub trait IdentityProvider: Send + Sync {
    /// Scores `evidence`.
    fn check<'a>(&'a self, evidence: Evidence<'a>) -> BoxFuture<'a, Verdict>;
}

/// Rules of our own. In a sandbox the last names `Question`, `Review` and `Denied` set the score.
#[derive(Debug)]
pub struct BuiltIn;

impl IdentityProvider for BuiltIn {
    fn check<'a>(&'a self, evidence: Evidence<'a>) -> BoxFuture<'a, Verdict> {
        Box::pin(async move { verdict(evidence) })
    }
}

fn verdict(evidence: Evidence<'_>) -> Verdict {
    let mut tags = vec!["Address Match"];
    if evidence.has_phone {
        tags.push("Phone Match");
    }
    if evidence.ssn_seen_before {
        tags.push("SSN Seen Before");
    }
    let mut score = 99;
    if evidence.personas {
        score = match evidence.last_name.to_ascii_lowercase().as_str() {
            "question" => 75,
            "review" => 45,
            "denied" => 10,
            _ => 99,
        };
    } else if evidence.ssn_seen_before {
        score = 45;
    }
    if evidence.age < 18 {
        tags.push("Under 18");
        score = 10;
    }
    Verdict { score, tags }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn personas_choose_the_score_in_a_sandbox_only() {
        let ada = Evidence { last_name: "Carter", age: 40, has_phone: true, ssn_seen_before: false, personas: true };
        for (evidence, score, tags) in [
            (ada, 99, vec!["Address Match", "Phone Match"]),
            (Evidence { has_phone: false, ..ada }, 99, vec!["Address Match"]),
            (Evidence { last_name: "Question", ..ada }, 75, vec!["Address Match", "Phone Match"]),
            (Evidence { last_name: "Review", ..ada }, 45, vec!["Address Match", "Phone Match"]),
            (Evidence { last_name: "Denied", ..ada }, 10, vec!["Address Match", "Phone Match"]),
            (Evidence { last_name: "Denied", personas: false, ..ada }, 99, vec!["Address Match", "Phone Match"]),
            (Evidence { ssn_seen_before: true, ..ada }, 99, vec!["Address Match", "Phone Match", "SSN Seen Before"]),
            (Evidence { ssn_seen_before: true, personas: false, ..ada }, 45, vec!["Address Match", "Phone Match", "SSN Seen Before"]),
            (Evidence { age: 17, ..ada }, 10, vec!["Address Match", "Phone Match", "Under 18"]),
        ] {
            assert_eq!(verdict(evidence), Verdict { score, tags }, "{evidence:?}");
        }
    }
}
