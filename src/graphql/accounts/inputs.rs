//! What is asked of accounts.

use super::{
    AccountOwnership, AccountType,
    options::{
        EmploymentStatus, InvestmentExperience, InvestmentObjective, LiquidWealthBand, MaritalStatus,
        RiskTolerance, WealthBand,
    },
};
use crate::graphql::{
    core::scalars::Date,
    people::users::inputs::{AddressInput, change},
};
use async_graphql::{ID, InputObject, MaybeUndefined, OneofObject};
use domain::{
    accounts::{
        CloseAccount, FreezeAccount, JointMember, OpenAccount, Profile, ProfilePatch, UnfreezeAccount,
        UpdateAccount,
    },
    kernel::{idempotency::Key, ids},
    people::applicants::NewUser,
};
use entity::Kind;

/// A person as written down.
#[derive(InputObject)]
pub struct PersonInput {
    /// Given name.
    first_name: String,
    /// Family name.
    last_name: String,
    /// E-mail address.
    email: String,
    /// US phone number.
    phone: Option<String>,
    /// Social security number; never sent back.
    ssn: Option<String>,
    /// Day of birth; never sent back.
    birth_date: Option<Date>,
    /// Where the person lives.
    address: Option<AddressInput>,
}

/// The other owner of a joint account.
#[derive(OneofObject)]
pub enum JointMemberInput {
    /// Somebody whom the partner serves already; a person who has signed in cannot name anybody so.
    UserId(ID),
    /// Somebody new, whose identity is checked at once.
    Person(Box<PersonInput>),
}

impl From<JointMemberInput> for JointMember {
    fn from(member: JointMemberInput) -> Self {
        match member {
            JointMemberInput::UserId(id) => Self::Known(ids::parse(Kind::User, &id)),
            JointMemberInput::Person(person) => Self::New(Box::new(NewUser {
                first_name: person.first_name,
                last_name: person.last_name,
                email: person.email,
                phone: person.phone,
                ssn: person.ssn,
                birth_date: person.birth_date.map(|Date(day)| day),
                address: person.address.map(Into::into),
            })),
        }
    }
}

/// Input of accountOpen.
#[derive(InputObject)]
pub struct AccountOpenInput {
    /// Made by the client; a retry repeats it.
    idempotency_key: Option<String>,
    /// Who will own it.
    user_id: ID,
    /// Whether alone or with another.
    #[graphql(default_with = "AccountOwnership::Individual")]
    ownership: AccountOwnership,
    /// The other owner of a JOINT account; until she is named and approved, it is neither funded nor traded
    /// on.
    joint_member: Option<JointMemberInput>,
    /// What it is for.
    #[graphql(name = "type")]
    kind: AccountType,
    /// Marital status.
    marital_status: MaritalStatus,
    /// ISO 3166-1 code, three letters.
    country_of_citizenship: String,
    /// Whether and how employed.
    employment_status: EmploymentStatus,
    /// Occupation.
    employment_position: String,
    /// Employer.
    employer_name: String,
    /// Yearly income; needed for INVESTMENT.
    annual_income: Option<WealthBand>,
    /// What investing is for; needed for INVESTMENT.
    investment_objective: Option<InvestmentObjective>,
    /// How much of it was done before; needed for INVESTMENT.
    investment_experience: Option<InvestmentExperience>,
    /// Net worth that can be sold quickly; needed for INVESTMENT.
    net_liquid_worth: Option<LiquidWealthBand>,
    /// Net worth in all; needed for INVESTMENT.
    net_total_worth: Option<WealthBand>,
    /// Whether a director, officer or owner of a tenth of a public company; needed for INVESTMENT.
    is_director: Option<bool>,
    /// Of which company; needed for a director.
    director_of: Option<String>,
    /// How much risk is taken; needed for INVESTMENT.
    risk_tolerance: Option<RiskTolerance>,
}

impl AccountOpenInput {
    pub fn parse(self) -> (Option<Key>, OpenAccount) {
        let key = self.idempotency_key.as_deref().map(Key::given);
        let new = OpenAccount {
            user_id: ids::parse(Kind::User, &self.user_id),
            ownership: self.ownership.text(),
            joint_member: self.joint_member.map(JointMember::from),
            kind: self.kind.text(),
            profile: Profile {
                marital_status: self.marital_status.text(),
                country_of_citizenship: self.country_of_citizenship,
                employment_status: self.employment_status.text(),
                employment_position: self.employment_position,
                employer_name: self.employer_name,
                annual_income: self.annual_income.map(WealthBand::text),
                investment_objective: self.investment_objective.map(InvestmentObjective::text),
                investment_experience: self.investment_experience.map(InvestmentExperience::text),
                net_liquid_worth: self.net_liquid_worth.map(LiquidWealthBand::text),
                net_total_worth: self.net_total_worth.map(WealthBand::text),
                is_director: self.is_director,
                director_of: self.director_of,
                risk_tolerance: self.risk_tolerance.map(RiskTolerance::text),
            },
        };
        (key, new)
    }
}

/// What is new about an account; what is left out stays as it is.
#[derive(InputObject)]
pub struct AccountPatch {
    /// JOINT for an account that another person shall own too; a joint account stays one.
    ownership: Option<AccountOwnership>,
    /// The other owner, who makes the account a joint one.
    joint_member: Option<JointMemberInput>,
    /// What it is for; INVESTMENT needs every answer about investing, here or on file.
    #[graphql(name = "type")]
    kind: Option<AccountType>,
    /// Marital status.
    marital_status: Option<MaritalStatus>,
    /// ISO 3166-1 code, three letters.
    country_of_citizenship: Option<String>,
    /// Whether and how employed.
    employment_status: Option<EmploymentStatus>,
    /// Occupation.
    employment_position: Option<String>,
    /// Employer.
    employer_name: Option<String>,
    /// Yearly income; null takes the answer back.
    annual_income: MaybeUndefined<WealthBand>,
    /// What investing is for; null takes the answer back.
    investment_objective: MaybeUndefined<InvestmentObjective>,
    /// How much of it was done before; null takes the answer back.
    investment_experience: MaybeUndefined<InvestmentExperience>,
    /// Net worth that can be sold quickly; null takes the answer back.
    net_liquid_worth: MaybeUndefined<LiquidWealthBand>,
    /// Net worth in all; null takes the answer back.
    net_total_worth: MaybeUndefined<WealthBand>,
    /// Whether a director, officer or owner of a tenth of a public company; null takes the answer back.
    is_director: MaybeUndefined<bool>,
    /// Of which company; null takes the answer back.
    director_of: MaybeUndefined<String>,
    /// How much risk is taken; null takes the answer back.
    risk_tolerance: MaybeUndefined<RiskTolerance>,
}

/// Input of accountUpdate.
#[derive(InputObject)]
pub struct AccountUpdateInput {
    /// Made by the client; a retry repeats it.
    idempotency_key: Option<String>,
    /// Which account.
    account_id: ID,
    /// What is new.
    patch: AccountPatch,
}

impl AccountUpdateInput {
    pub fn parse(self) -> (Option<Key>, UpdateAccount) {
        let key = self.idempotency_key.as_deref().map(Key::given);
        let patch = self.patch;
        let update = UpdateAccount {
            account_id: ids::parse(Kind::Account, &self.account_id),
            ownership: patch.ownership.map(AccountOwnership::text),
            joint_member: patch.joint_member.map(JointMember::from),
            kind: patch.kind.map(AccountType::text),
            profile: ProfilePatch {
                marital_status: patch.marital_status.map(MaritalStatus::text),
                country_of_citizenship: patch.country_of_citizenship,
                employment_status: patch.employment_status.map(EmploymentStatus::text),
                employment_position: patch.employment_position,
                employer_name: patch.employer_name,
                annual_income: change(patch.annual_income.map_value(WealthBand::text)),
                investment_objective: change(patch.investment_objective.map_value(InvestmentObjective::text)),
                investment_experience: change(
                    patch.investment_experience.map_value(InvestmentExperience::text),
                ),
                net_liquid_worth: change(patch.net_liquid_worth.map_value(LiquidWealthBand::text)),
                net_total_worth: change(patch.net_total_worth.map_value(WealthBand::text)),
                is_director: change(patch.is_director),
                director_of: change(patch.director_of),
                risk_tolerance: change(patch.risk_tolerance.map_value(RiskTolerance::text)),
            },
        };
        (key, update)
    }
}

/// Input of accountFreeze.
#[derive(InputObject)]
pub struct AccountFreezeInput {
    /// Made by the client; a retry repeats it.
    idempotency_key: Option<String>,
    /// Which account.
    account_id: ID,
    /// Why, 1 to 500 characters; operators alone are told.
    reason: String,
}

impl AccountFreezeInput {
    pub fn parse(self) -> (Option<Key>, FreezeAccount) {
        let key = self.idempotency_key.as_deref().map(Key::given);
        (key, FreezeAccount { account_id: ids::parse(Kind::Account, &self.account_id), reason: self.reason })
    }
}

/// Input of accountUnfreeze.
#[derive(InputObject)]
pub struct AccountUnfreezeInput {
    /// Made by the client; a retry repeats it.
    idempotency_key: Option<String>,
    /// Which account.
    account_id: ID,
}

impl AccountUnfreezeInput {
    pub fn parse(self) -> (Option<Key>, UnfreezeAccount) {
        let key = self.idempotency_key.as_deref().map(Key::given);
        (key, UnfreezeAccount { account_id: ids::parse(Kind::Account, &self.account_id) })
    }
}

/// Input of accountClose.
#[derive(InputObject)]
pub struct AccountCloseInput {
    /// Made by the client; a retry repeats it.
    idempotency_key: Option<String>,
    /// Which account.
    account_id: ID,
    /// Why, 1 to 500 characters; operators alone are told.
    reason: String,
}

impl AccountCloseInput {
    pub fn parse(self) -> (Option<Key>, CloseAccount) {
        let key = self.idempotency_key.as_deref().map(Key::given);
        (key, CloseAccount { account_id: ids::parse(Kind::Account, &self.account_id), reason: self.reason })
    }
}
