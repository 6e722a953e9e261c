//! Questions that the applicant can answer, with the correct answers.
//!
//! The questions and the wrong answers follow from the check's token and the applicant's data by a keyed
//! hash: they are the same whenever the check is read, and cannot be computed without the server's encryption
//! keys.

use super::facts::{self, EvidenceFact};
use crate::{
    Error, Refusal, Result,
    kernel::{
        app::App,
        secrets::{self, AssociatedData, Secret},
    },
    people::applicants::Applicant,
};
use chrono::Duration;
use entity::kyc::{self, Outcome};
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;
use uuid::Uuid;

/// Column of the questions, as associated data.
pub const QUESTIONS: &str = "kyc.questions";
/// Last answer of every question; correct if no other is.
pub const NONE: &str = "None Of The Above";
/// Number of questions, and number of answers to each.
pub const ASKED: usize = 5;
/// Number of correct answers needed to pass.
pub const PASS_MARK: i32 = 4;

/// Returns how long questions can be answered, by the partner's clock.
pub const fn open_for() -> Duration {
    Duration::minutes(15)
}

/// Question with its correct answer, as stored.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Question {
    text: String,
    /// All answers except the last, which is always [`NONE`].
    answers: Vec<String>,
    /// Position of the correct answer, from 1.
    right: i32,
}

/// Questions of one check, with the correct answers. Not printable with `Debug`.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Questions(Vec<Question>);

/// Question as shown to the applicant, without the correct answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Prompt {
    /// From 1 to 5.
    pub id: i32,
    pub text: String,
    /// Numbered from 1.
    pub answers: Vec<(i32, String)>,
}

/// Answer to one question.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Given {
    pub question_id: i32,
    pub answer_id: i32,
}

/// Refuses answers unless they answer each question exactly once.
pub fn check(given: &[Given]) -> Result<()> {
    let numbers = 1..=5;
    let answered: BTreeSet<i32> = given.iter().map(|one| one.question_id).collect();
    let whole = given.len() == ASKED && answered.iter().copied().eq(numbers.clone());
    if whole && given.iter().all(|one| numbers.contains(&one.answer_id)) {
        return Ok(());
    }
    Err(malformed().into())
}

/// Refusal of incomplete or malformed answers.
pub fn malformed() -> Refusal {
    Refusal::invalid("answers", "must contain exactly one answer (1 to 5) for each question (1 to 5)")
}

impl Questions {
    /// Selects the questions for an applicant: the issuing state of the social security number first if there
    /// is one, the others by drawing.
    pub fn ask(seed: &[u8], applicant: &Applicant) -> Result<Self> {
        let mut facts = facts::of(seed, applicant);
        facts.sort_by_cached_key(|fact| {
            (fact.name != facts::ISSUING_STATE, Draws::new(seed, "order").of(fact.name))
        });
        let asked: Vec<Question> =
            facts.into_iter().take(ASKED).map(|fact| Question::about(seed, fact)).collect();
        if asked.len() == ASKED {
            Ok(Self(asked))
        } else {
            Err(Error::broken("too little is known to ask five questions"))
        }
    }

    /// Returns the questions as shown to the applicant.
    pub fn prompts(&self) -> Vec<Prompt> {
        let prompt = |(id, question): (i32, &Question)| Prompt {
            id,
            text: question.text.clone(),
            answers: (1..).zip(question.answers.iter().cloned().chain([NONE.to_owned()])).collect(),
        };
        (1..).zip(&self.0).map(prompt).collect()
    }

    /// Returns the number of correct answers.
    pub fn count_correct(&self, given: &[Given]) -> i32 {
        let is_right = |(id, question): &(i32, &Question)| {
            given.contains(&Given { question_id: *id, answer_id: question.right })
        };
        (1..).zip(&self.0).filter(is_right).map(|_| 1).sum()
    }

    /// Encrypts the questions for the row of their check.
    pub fn sealed(&self, app: &App, partner_id: Uuid, id: Uuid) -> Result<Vec<u8>> {
        let text = serde_json::to_vec(self).map_err(|_| Error::broken("questions cannot be serialized"))?;
        app.vault.seal(AssociatedData { column: QUESTIONS, row: id, partner: partner_id }, &text)
    }
}

impl Question {
    /// Creates a question. In one of five cases the correct answer is not among the first four, so that every
    /// position is equally likely.
    fn about(seed: &[u8], fact: EvidenceFact) -> Self {
        let EvidenceFact { name, question, answer, mut others } = fact;
        let mut draws = Draws::new(seed, name);
        let place = draws.below(ASKED);
        let mut answers = Vec::with_capacity(ASKED - 1);
        while answers.len() < ASKED - 1 {
            let next = if answers.len() == place {
                answer.clone()
            } else {
                others.swap_remove(draws.below(others.len()))
            };
            answers.push(next);
        }
        Self { text: question.to_owned(), answers, right: i32::try_from(place).unwrap_or(0) + 1 }
    }
}

/// Returns the seed for the questions of a check.
pub fn seed(app: &App, partner_id: Uuid, token: &str) -> Vec<u8> {
    app.vault.blind_index(QUESTIONS, partner_id, token)
}

/// Returns the questions of a check with the correct answers; none if none were asked.
pub fn of(app: &App, check: &kyc::Model) -> Result<Option<Secret<Questions>>> {
    let Some(sealed) = &check.questions else { return Ok(None) };
    let text = app
        .vault
        .open(AssociatedData { column: QUESTIONS, row: check.id, partner: check.partner_id }, sealed)?;
    serde_json::from_slice(text.reveal())
        .map(|questions| Some(Secret::new(questions)))
        .map_err(|_| Error::broken("stored questions are invalid"))
}

/// Returns the questions that a check is waiting for answers to; empty if there are none.
pub fn open(app: &App, check: &kyc::Model) -> Result<Vec<Prompt>> {
    if check.outcome != Outcome::QuestionsRequired || check.superseded_at.is_some() {
        return Ok(Vec::new());
    }
    Ok(of(app, check)?.map(|questions| questions.reveal().prompts()).unwrap_or_default())
}

/// Deterministic draws from a seed and a name, unpredictable without the seed.
pub struct Draws<'a> {
    seed: &'a [u8],
    name: &'a str,
    turn: u32,
}

impl<'a> Draws<'a> {
    /// Creates draws for one purpose.
    pub const fn new(seed: &'a [u8], name: &'a str) -> Self {
        Self { seed, name, turn: 0 }
    }

    /// Returns the hash of a named item.
    fn of(&self, thing: &str) -> [u8; 32] {
        secrets::hmac_sha256(self.seed, format!("{}|{thing}", self.name).as_bytes())
    }

    /// Returns the next number below `limit`.
    pub fn below(&mut self, limit: usize) -> usize {
        self.turn += 1;
        let drawn =
            self.of(&self.turn.to_string()).first_chunk().map_or(0, |bytes| u64::from_be_bytes(*bytes));
        // The bias is below 10^-15 for the small limits used here.
        let drawn = drawn.checked_rem(limit as u64).unwrap_or(0);
        usize::try_from(drawn).unwrap_or(0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::people::applicants::NewAddress;
    use proptest::prelude::*;
    use std::collections::HashSet;

    fn ada() -> Applicant {
        Applicant {
            first_name: "Ada".to_owned(),
            last_name: "Question".to_owned(),
            email: "ada@example.com".to_owned(),
            phone: Some("(202) 555-0107".to_owned()),
            ssn: "123456789".to_owned(),
            birth_date: "1985-01-23".parse().unwrap(),
            address: NewAddress {
                line1: "123 Test St".to_owned(),
                line2: None,
                city: "Richmond".to_owned(),
                state: "VA".to_owned(),
                postal_code: "23220".to_owned(),
                country_code: "US".to_owned(),
            },
        }
    }

    /// Correct answers for the applicant above, by question.
    const RIGHT: [(&str, &str); 13] = [
        ("What state was your SSN issued in?", "New York"),
        ("In which month were you born?", "January"),
        ("On which day of the week were you born?", "Wednesday"),
        ("On which day of the month is your birthday?", "23"),
        ("In which year is your 18th birthday?", "2003"),
        ("What is the domain of your e-mail address?", "example.com"),
        ("In which city do you live?", "Richmond"),
        ("In which state do you live?", "Virginia"),
        ("What is the ZIP code of your address?", "23220"),
        ("What is the number of your house?", "123"),
        ("On which street do you live?", "Test St"),
        ("What is the area code of your phone number?", "202"),
        ("What are the last four digits of your phone number?", "0107"),
    ];

    #[track_caller]
    fn assert_well_formed(questions: &Questions) {
        let prompts = questions.prompts();
        let texts: HashSet<&str> = prompts.iter().map(|prompt| prompt.text.as_str()).collect();
        assert_eq!(
            (texts.len(), prompts.iter().map(|prompt| prompt.id).collect::<Vec<_>>()),
            (5, vec![1, 2, 3, 4, 5])
        );
        for (prompt, question) in prompts.iter().zip(&questions.0) {
            let ids: Vec<i32> = prompt.answers.iter().map(|(id, _)| *id).collect();
            let own: HashSet<String> = prompt.answers.iter().map(|(_, text)| text.to_lowercase()).collect();
            assert_eq!(
                (ids, own.len(), prompt.answers[4].1.as_str()),
                (vec![1, 2, 3, 4, 5], 5, NONE),
                "{prompt:?}"
            );
            assert!((1..=5).contains(&question.right));
        }
    }

    #[test]
    fn a_token_always_gives_the_same_questions_and_another_token_others() {
        let one = Questions::ask(b"one", &ada()).unwrap();
        assert!(one == Questions::ask(b"one", &ada()).unwrap());
        assert!(one != Questions::ask(b"two", &ada()).unwrap());
    }

    #[test]
    fn the_correct_answer_is_equally_likely_at_every_position() {
        let (mut places, mut asked) = ([0; 5], HashSet::new());
        for seed in 0_u32..800 {
            let questions = Questions::ask(&seed.to_be_bytes(), &ada()).unwrap();
            assert_well_formed(&questions);
            assert_eq!(questions.0[0].text, "What state was your SSN issued in?");
            for question in &questions.0 {
                let right = RIGHT.iter().find(|(text, _)| *text == question.text).unwrap().1;
                let place = question.answers.iter().position(|answer| answer == right).unwrap_or(4);
                assert_eq!(
                    question.right,
                    i32::try_from(place).unwrap() + 1,
                    "{}: {:?}",
                    question.text,
                    question.answers
                );
                places[place] += 1;
                asked.insert(question.text.clone());
            }
        }
        assert_eq!(asked.len(), RIGHT.len());
        // 4,000 in all: 800 each, and five deviations are 126.
        assert!(places.iter().all(|times| (674..=926).contains(times)), "{places:?}");
    }

    #[test]
    fn the_issuing_state_is_asked_for_if_the_number_has_one() {
        for (ssn, born, asked) in [
            ("123456789", "2011-06-24", true),
            ("123456789", "2011-06-25", false),
            ("666456789", "1985-01-23", false),
            ("700456789", "1985-01-23", false),
            ("580190001", "1985-01-23", true),
        ] {
            let person = Applicant { ssn: ssn.to_owned(), birth_date: born.parse().unwrap(), ..ada() };
            for seed in 0_u8..40 {
                let prompts = Questions::ask(&[seed], &person).unwrap().prompts();
                let at =
                    prompts.iter().position(|prompt| prompt.text == "What state was your SSN issued in?");
                assert_eq!(at, asked.then_some(0), "{ssn} {born}");
            }
        }
    }

    #[test]
    fn a_correction_changes_only_the_questions_about_it() {
        let (mut changed, mut unchanged) = (0, 0);
        for seed in 0_u8..100 {
            let before = Questions::ask(&[seed], &ada()).unwrap();
            let mut moved = ada();
            moved.address.city = "Norfolk".to_owned();
            let after = Questions::ask(&[seed], &moved).unwrap();
            for (one, other) in before.0.iter().zip(&after.0) {
                assert_eq!(one.text, other.text);
                if one.text == "In which city do you live?" {
                    changed += 1;
                } else {
                    assert_eq!((&one.answers, one.right), (&other.answers, other.right));
                    unchanged += 1;
                }
            }
        }
        assert!(changed > 10 && unchanged > 300);
    }

    #[test]
    fn each_question_must_be_answered_exactly_once() {
        let all = |answers: &[(i32, i32)]| -> Vec<Given> {
            answers
                .iter()
                .map(|(question_id, answer_id)| Given { question_id: *question_id, answer_id: *answer_id })
                .collect()
        };
        assert!(check(&all(&[(5, 1), (4, 2), (3, 3), (2, 4), (1, 5)])).is_ok());
        for answers in [
            &[][..],
            &[(1, 1), (2, 1), (3, 1), (4, 1)],
            &[(1, 1), (2, 1), (3, 1), (4, 1), (4, 1)],
            &[(1, 1), (2, 1), (3, 1), (4, 1), (5, 1), (5, 1)],
            &[(1, 1), (2, 1), (3, 1), (4, 1), (6, 1)],
            &[(0, 1), (1, 1), (2, 1), (3, 1), (4, 1)],
            &[(1, 1), (2, 1), (3, 1), (4, 1), (5, 0)],
            &[(1, 1), (2, 1), (3, 1), (4, 1), (5, 6)],
        ] {
            assert!(
                matches!(check(&all(answers)), Err(Error::Refused(refusal)) if refusal == malformed()),
                "{answers:?}"
            );
        }
        let questions = Questions::ask(b"one", &ada()).unwrap();
        let right: Vec<(i32, i32)> = (1..).zip(questions.0.iter().map(|question| question.right)).collect();
        assert_eq!(questions.count_correct(&all(&right)), 5);
        let mut wrong = right;
        for (failed, one) in (1..).zip(0..5) {
            wrong[one].1 = wrong[one].1 % 5 + 1;
            assert_eq!(questions.count_correct(&all(&wrong)), 5 - failed);
        }
    }

    proptest! {
        #[test]
        fn every_applicant_gets_five_questions(
            seed in any::<[u8; 8]>(),
            line1 in "\\PC{1,40}", city in "\\PC{1,40}", state in "[A-Z]{2}|\\PC{1,5}",
            postal_code in "[0-9]{5}(-[0-9]{4})?|\\PC{1,9}",
            domain in "[a-zA-Z.-]{3,12}|none of the above|gmail\\.com", country in "US|GB",
            ssn in "[0-8][0-9]{8}", days in 0_i64..90_000,
            phone in proptest::option::of("[2-9][0-9]{2}[2-9][0-9]{6}"),
        ) {
            let birth_date = "1850-01-01".parse::<chrono::NaiveDate>().unwrap() + Duration::days(days);
            let address = NewAddress { line1, line2: None, city, state, postal_code, country_code: country };
            let person = Applicant { email: format!("x@{domain}"), phone, ssn, birth_date, address, ..ada() };
            assert_well_formed(&Questions::ask(&seed, &person).unwrap());
        }

        #[test]
        fn an_applicant_with_nonsense_data_gets_five_questions(seed in any::<[u8; 8]>()) {
            let nonsense = || NONE.to_owned();
            let address = NewAddress {
                line1: nonsense(), line2: None, city: nonsense(), state: nonsense(), postal_code: nonsense(),
                country_code: nonsense(),
            };
            let questions = Questions::ask(&seed,
                &Applicant { phone: None, ssn: "666456789".to_owned(), address, ..ada() }).unwrap();
            assert_well_formed(&questions);
        }
    }
}
