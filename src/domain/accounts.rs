//! Brokerage accounts: opening them, and finding one that may be used.

use super::{
    Actor, Code, Refusal, Result, Scope,
    actor::Whose,
    applicants,
    command::{self, Answer, Command, Desk},
    events::{self, Happening},
    idempotency::Key,
    ledger,
    people::{self, Country},
    secrets, users,
};
use crate::app::App;
use entity::{
    Kind,
    account::{self, AccountKind, Ownership, Status},
    event,
    ledger_account::LedgerKind,
    partner::Mode,
    user,
};
use sea_orm::{
    ActiveModelTrait, ColumnTrait, Condition, ConnectionTrait, EntityTrait, QueryFilter, QuerySelect, QueryTrait, sea_query::all,
};
use serde::Serialize;
use serde_json::json;
use std::collections::HashMap;
use uuid::Uuid;

pub mod options;

/// What an account is opened with; nothing in it has been checked. Option texts are taken in any case and spacing.
#[derive(Clone, Debug, Serialize)]
pub struct NewAccount {
    pub user_id: Uuid,
    pub ownership: String,
    pub kind: String,
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

/// Opens an account for an approved person; scope `manage`.
///
/// An investment account needs every answer about investing, a cash account none (documented: optional for `cash`).
/// Joint accounts are refused.
pub async fn open(app: &App, actor: &Actor, key: Option<Key>, new: NewAccount) -> Result<Answer<account::Model>> {
    command::execute(app, actor, key, new).await
}

impl NewAccount {
    fn kind_asked(&self) -> Result<AccountKind> {
        match options::folded(&self.kind).as_str() {
            "cash" => Ok(AccountKind::Cash),
            "investment" => Ok(AccountKind::Investment),
            _ => Err(Refusal::invalid("type", "must be cash or investment").into()),
        }
    }

    fn check_investor(&self, required: bool) -> Result<()> {
        let answers: [(&str, &Option<String>, &[&str]); 6] = [
            ("annualIncome", &self.annual_income, options::INCOME),
            ("investmentObjective", &self.investment_objective, options::OBJECTIVE),
            ("investmentExperience", &self.investment_experience, options::EXPERIENCE),
            ("netLiquidWorth", &self.net_liquid_worth, options::LIQUID_WORTH),
            ("netTotalWorth", &self.net_total_worth, options::INCOME),
            ("riskTolerance", &self.risk_tolerance, options::RISK),
        ];
        for (field, answer, allowed) in answers {
            match answer {
                Some(answer) => options::check(field, answer, allowed)?,
                None if required => return Err(Refusal::required(field).into()),
                None => {}
            }
        }
        match (self.is_director, &self.director_of) {
            (None, _) if required => Err(Refusal::required("isDirector").into()),
            (Some(true), None) => Err(Refusal::required("directorOf").into()),
            (_, Some(text)) => people::check_words("directorOf", text),
            _ => Ok(()),
        }
    }
}

impl Command for NewAccount {
    const NAME: &'static str = "account.open";
    const SCOPE: Scope = Scope::Manage;
    const FOR_ONESELF: bool = true;
    type Done = account::Model;

    fn check(&self, _: Mode) -> Result<()> {
        match options::folded(&self.ownership).as_str() {
            "individual" | "single" => {}
            "joint" => return Err(Refusal::invalid("ownership", "must be individual: joint accounts cannot be opened yet").into()),
            _ => return Err(Refusal::invalid("ownership", "must be individual").into()),
        }
        let kind = self.kind_asked()?;
        options::check("maritalStatus", &self.marital_status, options::MARITAL_STATUS)?;
        applicants::valid("countryOfCitizenship", Country::from_alpha3(&self.country_of_citizenship))?;
        options::check("employmentStatus", &self.employment_status, options::EMPLOYMENT)?;
        people::check_words("employmentPosition", &self.employment_position)?;
        people::check_words("employerName", &self.employer_name)?;
        self.check_investor(kind == AccountKind::Investment)
    }

    async fn carry_out(&self, desk: &Desk<'_>) -> Result<account::Model> {
        let user = users::approved(desk.tx, desk.whose, self.user_id, "userId").await?;
        let account = account::Model {
            id: desk.app.ids.next(Kind::Account),
            partner_id: desk.partner.id,
            user_id: user.id,
            number: free_number(desk.tx).await?,
            ownership: Ownership::Individual,
            kind: self.kind_asked()?,
            status: Status::Active,
            marital_status: self.marital_status.clone(),
            country_of_citizenship: self.country_of_citizenship.clone(),
            employment_status: self.employment_status.clone(),
            employment_position: self.employment_position.clone(),
            employer_name: self.employer_name.clone(),
            annual_income: self.annual_income.clone(),
            investment_objective: self.investment_objective.clone(),
            investment_experience: self.investment_experience.clone(),
            net_liquid_worth: self.net_liquid_worth.clone(),
            net_total_worth: self.net_total_worth.clone(),
            is_director: self.is_director,
            director_of: self.director_of.clone(),
            risk_tolerance: self.risk_tolerance.clone(),
            opened_at: desk.now,
            joint_member_id: None,
            status_reason: None,
        };
        account::ActiveModel::from(account.clone()).reset_all().insert(desk.tx).await?;
        for kind in [LedgerKind::Cash, LedgerKind::Unsettled, LedgerKind::PendingDeposit] {
            desk.customer_account(account.id, kind, ledger::USD).await?;
        }
        let facts = json!({ "id": account.id, "user_id": user.id, "status": account.status, "account_type": account.kind });
        desk.fact().record_first(desk.tx, Happening::AccountCreated, account.id, facts).await?;
        Ok(account)
    }

    fn object(done: &account::Model) -> Uuid {
        done.id
    }
}

/// Four letters and five digits that no account has.
async fn free_number(connection: &impl ConnectionTrait) -> Result<String> {
    loop {
        let bytes = secrets::random::<9>()?;
        let number: String =
            bytes.iter().enumerate().map(|(place, byte)| char::from(if place < 4 { b'A' + byte % 26 } else { b'0' + byte % 10 })).collect();
        let taken = account::Entity::find().filter(account::Column::Number.eq(number.as_str())).one(connection).await?;
        if taken.is_none() {
            return Ok(number);
        }
    }
}

/// The account with this id among the partner's; scope `read`.
pub async fn find(connection: &impl ConnectionTrait, actor: &Actor, id: Uuid) -> Result<Option<account::Model>> {
    within(connection, actor.whose(Scope::Read)?, id).await
}

/// The account with this id within reach.
pub async fn within(connection: &impl ConnectionTrait, whose: Whose, id: Uuid) -> Result<Option<account::Model>> {
    Ok(account::Entity::find_by_id(id).filter(of(whose)).one(connection).await?)
}

/// Which accounts are within reach.
fn of(whose: Whose) -> Condition {
    let mut condition = all![account::Column::PartnerId.eq(whose.partner_id)];
    if let Some(only) = whose.user_id {
        condition = condition.add(account::Column::UserId.eq(only));
    }
    condition
}

/// Keeps the rows whose account is within reach, in a table of one partner's rows.
pub fn on_accounts_of(whose: Whose, account_id: impl ColumnTrait) -> Condition {
    match whose.user_id {
        None => Condition::all(),
        Some(_) => {
            all![account_id.in_subquery(account::Entity::find().select_only().column(account::Column::Id).filter(of(whose)).into_query())]
        }
    }
}

/// Whether an event is about this person or her affairs.
///
/// `known` remembers whose accounts are, so that following a log costs one look-up an account.
pub async fn concerns(connection: &impl ConnectionTrait, whose: Whose, event: &event::Model, known: &mut Known) -> Result<bool> {
    let Some(only) = whose.user_id else { return Ok(true) };
    let (user, account) = events::about(event);
    let account = match (user, account) {
        (Some(user), _) => return Ok(user == only),
        (None, None) => return Ok(event.stream_id == only),
        (None, Some(account)) => account,
    };
    if let Some(own) = known.get(&account) {
        return Ok(*own);
    }
    if known.len() >= MOST_KNOWN {
        known.clear();
    }
    let own = within(connection, whose, account).await?.is_some();
    known.insert(account, own);
    Ok(own)
}

/// Whose accounts are, as far as a listener knows.
pub type Known = HashMap<Uuid, bool>;

/// Of how many accounts one listener remembers whose they are.
const MOST_KNOWN: usize = 10_000;

/// The account named by `accountId`, with its owner, if it may be funded and may trade; refused otherwise.
pub async fn usable(connection: &impl ConnectionTrait, whose: Whose, id: Uuid) -> Result<(account::Model, user::Model)> {
    let account = within(connection, whose, id).await?.ok_or_else(|| Refusal::not_found("accountId"))?;
    let user = users::approved(connection, Whose::all_of(whose.partner_id), account.user_id, "accountId").await?;
    if account.status != Status::Active {
        return Err(Refusal::new(Code::AccountNotActive, "accountId", "The account is not active.").into());
    }
    Ok((account, user))
}

/// The caller's only active account, for callers who name none (documented: orders name no account); refused as missing
/// when there is none or more than one.
pub async fn only_one(connection: &impl ConnectionTrait, whose: Whose) -> Result<Uuid> {
    let found =
        account::Entity::find().filter(of(whose)).filter(account::Column::Status.eq(Status::Active)).limit(2).all(connection).await?;
    match found.as_slice() {
        [only] => Ok(only.id),
        _ => Err(Refusal::required("accountId").into()),
    }
}
