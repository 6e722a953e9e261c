//! Realized gains and losses: by tax year, and as the lines of Form 8949.

use super::{basis, instruments, lots::replay};
use crate::{
    Error, Refusal, Result, Visible,
    kernel::{actor::AccessScope, app::App, calendar, clock, lists::Filter},
};
use chrono::{DateTime, Datelike, NaiveDate, Utc};
use entity::{
    Money, Quantity,
    account::{self, TaxTreatment},
    lot_closing::{self, Term},
    tax_lot,
};
use sea_orm::{
    ColumnTrait, ConnectionTrait, EntityTrait, QueryFilter, QueryOrder,
    sea_query::{all, any},
};
use std::collections::BTreeSet;
use uuid::Uuid;

/// Returns the gain, or the loss if negative, that counts for taxes: the proceeds less the basis, and the disallowed
/// part of a loss added back. Cents.
pub fn gain(closing: &lot_closing::Model) -> Money {
    Money::from_units(closing.proceeds.units() - closing.basis.units() + closing.disallowed.units())
}

/// Returns the conditions for the sales of a calendar year in New York.
pub fn of_year(year: i32) -> [Filter; 2] {
    use lot_closing::Column;
    [
        Filter::from(Column::ClosedAt, year_begins_at(year)),
        Filter::before(Column::ClosedAt, year_begins_at(year.saturating_add(1))),
    ]
}

fn year_begins_at(year: i32) -> DateTime<Utc> {
    let day = NaiveDate::from_ymd_opt(year.clamp(1, 9_999), 1, 1).unwrap_or_default();
    calendar::at_new_york(day, 0, 0)
}

/// Whose purchases make a sale at a loss a wash sale.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum GainsView {
    /// What a broker reports on Form 1099-B: purchases in the same account (26 CFR 1.6045-1(d)(6)(iii)).
    Broker,
    /// What the person must report: purchases in all of their accounts, with retirement accounts.
    Person,
}

/// A line of Form 8949.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Line {
    pub account_number: String,
    pub symbol: String,
    pub quantity: Quantity,
    pub term: Term,
    pub acquired_on: NaiveDate,
    pub sold_on: NaiveDate,
    pub proceeds: Money,
    pub basis: Money,
    /// Disallowed loss, never negative.
    pub adjustment: Money,
}

/// The gains of the taxable accounts of a person in one tax year.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Report {
    pub year: i32,
    pub view: GainsView,
    /// Whether purchases in January can still turn losses of December into wash sales: until 31 January.
    pub is_provisional: bool,
    /// Short-term gains first, then by date of sale.
    pub lines: Vec<Line>,
}

/// Columns of the CSV file: the account, and those of Form 8949 (IRS).
const COLUMNS: [&str; 11] = [
    "account",
    "part",
    "box",
    "(a) Description of property",
    "(b) Date acquired",
    "(c) Date sold or disposed of",
    "(d) Proceeds",
    "(e) Cost or other basis",
    "(f) Code",
    "(g) Amount of adjustment",
    "(h) Gain or loss",
];

impl Line {
    /// Returns the fields of the line. Part I and box A are short-term, part II and box D long-term transactions
    /// whose basis is reported to the IRS; code W is a wash sale, whose adjustment is positive.
    fn fields(&self) -> [String; 11] {
        let date = |day: NaiveDate| day.format("%m/%d/%Y").to_string();
        let (part, letter) = match self.term {
            Term::Short => ("I", "A"),
            Term::Long => ("II", "D"),
        };
        let is_wash = self.adjustment.is_positive();
        let gain = self.proceeds.units() - self.basis.units() + self.adjustment.units();
        [
            self.account_number.clone(),
            part.to_owned(),
            letter.to_owned(),
            format!("{} sh. {}", self.quantity, self.symbol),
            date(self.acquired_on),
            date(self.sold_on),
            self.proceeds.to_string(),
            self.basis.to_string(),
            if is_wash { "W".to_owned() } else { String::new() },
            if is_wash { self.adjustment.to_string() } else { String::new() },
            Money::from_units(gain).to_string(),
        ]
    }
}

impl Report {
    /// Returns the report as CSV (RFC 4180) with a header line.
    pub fn csv(&self) -> Result<String> {
        let unwritten = || Error::broken("a report of gains cannot be written");
        let mut writer = csv::Writer::from_writer(Vec::new());
        writer.write_record(COLUMNS).map_err(|_| unwritten())?;
        for line in &self.lines {
            writer.write_record(line.fields()).map_err(|_| unwritten())?;
        }
        let bytes = writer.into_inner().map_err(|_| unwritten())?;
        String::from_utf8(bytes).map_err(|_| unwritten())
    }
}

/// Years that a report may be about.
const YEARS: std::ops::RangeInclusive<i32> = 2000..=9998;

/// Returns the gains of a person in a calendar year, as far as the access scope reaches. Their retirement accounts are
/// left out, because nothing in them is reported.
pub async fn report(
    app: &App,
    connection: &impl ConnectionTrait,
    access_scope: AccessScope,
    user_id: Uuid,
    year: i32,
    view: GainsView,
) -> Result<Report> {
    if !YEARS.contains(&year) {
        let text = format!("must be from {} to {}", YEARS.start(), YEARS.end());
        return Err(Refusal::invalid("year", text).into());
    }
    let partner = clock::partner(connection, access_scope.partner_id).await?;
    let accounts = account::Entity::within(access_scope)
        .filter(any![account::Column::UserId.eq(user_id), account::Column::JointMemberId.eq(user_id)])
        .filter(account::Column::TaxTreatment.eq(TaxTreatment::Taxable))
        .order_by_asc(account::Column::Id)
        .all(connection)
        .await?;
    let mut lines = Vec::new();
    for account in &accounts {
        let closings = match view {
            GainsView::Person => of_account(connection, account.id, Some(year)).await?,
            GainsView::Broker => as_broker(connection, account.id, year).await?,
        };
        let ids: Vec<_> = closings.iter().map(|closing| closing.instrument_id).collect();
        let instruments = instruments::by_ids(app, &ids).await?;
        for closing in closings {
            let instrument = instruments.get(&closing.instrument_id);
            let instrument = instrument.ok_or_else(|| Error::broken("a realized gain has no instrument"))?;
            lines.push(Line {
                account_number: account.number.clone(),
                symbol: instruments::shown(app, Some(partner.id), instrument).await?.symbol.clone(),
                quantity: closing.quantity,
                term: closing.term,
                acquired_on: closing.held_since,
                sold_on: closing.closed_on,
                proceeds: closing.proceeds,
                basis: closing.basis,
                adjustment: closing.disallowed,
            });
        }
    }
    lines.sort_by_key(|line| (line.term == Term::Long, line.sold_on));
    let final_on = NaiveDate::from_ymd_opt(year + 1, 1, 31);
    let is_provisional = final_on.is_some_and(|day| calendar::new_york_date(clock::now_of(&partner)) < day);
    Ok(Report { year, view, is_provisional, lines })
}

/// Returns the realized gains of an account, oldest first: of one year, or all.
async fn of_account(
    connection: &impl ConnectionTrait,
    account_id: Uuid,
    year: Option<i32>,
) -> Result<Vec<lot_closing::Model>> {
    use lot_closing::Column;
    let in_year = year.map(|year| {
        let day = |year| NaiveDate::from_ymd_opt(year, 1, 1).unwrap_or_default();
        all![Column::ClosedOn.gte(day(year)), Column::ClosedOn.lt(day(year + 1))]
    });
    Ok(lot_closing::Entity::find()
        .filter(all![Column::AccountId.eq(account_id)].add_option(in_year))
        .order_by_asc(Column::ClosedAt)
        .order_by_asc(Column::Id)
        .all(connection)
        .await?)
}

/// Returns the realized gains of an account in a year as they are if only purchases in this account count. They are
/// worked out from all of its trades, because an adjustment goes on to later sales.
async fn as_broker(
    connection: &impl ConnectionTrait,
    account_id: Uuid,
    year: i32,
) -> Result<Vec<lot_closing::Model>> {
    let closings = of_account(connection, account_id, None).await?;
    let lots = tax_lot::Entity::find()
        .filter(tax_lot::Column::AccountId.eq(account_id))
        .order_by_asc(tax_lot::Column::OpenedAt)
        .order_by_asc(tax_lot::Column::Id)
        .all(connection)
        .await?;
    let in_year = |closing: &&lot_closing::Model| closing.closed_on.year() == year;
    let sold: BTreeSet<Uuid> = closings.iter().filter(in_year).map(|closing| closing.instrument_id).collect();
    let mut found = Vec::new();
    for instrument in sold {
        let lots: Vec<_> = lots.iter().filter(|lot| lot.instrument_id == instrument).collect();
        let closings: Vec<_> =
            closings.iter().filter(|closing| closing.instrument_id == instrument).collect();
        let Some(lot) = lots.first() else { continue };
        let splits = basis::splits(connection, lot.partner_id, instrument).await?;
        let book = replay::of_account(&lots, &closings, &splits)
            .ok_or_else(|| Error::broken("the tax lots of an account do not add up"))?;
        found.extend(book.closings.into_iter().map(|(closing, _)| closing));
    }
    found.retain(|closing| closing.closed_on.year() == year);
    found.sort_by_key(|closing| closing.closed_at);
    Ok(found)
}
