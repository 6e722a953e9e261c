//! Inputs of the account mutations.

use super::{
    AccountOwnership, AccountType,
    options::{
        EmploymentStatus, InvestmentExperience, InvestmentObjective, LiquidWealthBand, MaritalStatus,
        RiskTolerance, WealthBand,
    },
};
use crate::graphql::{
    core::{mutations::Input, scalars::Date},
    people::users::inputs::{AddressInput, change},
};
use async_graphql::{ID, InputObject, MaybeUndefined, OneofObject};
use domain::{
    accounts::{
        CloseAccount, FreezeAccount, JointMember, OpenAccount, Profile, ProfilePatch, UnfreezeAccount,
        UpdateAccount,
    },
    kernel::ids,
    people::{
        applicants::NewUser,
        user_changes::{AddressChange, Change, PersonPatch},
    },
};
use entity::Kind;

/// Personal data of a new user.
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
    /// Social security number. Write-only.
    ssn: Option<String>,
    /// Date of birth. Write-only.
    birth_date: Option<Date>,
    /// Home address.
    address: Option<AddressInput>,
}

/// Second owner of a joint account: an existing or a new user.
#[derive(OneofObject)]
pub enum JointMemberInput {
    /// Id of an existing user of the partner. Not available to signed-in users.
    UserId(ID),
    /// New user. The identity check starts immediately.
    Person(Box<PersonInput>),
}

impl From<JointMemberInput> for JointMember {
    fn from(member: JointMemberInput) -> Self {
        match member {
            JointMemberInput::UserId(id) => Self::Known(ids::parse(Kind::User, &id)),
            JointMemberInput::Person(person) => Self::New(Box::new(NewUser(PersonPatch {
                first_name: Some(person.first_name),
                last_name: Some(person.last_name),
                email: Some(person.email),
                phone: Change::set_if(person.phone),
                ssn: person.ssn,
                birth_date: person.birth_date.map(|Date(day)| day),
                address: person.address.map(AddressChange::from).unwrap_or_default(),
                ..PersonPatch::default()
            }))),
        }
    }
}

/// Input for accountOpen.
#[derive(InputObject)]
pub struct AccountOpenInput {
    /// Key chosen by the client. A retry with the same key and input returns the original result.
    idempotency_key: Option<String>,
    /// Id of the primary owner. The identity of this user must be approved.
    user_id: ID,
    /// Individual or joint ownership.
    #[graphql(default_with = "AccountOwnership::Individual")]
    ownership: AccountOwnership,
    /// Second owner of a `JOINT` account. Deposits and orders are refused until this owner is named and
    /// approved.
    joint_member: Option<JointMemberInput>,
    /// Account type.
    #[graphql(name = "type")]
    kind: AccountType,
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
    /// Annual income. Required for type `INVESTMENT`.
    annual_income: Option<WealthBand>,
    /// Investment objective. Required for type `INVESTMENT`.
    investment_objective: Option<InvestmentObjective>,
    /// Investment experience. Required for type `INVESTMENT`.
    investment_experience: Option<InvestmentExperience>,
    /// Liquid net worth. Required for type `INVESTMENT`.
    net_liquid_worth: Option<LiquidWealthBand>,
    /// Total net worth. Required for type `INVESTMENT`.
    net_total_worth: Option<WealthBand>,
    /// Whether the owner is a director, officer or 10% shareholder of a public company. Required for type
    /// `INVESTMENT`.
    is_director: Option<bool>,
    /// Name of that public company. Required if `isDirector` is true.
    director_of: Option<String>,
    /// Risk tolerance. Required for type `INVESTMENT`.
    risk_tolerance: Option<RiskTolerance>,
}

impl Input for AccountOpenInput {
    type Command = OpenAccount;

    fn key(&self) -> Option<&str> {
        self.idempotency_key.as_deref()
    }

    fn parse(self) -> domain::Result<OpenAccount> {
        Ok(OpenAccount {
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
        })
    }
}

/// Changes to an account. Omitted fields stay unchanged.
#[derive(InputObject)]
pub struct AccountPatch {
    /// `JOINT` converts an individual account to a joint one; the reverse is not possible.
    ownership: Option<AccountOwnership>,
    /// Second owner. Makes the account joint; an existing second owner cannot be replaced.
    joint_member: Option<JointMemberInput>,
    /// Account type. `INVESTMENT` requires all answers about investing, in this patch or stored before.
    #[graphql(name = "type")]
    kind: Option<AccountType>,
    /// Marital status.
    marital_status: Option<MaritalStatus>,
    /// Country of citizenship as a three-letter ISO 3166-1 code, for example `USA`.
    country_of_citizenship: Option<String>,
    /// Employment status.
    employment_status: Option<EmploymentStatus>,
    /// Job title or occupation.
    employment_position: Option<String>,
    /// Name of the employer.
    employer_name: Option<String>,
    /// Annual income. Null removes the answer.
    annual_income: MaybeUndefined<WealthBand>,
    /// Investment objective. Null removes the answer.
    investment_objective: MaybeUndefined<InvestmentObjective>,
    /// Investment experience. Null removes the answer.
    investment_experience: MaybeUndefined<InvestmentExperience>,
    /// Liquid net worth. Null removes the answer.
    net_liquid_worth: MaybeUndefined<LiquidWealthBand>,
    /// Total net worth. Null removes the answer.
    net_total_worth: MaybeUndefined<WealthBand>,
    /// Whether the owner is a director, officer or 10% shareholder of a public company. Null removes the
    /// answer.
    is_director: MaybeUndefined<bool>,
    /// Name of that public company. Null removes the answer.
    director_of: MaybeUndefined<String>,
    /// Risk tolerance. Null removes the answer.
    risk_tolerance: MaybeUndefined<RiskTolerance>,
}

/// Input for accountUpdate.
#[derive(InputObject)]
pub struct AccountUpdateInput {
    /// Key chosen by the client. A retry with the same key and input returns the original result.
    idempotency_key: Option<String>,
    /// Id of the account.
    account_id: ID,
    /// Changes to make.
    patch: AccountPatch,
}

impl Input for AccountUpdateInput {
    type Command = UpdateAccount;

    fn key(&self) -> Option<&str> {
        self.idempotency_key.as_deref()
    }

    fn parse(self) -> domain::Result<UpdateAccount> {
        let patch = self.patch;
        Ok(UpdateAccount {
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
        })
    }
}

/// Input for accountFreeze.
#[derive(InputObject)]
pub struct AccountFreezeInput {
    /// Key chosen by the client. A retry with the same key and input returns the original result.
    idempotency_key: Option<String>,
    /// Id of the account.
    account_id: ID,
    /// Reason, 1 to 500 characters. Only visible with scope `operate`.
    reason: String,
}

impl Input for AccountFreezeInput {
    type Command = FreezeAccount;

    fn key(&self) -> Option<&str> {
        self.idempotency_key.as_deref()
    }

    fn parse(self) -> domain::Result<FreezeAccount> {
        Ok(FreezeAccount { account_id: ids::parse(Kind::Account, &self.account_id), reason: self.reason })
    }
}

/// Input for accountUnfreeze.
#[derive(InputObject)]
pub struct AccountUnfreezeInput {
    /// Key chosen by the client. A retry with the same key and input returns the original result.
    idempotency_key: Option<String>,
    /// Id of the account.
    account_id: ID,
}

impl Input for AccountUnfreezeInput {
    type Command = UnfreezeAccount;

    fn key(&self) -> Option<&str> {
        self.idempotency_key.as_deref()
    }

    fn parse(self) -> domain::Result<UnfreezeAccount> {
        Ok(UnfreezeAccount { account_id: ids::parse(Kind::Account, &self.account_id) })
    }
}

/// Input for accountClose.
#[derive(InputObject)]
pub struct AccountCloseInput {
    /// Key chosen by the client. A retry with the same key and input returns the original result.
    idempotency_key: Option<String>,
    /// Id of the account.
    account_id: ID,
    /// Reason, 1 to 500 characters. Only visible with scope `operate`.
    reason: String,
}

impl Input for AccountCloseInput {
    type Command = CloseAccount;

    fn key(&self) -> Option<&str> {
        self.idempotency_key.as_deref()
    }

    fn parse(self) -> domain::Result<CloseAccount> {
        Ok(CloseAccount { account_id: ids::parse(Kind::Account, &self.account_id), reason: self.reason })
    }
}
