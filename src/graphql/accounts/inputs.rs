//! Inputs and mutations of accounts.

use super::{
    Account, AccountOwnership, AccountType, DividendOption, TaxTreatment,
    options::{
        EmploymentStatus, InvestmentExperience, InvestmentObjective, LiquidWealthBand, MaritalStatus,
        RiskTolerance, WealthBand,
    },
};
use crate::graphql::{
    core::{ids::IdOf, scalars::Date},
    people::users::{
        User,
        inputs::{AddressInput, change},
    },
    trading::lots::LotMethod,
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
use macros::mutations;

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
    /// Order in which sales close tax lots. `SPECIFIC` is only for orders.
    lot_method: Option<LotMethod>,
    /// What happens to dividends from then on.
    dividend_option: Option<DividendOption>,
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

#[mutations]
impl AccountMutation {
    /// Opens an individual or joint account for an approved user. Requires scope `manage`.
    #[answers(account: Account)]
    fn account_open(
        /// Id of the primary owner. The identity of this user must be approved.
        user_id: IdOf<User>,
        /// Individual or joint ownership.
        #[graphql(default_with = "AccountOwnership::Individual")]
        ownership: AccountOwnership,
        /// Second owner of a `JOINT` account. Deposits and orders are refused until this owner is named and
        /// approved.
        joint_member: Option<JointMemberInput>,
        /// Account type.
        #[graphql(name = "type")]
        kind: AccountType,
        /// How the gains of the account are taxed. A retirement account has one owner.
        #[graphql(default_with = "TaxTreatment::Taxable")]
        tax_treatment: TaxTreatment,
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
    ) -> OpenAccount {
        OpenAccount {
            user_id: user_id.into(),
            ownership: ownership.text(),
            joint_member: joint_member.map(JointMember::from),
            kind: kind.text(),
            tax_treatment: tax_treatment.into(),
            profile: Profile {
                marital_status: marital_status.text(),
                country_of_citizenship,
                employment_status: employment_status.text(),
                employment_position,
                employer_name,
                annual_income: annual_income.map(WealthBand::text),
                investment_objective: investment_objective.map(InvestmentObjective::text),
                investment_experience: investment_experience.map(InvestmentExperience::text),
                net_liquid_worth: net_liquid_worth.map(LiquidWealthBand::text),
                net_total_worth: net_total_worth.map(WealthBand::text),
                is_director,
                director_of,
                risk_tolerance: risk_tolerance.map(RiskTolerance::text),
            },
        }
    }

    /// Changes the financial profile, type, ownership or lot method of an active account. Requires scope
    /// `manage`.
    #[answers(account: Account)]
    fn account_update(
        account_id: IdOf<Account>,
        /// Changes to make.
        patch: AccountPatch,
    ) -> UpdateAccount {
        UpdateAccount {
            account_id: account_id.into(),
            ownership: patch.ownership.map(AccountOwnership::text),
            joint_member: patch.joint_member.map(JointMember::from),
            kind: patch.kind.map(AccountType::text),
            lot_method: patch.lot_method.map(Into::into),
            dividend_option: patch.dividend_option.map(Into::into),
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
        }
    }

    /// Freezes an active account: deposits, withdrawals and new orders are refused, and withdrawals that were not sent
    /// to the bank fail when they are next due. Open orders can be canceled; trades, deposits and withdrawals that were
    /// sent settle. Requires scope `operate`.
    #[answers(account: Account)]
    fn account_freeze(
        account_id: IdOf<Account>,
        /// Reason, 1 to 500 characters. Only visible with scope `operate`.
        reason: String,
    ) -> FreezeAccount;

    /// Makes a frozen account active again. Requires scope `operate`.
    #[answers(account: Account)]
    fn account_unfreeze(account_id: IdOf<Account>) -> UnfreezeAccount;

    /// Permanently closes an account without cash, shares, open orders or pending transfers. Requires scope
    /// `operate`.
    #[answers(account: Account)]
    fn account_close(
        account_id: IdOf<Account>,
        /// Reason, 1 to 500 characters. Only visible with scope `operate`.
        reason: String,
    ) -> CloseAccount;
}
