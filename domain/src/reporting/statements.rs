//! Statements of accounts: worked out once, each month and on request, and stored encrypted. Their files are made from
//! what is stored.

pub mod content;
mod csv;
mod deriving;
mod files;
mod links;
mod pdf;
mod period;
mod prices;
mod sources;

pub use files::{File, Format, Renderings, file, render};
pub use links::{link_to, verify};
pub use period::Period;

use crate::{
    Actor, Checks, Error, Refusal, Result, Scope, Visible, accounts,
    kernel::{
        app::App,
        calendar, clock,
        command::{Command, CommandContext},
        db::WriteTransaction,
        events::Event,
        lists::{Filter, SortedPage},
        pages::Slice,
        rows,
        scheduler::Due,
        secrets::AssociatedData,
        visible::Owner,
    },
};
use chrono::{DateTime, Days, NaiveDate, TimeDelta, Utc};
use content::Content;
use deriving::Books;
use entity::{
    Kind,
    account::{self, Status},
    partner::Mode,
    statement::{self, Column},
    timer::TimerKind,
};
use sea_orm::{ColumnTrait, ConnectionTrait, EntityTrait, QueryFilter};
use serde::Serialize;
use uuid::Uuid;

const CONTENT: &str = "statement.content";

/// Statements are visible to those who see their account.
impl Visible for statement::Entity {
    const ID: Column = Column::Id;
    const OWNER: Owner<Column> = Owner::of::<account::Entity>(Column::PartnerId, Column::AccountId);
}

/// Returns the statement with this id if the caller may see it. Requires scope `read`.
pub async fn find(
    connection: &impl ConnectionTrait,
    actor: &Actor,
    id: Uuid,
) -> Result<Option<statement::Model>> {
    Ok(statement::Entity::by_id_within(statement::Entity::access(actor)?, id).one(connection).await?)
}

/// Returns a page of the statements that the caller may see and that match all filters. Requires scope `read`.
pub async fn list(
    connection: &impl ConnectionTrait,
    actor: &Actor,
    page: &SortedPage<Column>,
    filters: &[Filter],
) -> Result<Slice<statement::Model>> {
    rows::page::<statement::Entity>(connection, statement::Entity::access(actor)?, page, filters).await
}

/// Returns the conditions for statements whose periods end on these days or between them.
pub fn ending(from: NaiveDate, to: NaiveDate) -> [Filter; 2] {
    let after = to.checked_add_days(Days::new(1)).unwrap_or(NaiveDate::MAX);
    [Filter::from_day(Column::EndOn, from), Filter::before_day(Column::EndOn, after)]
}

/// Returns the default times between which the periods of listed statements end (documented): from 90 days ago to the
/// end of the month, whole seconds.
pub fn default_range(now: DateTime<Utc>) -> (DateTime<Utc>, DateTime<Utc>) {
    let today = calendar::new_york_date(now);
    let start = today.checked_sub_days(Days::new(90)).unwrap_or_default();
    let next = calendar::month_of(today).checked_add_months(chrono::Months::new(1)).unwrap_or(NaiveDate::MAX);
    let midnight = |day: NaiveDate| day.and_time(chrono::NaiveTime::MIN).and_utc();
    (midnight(start), midnight(next) - TimeDelta::seconds(1))
}

/// Reads what a statement tells.
pub fn stored(app: &App, statement: &statement::Model) -> Result<Content> {
    serde_json::from_slice(&json(app, statement)?)
        .map_err(|_| Error::broken(format!("statement {} cannot be read", statement.id)))
}

/// Returns a statement as JSON, as it was written.
fn json(app: &App, statement: &statement::Model) -> Result<Vec<u8>> {
    Ok(app.vault.open(place(statement.id, statement.partner_id), &statement.content)?.reveal().clone())
}

const fn place(id: Uuid, partner: Uuid) -> AssociatedData {
    AssociatedData { column: CONTENT, row: id, partner }
}

/// Longest period of a statement, in days.
const MAX_DAYS: i64 = 366;

/// Time after midnight at which the books of a day are complete: what began before has been committed.
const BOOKS_CLOSE_AFTER: TimeDelta = TimeDelta::hours(1);

/// Creates a statement for any past period.
#[derive(Clone, Debug, Serialize)]
pub struct CreateStatement {
    pub account_id: Uuid,
    /// First day, in New York.
    pub period_start: NaiveDate,
    /// Last day, in New York.
    pub period_end: NaiveDate,
}

/// Creates a statement of an account for a period of at most 366 days that has ended, which is the case from 01:00 in
/// New York on the next day. Requires scope `manage`.
///
/// What is recorded in the period belongs to it, by the ledger. A statement is worked out once: if there is one for the
/// same period, it is returned.
///
/// # Errors
/// `NOT_FOUND`; `INVALID` for a period that ends before it starts, has not ended, ended before the account was opened,
/// or is too long.
impl Command for CreateStatement {
    const NAME: &'static str = "statement.create";
    const SCOPE: Scope = Scope::Manage;
    const FOR_ONESELF: bool = true;
    type Output = statement::Model;

    fn check(&self, _: Mode) -> Result<()> {
        let mut checks = Checks::default();
        if self.period_start > self.period_end {
            let text = "must not be after the last day of the period";
            checks.note::<()>(Err(Refusal::invalid("periodStart", text).into()));
        } else if (self.period_end - self.period_start).num_days() >= MAX_DAYS {
            let text = format!("must be the first of at most {MAX_DAYS} days");
            checks.note::<()>(Err(Refusal::invalid("periodStart", text).into()));
        }
        checks.done()
    }

    async fn execute(&self, ctx: &CommandContext<'_>) -> Result<statement::Model> {
        // Timers, which write statements too, hold the same lock.
        clock::locked(ctx.tx, ctx.partner.id).await?;
        let account = accounts::within(ctx.tx, ctx.access_scope, self.account_id).await?;
        let account = account.ok_or_else(|| Refusal::not_found("accountId"))?;
        if self.period_end >= calendar::new_york_date(ctx.now - BOOKS_CLOSE_AFTER) {
            let text = "must be a day that has ended, by 01:00 in New York on the next day";
            return Err(Refusal::invalid("periodEnd", text).into());
        }
        if self.period_end < calendar::new_york_date(account.opened_at) {
            let text = "must not be before the account was opened";
            return Err(Refusal::invalid("periodEnd", text).into());
        }
        let period = Period { start_on: self.period_start, end_on: self.period_end };
        match existing(ctx, account.id, &period).await? {
            Some(statement) => Ok(statement),
            None => issue(ctx, &account, &period, &Books::read(ctx, account.id, &period).await?).await,
        }
    }
}

async fn existing(
    ctx: &CommandContext<'_>,
    account_id: Uuid,
    period: &Period,
) -> Result<Option<statement::Model>> {
    Ok(statement::Entity::find()
        .filter(Column::AccountId.eq(account_id))
        .filter(Column::StartOn.eq(period.start_on))
        .filter(Column::EndOn.eq(period.end_on))
        .one(ctx.tx)
        .await?)
}

/// Works out a statement and stores it.
async fn issue(
    ctx: &CommandContext<'_>,
    account: &account::Model,
    period: &Period,
    books: &Books,
) -> Result<statement::Model> {
    let id = ctx.app.ids.next(Kind::Statement);
    let content = deriving::content(ctx, id, account, period, books).await?;
    let text = serde_json::to_vec(&content).map_err(|_| Error::broken("a statement cannot be serialized"))?;
    let statement = statement::Model {
        id,
        partner_id: ctx.partner.id,
        account_id: account.id,
        start_on: period.start_on,
        end_on: period.end_on,
        opening_balance: content.summary.opening_value,
        closing_balance: content.summary.closing_value,
        content: ctx.app.vault.seal(place(id, ctx.partner.id), &text)?,
        created_at: ctx.now,
    };
    ctx.tx.insert(&statement).await;
    ctx.record(Event::StatementReady((&statement).into())).await?;
    Ok(statement)
}

/// Writes the statement of an account for the month before, and schedules the next one. An account that had nothing and
/// in which nothing happened gets none; a closed one gets no further ones then.
pub struct IssueStatement;

impl Due for IssueStatement {
    const KIND: TimerKind = TimerKind::StatementIssue;

    async fn prefetch(tx: &WriteTransaction, account_ids: &[Uuid]) -> Result<()> {
        tx.prefetch::<account::Entity>(account_ids).await
    }

    async fn run(ctx: &CommandContext<'_>, account_id: Uuid) -> Result<()> {
        let account = ctx.tx.row::<account::Entity>(account_id).await?;
        let account = account.ok_or_else(|| Error::broken("a statement has no account"))?;
        let period = Period::month_before(ctx.today());
        let books = Books::read(ctx, account_id, &period).await?;
        let is_empty = books.are_empty();
        if !is_empty && existing(ctx, account_id, &period).await?.is_none() {
            issue(ctx, &account, &period, &books).await?;
        }
        if !is_empty || account.status != Status::Closed {
            ctx.schedule::<Self>(account_id, calendar::month_closes_at(ctx.today())).await;
        }
        Ok(())
    }
}
