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
use serde::Serialize;

/// Answers about the account holder, as entered; not validated yet.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Profile {
    pub marital_status: String,
    pub country_of_citizenship: String,
    pub employment_status: String,
    pub employment_position: String,
    pub employer_name: String,
    pub annual_income: Option<String>,
    pub investment_objective: Option<String>,
    pub investment_experience: Option<String>,
    pub net_liquid_worth: Option<String>,
    pub net_total_worth: Option<String>,
    pub is_director: Option<bool>,
    pub director_of: Option<String>,
    pub risk_tolerance: Option<String>,
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

    /// Refuses invalid answers and missing ones that this type of account requires: an investment account
    /// requires every answer about investing, a cash account none (documented: optional for `cash`).
    pub fn check(&self, kind: AccountKind) -> Result<()> {
        let mut checks = Checks::default();
        for (field, answer) in [
            ("maritalStatus", &self.marital_status),
            ("countryOfCitizenship", &self.country_of_citizenship),
            ("employmentStatus", &self.employment_status),
            ("employmentPosition", &self.employment_position),
            ("employerName", &self.employer_name),
        ] {
            checks.note(check_answer(field, answer));
        }
        let required = kind == AccountKind::Investment;
        for (field, answer) in [
            ("annualIncome", &self.annual_income),
            ("investmentObjective", &self.investment_objective),
            ("investmentExperience", &self.investment_experience),
            ("netLiquidWorth", &self.net_liquid_worth),
            ("netTotalWorth", &self.net_total_worth),
            ("riskTolerance", &self.risk_tolerance),
        ] {
            checks.note(match answer {
                Some(answer) => check_answer(field, answer),
                None if required => Err(Refusal::required(field).into()),
                None => Ok(()),
            });
        }
        checks.note(match (self.is_director, &self.director_of) {
            (None, _) if required => Err(Refusal::required("isDirector").into()),
            (Some(true), None) => Err(Refusal::required("directorOf").into()),
            (_, Some(text)) => check_answer("directorOf", text),
            _ => Ok(()),
        });
        checks.done()
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

/// Changes to a profile; not validated yet.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct ProfilePatch {
    pub marital_status: Option<String>,
    pub country_of_citizenship: Option<String>,
    pub employment_status: Option<String>,
    pub employment_position: Option<String>,
    pub employer_name: Option<String>,
    pub annual_income: Change<String>,
    pub investment_objective: Change<String>,
    pub investment_experience: Change<String>,
    pub net_liquid_worth: Change<String>,
    pub net_total_worth: Change<String>,
    pub is_director: Change<bool>,
    pub director_of: Change<String>,
    pub risk_tolerance: Change<String>,
}

impl ProfilePatch {
    /// Refuses invalid answers.
    pub fn check(&self) -> Result<()> {
        let mut checks = Checks::default();
        for (field, answer) in [
            ("maritalStatus", self.marital_status.as_ref()),
            ("countryOfCitizenship", self.country_of_citizenship.as_ref()),
            ("employmentStatus", self.employment_status.as_ref()),
            ("employmentPosition", self.employment_position.as_ref()),
            ("employerName", self.employer_name.as_ref()),
            ("annualIncome", self.annual_income.value()),
            ("investmentObjective", self.investment_objective.value()),
            ("investmentExperience", self.investment_experience.value()),
            ("netLiquidWorth", self.net_liquid_worth.value()),
            ("netTotalWorth", self.net_total_worth.value()),
            ("directorOf", self.director_of.value()),
            ("riskTolerance", self.risk_tolerance.value()),
        ] {
            if let Some(answer) = answer {
                checks.note(check_answer(field, answer));
            }
        }
        checks.done()
    }

    /// Applies the changes to an account. Setting `is_director` to false also clears `director_of`.
    pub fn apply(&self, account: &mut account::Model) {
        // Options are stored as entered; free text is stored with its white space tidied.
        for (new, answer) in [
            (&self.marital_status, &mut account.marital_status),
            (&self.country_of_citizenship, &mut account.country_of_citizenship),
            (&self.employment_status, &mut account.employment_status),
        ] {
            if let Some(new) = new {
                new.clone_into(answer);
            }
        }
        for (new, answer) in [
            (&self.employment_position, &mut account.employment_position),
            (&self.employer_name, &mut account.employer_name),
        ] {
            if let Some(new) = new {
                *answer = tidy(new);
            }
        }
        if self.is_director == Change::Set(false) {
            account.director_of = None;
        }
        self.is_director.apply(&mut account.is_director);
        for (new, answer) in [
            (&self.annual_income, &mut account.annual_income),
            (&self.investment_objective, &mut account.investment_objective),
            (&self.investment_experience, &mut account.investment_experience),
            (&self.net_liquid_worth, &mut account.net_liquid_worth),
            (&self.net_total_worth, &mut account.net_total_worth),
            (&self.risk_tolerance, &mut account.risk_tolerance),
        ] {
            new.apply(answer);
        }
        match &self.director_of {
            Change::Keep => {}
            Change::Clear => account.director_of = None,
            Change::Set(new) => account.director_of = Some(tidy(new)),
        }
    }
}
