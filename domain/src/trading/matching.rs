//! Matching: compares the resting orders of the paper venue with new prices of their instrument.
//!
//! Each partner has one book per instrument, in memory of the server that runs the partner's timers. Whoever
//! changes a book holds the lock on the partner and gives the book a new version in the same transaction, so a
//! server knows whether its copy is current; otherwise it reads the open orders again.
//!
//! A price that was set or a bar that was pushed is due at once, for the orders of its instrument. While prices
//! follow from the clock, one timer per book waits for the next minute whose prices concern an order.

mod book;
mod memory;

use self::{
    book::{Book, Resting},
    memory::{Books, Known},
};
use super::{
    bars::{self, Bar, Bars},
    basis::Split,
    executions::{Applied, Explanation, Report, Working},
    fill_rules, instruments, market,
    market::{Change, Priced, Quote, Source},
    orders::state::Terms,
    venue::{self, Paper, Venue},
};
use crate::{
    Error, Result,
    kernel::{command::CommandContext, scheduler::Due},
};
use chrono::{DateTime, DurationRound, TimeDelta, Utc};
use entity::{
    instrument,
    order::{self, Status},
    order_book,
    timer::TimerKind,
};
use sea_orm::{
    ActiveModelTrait, ColumnTrait, EntityTrait, IntoActiveModel, QueryFilter, QueryOrder, QuerySelect,
    sea_query::{Expr, LockType},
};
use uuid::Uuid;

/// Maximum number of orders that one transaction fills; the others follow in the next one.
const MAX_ORDERS: usize = 25;

/// A book that is being changed. The lock on the partner must be held.
#[derive(Debug)]
pub struct OpenBook<'a> {
    instrument: &'a instrument::Model,
    row: order_book::Model,
    is_new: bool,
    book: Book,
    /// When the orders were read.
    read_at: DateTime<Utc>,
    /// How the orders are filled, once that is known.
    prices: Option<Prices>,
}

/// By what orders are filled.
#[derive(Clone, Copy, Debug)]
enum Prices {
    Closed,
    /// This quote. Orders from before the last split wait until they are adjusted to it.
    Quote {
        quote: Quote,
        split_at: Option<DateTime<Utc>>,
    },
    /// Bars that begin before this time.
    Bars {
        before: DateTime<Utc>,
    },
}

impl<'a> OpenBook<'a> {
    /// Reads the state of a book, and its orders unless they are in memory.
    async fn load(ctx: &CommandContext<'_>, instrument: &'a instrument::Model) -> Result<Option<Self>> {
        let Some(row) = find(ctx, instrument.id).await? else { return Ok(None) };
        let key = (ctx.partner.id, instrument.id);
        let (book, read_at) = match ctx.app.feature::<Books>().take(key, row.version, ctx.now) {
            Some(known) => (known.book, known.read_at),
            None => (rebuilt(ctx, instrument.id).await?, ctx.now),
        };
        Ok(Some(Self { instrument, row, is_new: false, book, read_at, prices: None }))
    }

    async fn load_or_create(ctx: &CommandContext<'_>, instrument: &'a instrument::Model) -> Result<Self> {
        if let Some(found) = Self::load(ctx, instrument).await? {
            return Ok(found);
        }
        let row = order_book::Model {
            partner_id: ctx.partner.id,
            instrument_id: instrument.id,
            version: Uuid::nil(),
            matched_until: ctx.now,
            pushed_until: None,
        };
        Ok(Self { instrument, row, is_new: true, book: Book::default(), read_at: ctx.now, prices: None })
    }

    /// Stores the state with a new version and keeps the book in memory. If the transaction is rolled back, the
    /// version in memory matches none.
    async fn store(mut self, ctx: &CommandContext<'_>) -> Result<()> {
        self.row.version = new_version()?;
        let row = self.row.clone().into_active_model().reset_all();
        if self.is_new {
            order_book::Entity::insert(row).exec_without_returning(ctx.tx).await?;
        } else {
            order_book::Entity::update_many()
                .set(row)
                .filter(order_book::Column::PartnerId.eq(ctx.partner.id))
                .filter(order_book::Column::InstrumentId.eq(self.instrument.id))
                .exec(ctx.tx)
                .await?;
        }
        let key = (ctx.partner.id, self.instrument.id);
        let known = Known { version: self.row.version, read_at: self.read_at, book: self.book };
        ctx.app.feature::<Books>().put(key, known);
        Ok(())
    }

    /// Returns whether the book has the order as it is: it may have been replaced or filled meanwhile.
    fn knows(&self, working: &Working) -> bool {
        self.book.get(working.order.id).is_some_and(|resting| {
            resting.terms == Terms::from(&working.order)
                && resting.open == working.open()
                && resting.next_number == working.next_number()
        })
    }

    /// Adds, changes or removes an order.
    fn update(&mut self, working: &Working) {
        let order = &working.order;
        if !order.status.is_open() {
            self.book.remove(order.id);
            return;
        }
        let last_bar = self.book.get(order.id).and_then(|resting| resting.last_bar);
        if self.book.is_empty() {
            self.row.matched_until = Ord::max(self.row.matched_until, order.submitted_at);
        }
        self.book.insert(Resting {
            id: order.id,
            terms: order.into(),
            open: working.open(),
            next_number: working.next_number(),
            since: order.replaced_at.unwrap_or(order.submitted_at),
            last_bar,
        });
    }

    async fn prices(&mut self, ctx: &CommandContext<'_>) -> Result<Prices> {
        if let Some(prices) = self.prices {
            return Ok(prices);
        }
        let prices = match Paper::quote(ctx, self.instrument).await? {
            None => {
                let over = ctx.now.duration_trunc(bars::LENGTH).unwrap_or(ctx.now);
                Prices::Bars { before: self.row.pushed_until.map_or(over, |pushed| pushed.max(over)) }
            }
            Some(Priced { quote, splits, .. }) if market::is_open(ctx.partner.market_hours, ctx.now) => {
                Prices::Quote { quote, split_at: splits.last().map(|split| split.at) }
            }
            Some(_) => Prices::Closed,
        };
        self.prices = Some(prices);
        Ok(prices)
    }

    /// Returns reports about at most `most` orders: of the first bar that concerns some, or of the quote.
    pub(super) async fn next_reports(
        &mut self,
        ctx: &CommandContext<'_>,
        most: usize,
    ) -> Result<Vec<Report>> {
        match self.prices(ctx).await? {
            Prices::Closed => Ok(Vec::new()),
            Prices::Quote { quote, split_at } => Ok(self.by_quote(&quote, split_at, most)),
            Prices::Bars { before } => self.by_bars(ctx, before, most).await,
        }
    }

    fn by_quote(&self, quote: &Quote, split_at: Option<DateTime<Utc>>, most: usize) -> Vec<Report> {
        let mut found = Vec::new();
        let is_adjusted = |order: &&Resting| {
            matches!(order.open, fill_rules::Open::Amount(..)) || split_at.is_none_or(|at| order.since >= at)
        };
        let orders = self.book.touched(quote).into_iter().filter_map(|id| self.book.get(id));
        for order in orders.filter(is_adjusted).take(most) {
            let id = order.id;
            let decision = fill_rules::by_quote(&order.terms, order.open, quote);
            let explain = |rule| Explanation { rule, quote: Some(*quote), bar: None };
            let execution_id = || format!("{id}-{}", order.next_number);
            found.extend(venue::reports(id, &order.terms, decision, execution_id, explain));
        }
        found
    }

    async fn by_bars(
        &mut self,
        ctx: &CommandContext<'_>,
        before: DateTime<Utc>,
        most: usize,
    ) -> Result<Vec<Report>> {
        let participation = ctx.settings()?.participation_cap;
        while self.row.matched_until < before {
            let from = self.row.matched_until;
            let Some(bar) = self.first_bar(ctx, from, before).await? else {
                self.row.matched_until = before;
                break;
            };
            let mut found = Vec::new();
            let mut orders = 0;
            for id in self.book.touched(&bar) {
                let Some(order) = self.book.get(id) else { continue };
                if order.since > bar.starts_at || order.last_bar.is_some_and(|last| last >= bar.starts_at) {
                    continue;
                }
                if orders == most {
                    return Ok(found);
                }
                let decision = fill_rules::by_bar(&order.terms, order.open, &bar, participation);
                let explain = |rule| Explanation { rule, quote: None, bar: Some(bar) };
                let execution_id = || format!("{id}-{}", bar.starts_at.timestamp());
                let reports = venue::reports(id, &order.terms, decision, execution_id, explain);
                self.book.compared(id, bar.starts_at);
                orders += usize::from(!reports.is_empty());
                found.extend(reports);
            }
            if !found.is_empty() {
                return Ok(found);
            }
            self.row.matched_until = bar.starts_at + bars::LENGTH;
        }
        Ok(Vec::new())
    }

    /// Returns the first bar in this time that concerns an order.
    async fn first_bar(
        &self,
        ctx: &CommandContext<'_>,
        from: DateTime<Utc>,
        to: DateTime<Utc>,
    ) -> Result<Option<Bar>> {
        let CommandContext { app, tx: connection, partner, .. } = *ctx;
        let bars = Bars { app, connection, partner, instrument: self.instrument };
        let mut first = None;
        if self.book.awaits_any_bar() {
            first = bars.first(from..to).await?;
        }
        for touch in self.book.touches() {
            let until = first.map_or(to, |bar: Bar| bar.starts_at);
            if from < until {
                first = bars.first_touching(from..until, touch).await?.or(first);
            }
        }
        Ok(first)
    }

    /// Returns when the prices next concern an order, or have to be looked at again; `None` if only a change of
    /// the price can do that.
    async fn next_due(&mut self, ctx: &CommandContext<'_>) -> Result<Option<DateTime<Utc>>> {
        if self.book.is_empty() {
            return Ok(None);
        }
        let hours = market::hours(ctx.partner.market_hours, ctx.now);
        let end = hours.next_close_at.unwrap_or(ctx.now + TimeDelta::days(1));
        match Paper::quote(ctx, self.instrument).await? {
            None => {
                let from = self.row.matched_until;
                let bar = self.first_bar(ctx, from, end).await?;
                let over = bar.map(|bar| bar.starts_at + bars::LENGTH);
                Ok(Some(over.map_or(end, |over| over.max(ctx.now))))
            }
            Some(Priced { source: Source::Market, splits, .. }) => {
                Ok(Some(self.next_minute(ctx, &splits, end)?.unwrap_or(end)))
            }
            Some(Priced { quote, .. }) if !hours.is_open && self.book.is_touched(&quote) => {
                Ok(hours.next_open_at)
            }
            Some(_) => Ok(None),
        }
    }

    /// Returns the next whole minute whose quote of the market itself concerns an order.
    fn next_minute(
        &self,
        ctx: &CommandContext<'_>,
        splits: &[Split],
        end: DateTime<Utc>,
    ) -> Result<Option<DateTime<Utc>>> {
        let minute = ctx.now.duration_trunc(bars::LENGTH).unwrap_or(ctx.now) + bars::LENGTH;
        for session in market::sessions(ctx.partner.market_hours, minute, end) {
            let mut at = session.start;
            while at < session.end {
                let quote = market::own_quote(ctx.app, ctx.partner, self.instrument, splits, at)?;
                if self.book.is_touched(&quote) {
                    return Ok(Some(at));
                }
                at += bars::LENGTH;
            }
        }
        Ok(None)
    }
}

async fn find(ctx: &CommandContext<'_>, instrument_id: Uuid) -> Result<Option<order_book::Model>> {
    Ok(order_book::Entity::find_by_id((ctx.partner.id, instrument_id)).one(ctx.tx).await?)
}

/// Returns a version that no book has had.
fn new_version() -> Result<Uuid> {
    Ok(Uuid::from_bytes(crate::kernel::secrets::random()?))
}

/// Reads the resting orders for an instrument.
async fn rebuilt(ctx: &CommandContext<'_>, instrument_id: Uuid) -> Result<Book> {
    let rows = order::Entity::find()
        .filter(order::Column::PartnerId.eq(ctx.partner.id))
        .filter(order::Column::InstrumentId.eq(instrument_id))
        .filter(order::Column::Status.is_in([Status::New, Status::PartiallyFilled]))
        .all(ctx.tx)
        .await?;
    let mut book = Book::default();
    for row in rows {
        let open = match row.notional {
            None => fill_rules::Open::Shares(row.quantity.minus(row.filled_quantity).unwrap_or_default()),
            Some(_) => match Working::lock(ctx, row.id).await? {
                Some(working) => working.open(),
                None => continue,
            },
        };
        book.insert(Resting {
            id: row.id,
            terms: Terms::from(&row),
            open,
            next_number: row.fill_count + 1,
            since: row.replaced_at.unwrap_or(row.submitted_at),
            last_bar: None,
        });
    }
    Ok(book)
}

/// Applies the reports about one order, in order. Ends the order if it cannot be paid for.
pub(super) async fn apply_all(
    ctx: &CommandContext<'_>,
    working: &mut Working,
    reports: Vec<Report>,
) -> Result<()> {
    for report in reports {
        match working.apply(ctx, report.kind).await? {
            Applied::Unpayable(why) => working.refuse(ctx, why).await?,
            Applied::Yes | Applied::Duplicate | Applied::Ended => {}
        }
    }
    Ok(())
}

/// Adds an order that was not filled at once to its book.
pub(super) async fn rest(ctx: &CommandContext<'_>, working: &Working) -> Result<()> {
    let instrument = working.instrument.clone();
    let mut book = OpenBook::load_or_create(ctx, &instrument).await?;
    book.update(working);
    let due = book.next_due(ctx).await?;
    book.store(ctx).await?;
    reschedule(ctx, instrument.id, due).await
}

/// Takes over an order whose price or quantity was replaced, and lets it be compared with the price.
pub(super) async fn replaced(ctx: &CommandContext<'_>, working: &Working) -> Result<()> {
    let instrument = working.instrument.clone();
    let mut book = OpenBook::load_or_create(ctx, &instrument).await?;
    book.update(working);
    book.store(ctx).await?;
    reschedule(ctx, instrument.id, Some(ctx.now)).await
}

async fn reschedule(ctx: &CommandContext<'_>, instrument_id: Uuid, due: Option<DateTime<Utc>>) -> Result<()> {
    ctx.unschedule::<MatchOrders>(instrument_id).await?;
    if let Some(due) = due {
        ctx.schedule::<MatchOrders>(instrument_id, due).await;
    }
    Ok(())
}

/// Lets the orders for an instrument be compared with its new price, right after this transaction.
pub(super) async fn price_changed(
    ctx: &CommandContext<'_>,
    instrument: &instrument::Model,
    change: Change,
) -> Result<()> {
    let Some(row) = find(ctx, instrument.id).await? else { return Ok(()) };
    if let Change::Bar(bar) = change
        && bar.starts_at <= ctx.now
    {
        let over = bar.starts_at + bars::LENGTH;
        let pushed = row.pushed_until.map_or(over, |until| until.max(over));
        order_book::Entity::update_many()
            .col_expr(order_book::Column::PushedUntil, Expr::value(pushed))
            .col_expr(order_book::Column::MatchedUntil, Expr::value(row.matched_until.min(bar.starts_at)))
            .filter(order_book::Column::PartnerId.eq(ctx.partner.id))
            .filter(order_book::Column::InstrumentId.eq(instrument.id))
            .exec(ctx.tx)
            .await?;
    }
    reschedule(ctx, instrument.id, Some(ctx.now)).await
}

/// Lets all orders of the partner be compared with their prices, because the market hours have changed.
pub async fn hours_changed(ctx: &CommandContext<'_>) -> Result<()> {
    let books = order_book::Entity::find()
        .filter(order_book::Column::PartnerId.eq(ctx.partner.id))
        .all(ctx.tx)
        .await?;
    for book in books {
        reschedule(ctx, book.instrument_id, Some(ctx.now)).await?;
    }
    Ok(())
}

/// Compares the resting orders for an instrument with its prices up to now, and fills those that can be filled;
/// returns whether more remain to be filled now.
pub(super) async fn run(ctx: &CommandContext<'_>, instrument_id: Uuid) -> Result<bool> {
    let instrument = instruments::by_id(ctx.app, instrument_id)
        .await?
        .ok_or_else(|| Error::broken("an instrument does not exist"))?;
    let Some(mut book) = OpenBook::load(ctx, &instrument).await? else { return Ok(false) };
    let mut room = MAX_ORDERS;
    while room > 0 {
        let reports = Paper.executions(ctx, &mut book, room).await?;
        if reports.is_empty() {
            break;
        }
        for (order_id, reports) in lock_in_order(ctx, reports).await? {
            let Some(mut working) = Working::lock(ctx, order_id).await? else { continue };
            if book.knows(&working) {
                apply_all(ctx, &mut working, reports).await?;
            }
            book.update(&working);
            room = room.saturating_sub(1);
        }
    }
    let more = room == 0;
    let due = if more { Some(ctx.now) } else { book.next_due(ctx).await? };
    book.store(ctx).await?;
    reschedule(ctx, instrument_id, due).await?;
    Ok(more)
}

/// Compares the orders for the instrument of an order with the bars that are over, if they are filled by bars;
/// returns whether more remain to be filled now.
pub(super) async fn run_bars(ctx: &CommandContext<'_>, order: &order::Model) -> Result<bool> {
    let instrument = instruments::of_order(ctx.app, order).await?;
    match Paper::quote(ctx, &instrument).await? {
        None => run(ctx, instrument.id).await,
        Some(_) => Ok(false),
    }
}

/// Groups reports by order, and locks the orders before anything else is locked, like everyone who changes
/// an order.
async fn lock_in_order(ctx: &CommandContext<'_>, reports: Vec<Report>) -> Result<Vec<(Uuid, Vec<Report>)>> {
    let mut groups: Vec<(Uuid, Vec<Report>)> = Vec::new();
    for report in reports {
        match groups.last_mut() {
            Some((id, group)) if *id == report.order_id => group.push(report),
            _ => groups.push((report.order_id, vec![report])),
        }
    }
    order::Entity::find()
        .select_only()
        .column(order::Column::Id)
        .filter(order::Column::Id.is_in(groups.iter().map(|(id, _)| *id)))
        .order_by_asc(order::Column::Id)
        .lock(LockType::NoKeyUpdate)
        .into_tuple::<Uuid>()
        .all(ctx.tx)
        .await?;
    Ok(groups)
}

/// Compares the resting orders for an instrument with its prices.
pub struct MatchOrders;

impl Due for MatchOrders {
    const KIND: TimerKind = TimerKind::OrdersMatch;

    async fn run(ctx: &CommandContext<'_>, instrument_id: Uuid) -> Result<()> {
        run(ctx, instrument_id).await?;
        Ok(())
    }
}
