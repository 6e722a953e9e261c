//! Account holder profile: employment, income, net worth and investment experience.

use super::options;
use crate::{
    Checks, Refusal, Result,
    people::{
        applicants,
        person::{self, Country, tidy},
        user_changes::Change,
    },
};
use entity::account::{self, AccountKind};
use sea_orm::ActiveValue::Set;
use serde::Serialize;

/// Answers about an account holder: of type `Text` if every account has them, of type `Choice` and `Flag` if
/// only an investment account requires them.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Answers<Text, Choice, Flag> {
    pub marital_status: Text,
    pub country_of_citizenship: Text,
    pub employment_status: Text,
    pub employment_position: Text,
    pub employer_name: Text,
    pub annual_income: Choice,
    pub investment_objective: Choice,
    pub investment_experience: Choice,
    pub net_liquid_worth: Choice,
    pub net_total_worth: Choice,
    pub is_director: Flag,
    pub director_of: Choice,
    pub risk_tolerance: Choice,
}

/// Profile of an account holder.
pub type Profile = Answers<String, Option<String>, Option<bool>>;

/// Changes to a profile; not validated yet.
pub type ProfilePatch = Answers<Option<String>, Change<String>, Change<bool>>;

/// An answer that may be absent.
pub trait Answer {
    fn given(&self) -> Option<&str>;
}

impl Answer for String {
    fn given(&self) -> Option<&str> {
        Some(self)
    }
}

impl Answer for Option<String> {
    fn given(&self) -> Option<&str> {
        self.as_deref()
    }
}

impl Answer for Change<String> {
    fn given(&self) -> Option<&str> {
        self.value().map(String::as_str)
    }
}

impl<Text: Answer, Choice: Answer, Flag> Answers<Text, Choice, Flag> {
    /// Checks every answer that is given, and that those are given which `is_required` names. Returns
    /// everything that is wrong.
    fn check_given(&self, is_required: impl Fn(&str) -> bool) -> Checks {
        let mut checks = Checks::default();
        for (field, answer) in [
            ("maritalStatus", self.marital_status.given()),
            ("countryOfCitizenship", self.country_of_citizenship.given()),
            ("employmentStatus", self.employment_status.given()),
            ("employmentPosition", self.employment_position.given()),
            ("employerName", self.employer_name.given()),
            ("annualIncome", self.annual_income.given()),
            ("investmentObjective", self.investment_objective.given()),
            ("investmentExperience", self.investment_experience.given()),
            ("netLiquidWorth", self.net_liquid_worth.given()),
            ("netTotalWorth", self.net_total_worth.given()),
            ("riskTolerance", self.risk_tolerance.given()),
            ("directorOf", self.director_of.given()),
        ] {
            checks.note(match answer {
                Some(answer) => check_answer(field, answer),
                None if is_required(field) => Err(Refusal::required(field).into()),
                None => Ok(()),
            });
        }
        checks
    }
}

/// Refuses an answer that is invalid for every type of account.
fn check_answer(field: &str, answer: &str) -> Result<()> {
    let options = match field {
        "countryOfCitizenship" => return applicants::valid(field, Country::from_alpha3(answer)).map(|_| ()),
        "maritalStatus" => options::MARITAL_STATUS,
        "employmentStatus" => options::EMPLOYMENT,
        "annualIncome" | "netTotalWorth" => options::INCOME,
        "netLiquidWorth" => options::LIQUID_WORTH,
        "investmentObjective" => options::OBJECTIVE,
        "investmentExperience" => options::EXPERIENCE,
        "riskTolerance" => options::RISK,
        _ => return person::check_words(field, answer),
    };
    options::check(field, answer, options)
}

impl Profile {
    /// Returns the profile stored with an account.
    pub fn of(account: &account::Model) -> Self {
        let account = account.clone();
        Self {
            marital_status: account.marital_status,
            country_of_citizenship: account.country_of_citizenship,
            employment_status: account.employment_status,
            employment_position: account.employment_position,
            employer_name: account.employer_name,
            annual_income: account.annual_income,
            investment_objective: account.investment_objective,
            investment_experience: account.investment_experience,
            net_liquid_worth: account.net_liquid_worth,
            net_total_worth: account.net_total_worth,
            is_director: account.is_director,
            director_of: account.director_of,
            risk_tolerance: account.risk_tolerance,
        }
    }

    /// Returns the columns of an account that store the profile.
    pub fn columns(&self) -> account::ActiveModel {
        let profile = self.clone().tidied();
        account::ActiveModel {
            marital_status: Set(profile.marital_status),
            country_of_citizenship: Set(profile.country_of_citizenship),
            employment_status: Set(profile.employment_status),
            employment_position: Set(profile.employment_position),
            employer_name: Set(profile.employer_name),
            annual_income: Set(profile.annual_income),
            investment_objective: Set(profile.investment_objective),
            investment_experience: Set(profile.investment_experience),
            net_liquid_worth: Set(profile.net_liquid_worth),
            net_total_worth: Set(profile.net_total_worth),
            is_director: Set(profile.is_director),
            director_of: Set(profile.director_of),
            risk_tolerance: Set(profile.risk_tolerance),
            ..account::ActiveModel::default()
        }
    }

    /// Returns the stored form: free text with its white space tidied, options as entered.
    fn tidied(mut self) -> Self {
        self.employment_position = tidy(&self.employment_position);
        self.employer_name = tidy(&self.employer_name);
        self.director_of = self.director_of.as_deref().map(tidy);
        self
    }

    /// Refuses invalid answers and missing ones that this type of account requires: an investment account
    /// requires every answer about investing, a cash account none (documented: optional for `cash`).
    pub fn check(&self, kind: AccountKind) -> Result<()> {
        let is_investment = kind == AccountKind::Investment;
        let mut checks = self.check_given(|field| match field {
            "directorOf" => self.is_director == Some(true),
            _ => is_investment,
        });
        if is_investment && self.is_director.is_none() {
            checks.note::<()>(Err(Refusal::required("isDirector").into()));
        }
        checks.done()
    }
}

impl ProfilePatch {
    /// Refuses invalid answers.
    pub fn check(&self) -> Result<()> {
        self.check_given(|_| false).done()
    }

    /// Returns a profile with these changes. Setting `is_director` to false also clears `director_of`.
    pub fn applied_to(&self, profile: &Profile) -> Profile {
        let text = |new: &Option<String>, current: &String| new.as_ref().unwrap_or(current).clone();
        let choice = |new: &Change<String>, current: &Option<String>| {
            let mut answer = current.clone();
            new.apply(&mut answer);
            answer
        };
        let mut is_director = profile.is_director;
        self.is_director.apply(&mut is_director);
        let director_of = if self.is_director == Change::Set(false) { &None } else { &profile.director_of };
        Profile {
            marital_status: text(&self.marital_status, &profile.marital_status),
            country_of_citizenship: text(&self.country_of_citizenship, &profile.country_of_citizenship),
            employment_status: text(&self.employment_status, &profile.employment_status),
            employment_position: text(&self.employment_position, &profile.employment_position),
            employer_name: text(&self.employer_name, &profile.employer_name),
            annual_income: choice(&self.annual_income, &profile.annual_income),
            investment_objective: choice(&self.investment_objective, &profile.investment_objective),
            investment_experience: choice(&self.investment_experience, &profile.investment_experience),
            net_liquid_worth: choice(&self.net_liquid_worth, &profile.net_liquid_worth),
            net_total_worth: choice(&self.net_total_worth, &profile.net_total_worth),
            is_director,
            director_of: choice(&self.director_of, director_of),
            risk_tolerance: choice(&self.risk_tolerance, &profile.risk_tolerance),
        }
        .tidied()
    }
}
