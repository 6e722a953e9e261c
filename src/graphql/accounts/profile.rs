//! GraphQL type for the financial profile of an account owner.

use super::options::{
    EmploymentStatus, InvestmentExperience, InvestmentObjective, LiquidWealthBand, MaritalStatus,
    RiskTolerance, WealthBand,
};
use async_graphql::SimpleObject;
use domain::{Error, Result, accounts::Profile};
use macros::Fields;

/// Financial profile of an account owner.
#[derive(Clone, Debug, Fields, SimpleObject)]
pub struct AccountProfile {
    /// Marital status.
    marital_status: MaritalStatus,
    /// Country of citizenship as a three-letter ISO 3166-1 code, for example `USA`.
    country_of_citizenship: String,
    /// Employment status.
    employment_status: EmploymentStatus,
    /// Job title or occupation.
    employment_position: String,
    /// Name of the employer.
    employer_name: String,
    /// Annual income.
    annual_income: Option<WealthBand>,
    /// Investment objective.
    investment_objective: Option<InvestmentObjective>,
    /// Investment experience.
    investment_experience: Option<InvestmentExperience>,
    /// Liquid net worth.
    net_liquid_worth: Option<LiquidWealthBand>,
    /// Total net worth.
    net_total_worth: Option<WealthBand>,
    /// Whether the owner is a director, officer or 10% shareholder of a public company.
    is_director: Option<bool>,
    /// Name of that public company.
    director_of: Option<String>,
    /// Risk tolerance.
    risk_tolerance: Option<RiskTolerance>,
}

impl AccountProfile {
    /// Converts the stored answers, which may be written in any case and spacing.
    pub fn of(profile: Profile) -> Result<Self> {
        let unknown = || Error::broken("an answer in a stored profile is not one of the options");
        macro_rules! read {
            ($options:ident, $answer:expr) => {
                $answer.map(|answer| $options::parse(&answer).ok_or_else(unknown)).transpose()?
            };
        }
        Ok(Self {
            marital_status: MaritalStatus::parse(&profile.marital_status).ok_or_else(unknown)?,
            country_of_citizenship: profile.country_of_citizenship,
            employment_status: EmploymentStatus::parse(&profile.employment_status).ok_or_else(unknown)?,
            employment_position: profile.employment_position,
            employer_name: profile.employer_name,
            annual_income: read!(WealthBand, profile.annual_income),
            investment_objective: read!(InvestmentObjective, profile.investment_objective),
            investment_experience: read!(InvestmentExperience, profile.investment_experience),
            net_liquid_worth: read!(LiquidWealthBand, profile.net_liquid_worth),
            net_total_worth: read!(WealthBand, profile.net_total_worth),
            is_director: profile.is_director,
            director_of: profile.director_of,
            risk_tolerance: read!(RiskTolerance, profile.risk_tolerance),
        })
    }
}
