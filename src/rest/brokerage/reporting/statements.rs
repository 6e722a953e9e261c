//! `/v1/statements`.

use crate::{
    rest::{
        brokerage::funding::ACCOUNT_FILTER,
        core::{
            described::{Description, Filter},
            errors::{Problem, Result},
            lists::ListRequest,
            requests::{Caller, Id},
            routes::Route,
        },
    },
    wire::BaseUrl,
};
use axum::{Extension, Json, extract::State, routing::on};
use chrono::{DateTime, Days, NaiveDate, SecondsFormat, Utc};
use domain::{
    Refusal, Scope,
    app::App,
    kernel::{clock, ids, lists},
    reporting::statements::{self, Format},
};
use entity::{Kind, partner, statement};
use serde::Serialize;
use serde_json::{Value, json};
use utoipa::ToSchema;
use uuid::Uuid;

pub const ROUTES: &[Route] = &[
    Route::get("/v1/statements", |filter| on(filter, list)).described(
        Description::new("List statements, by default of all accounts.")
            .filtered(FILTERS)
            .lists::<StatementBody>(),
    ),
    Route::get("/v1/statements/{id}", |filter| on(filter, read))
        .described(Description::new("Get a statement.").answers::<StatementBody>()),
];

const FILTERS: &[Filter] = &[
    ACCOUNT_FILTER,
    Filter::time(
        "start_date",
        "Return only those whose period ends on this day or later: a date, or a time, of which the date in UTC counts. \
         Default: 90 days ago.",
    ),
    Filter::time(
        "end_date",
        "Return only those whose period ends on this day or earlier. Default: the end of the month.",
    ),
];

/// Statement of a brokerage account.
#[derive(Serialize, ToSchema)]
#[schema(as = Statement)]
struct StatementBody {
    /// Opaque identifier.
    id: Uuid,
    /// Id of the brokerage account.
    account_id: Uuid,
    /// First day of the period, in New York.
    #[schema(format = "date", example = "2026-06-01")]
    start_date: String,
    /// Last day of the period, in New York.
    #[schema(format = "date", example = "2026-06-30")]
    end_date: String,
    /// Download URL of the PDF file, new with each request and valid for 30 minutes without credentials.
    #[schema(
        format = "uri",
        example = "https://coffer.example/statements/0198d7a2-7c00-7000-8000-000000000050.pdf"
    )]
    url: String,
}

/// What the addresses of a response depend on.
struct Addresses<'a> {
    app: &'a App,
    actor: &'a Caller,
    base: &'a BaseUrl,
    partner: partner::Model,
}

impl<'a> Addresses<'a> {
    async fn new(app: &'a App, actor: &'a Caller, base: &'a BaseUrl) -> Result<Self> {
        let partner_id = actor.access_scope(Scope::Read)?.partner_id;
        Ok(Self { app, actor, base, partner: clock::partner(&app.db.read, partner_id).await? })
    }

    fn body(&self, statement: &statement::Model) -> domain::Result<StatementBody> {
        let path = statements::link_to(self.app, self.actor, &self.partner, statement, Format::Pdf)?;
        Ok(StatementBody {
            id: statement.id,
            account_id: statement.account_id,
            start_date: statement.start_on.to_string(),
            end_date: statement.end_on.to_string(),
            url: format!("{}{path}", self.base),
        })
    }
}

async fn read(
    State(app): State<App>,
    actor: Caller,
    base: Option<Extension<BaseUrl>>,
    Id(id): Id,
) -> Result<Json<StatementBody>> {
    let found = statements::find(&app.db.read, &actor, ids::parse(Kind::Statement, &id)).await?;
    let found = found.ok_or_else(|| Refusal::not_found("id"))?;
    let base = base.map(|Extension(base)| base).unwrap_or_default();
    Ok(Json(Addresses::new(&app, &actor, &base).await?.body(&found)?))
}

async fn list(State(app): State<App>, actor: Caller, request: ListRequest) -> Result<Json<Value>> {
    let addresses = Addresses::new(&app, &actor, request.base()).await?;
    let (start, end) = range(&request, clock::now_of(&addresses.partner)).map_err(Problem::in_query)?;
    let account_id = request.id("account_id")?;
    let mut filters = Vec::from(statements::ending(first_day(start), end.date_naive()));
    let (start, end) = (text(start), text(end));
    let mut own = vec![("start_date", start.as_str()), ("end_date", end.as_str())];
    if let Some(id) = &account_id {
        filters.push(lists::Filter::is(statement::Column::AccountId, ids::parse(Kind::Account, id)));
        own.push(("account_id", id));
    }
    let is_in_list = async |id| Ok(statements::find(&app.db.read, &actor, id).await?.is_some());
    let page = request.page(Kind::Statement, "statement", is_in_list).await?;
    let slice = statements::list(&app.db.read, &actor, &page.into(), &filters).await?;
    let data = slice.rows.iter().map(|row| Ok(json!(addresses.body(row)?))).collect::<domain::Result<_>>()?;
    Ok(Json(request.envelope(&own, &slice, |row| row.id, data)))
}

/// Returns the times between which the periods of the listed statements end.
fn range(request: &ListRequest, now: DateTime<Utc>) -> domain::Result<(DateTime<Utc>, DateTime<Utc>)> {
    let (start, end) = statements::default_range(now);
    let (given_start, given_end) = domain::both(time(request, "start_date"), time(request, "end_date"))?;
    if let (Some(start), Some(end)) = (given_start, given_end)
        && start > end
    {
        return Err(Refusal::invalid("start_date", "must not be after end_date").into());
    }
    Ok((given_start.unwrap_or(start), given_end.unwrap_or(end)))
}

/// Reads a date, which stands for its first second, or a time.
fn time(request: &ListRequest, name: &str) -> domain::Result<Option<DateTime<Utc>>> {
    let Some(text) = request.parameter(name).filter(|text| !text.is_empty()) else { return Ok(None) };
    let day = text.parse::<NaiveDate>().ok().filter(|_| text.len() == 10);
    let day = day.map(|day| day.and_time(chrono::NaiveTime::MIN).and_utc());
    let time = day.or_else(|| Some(DateTime::parse_from_rfc3339(text).ok()?.to_utc()));
    let in_range = |time: &DateTime<Utc>| (MIN_YEAR..=MAX_YEAR).contains(&chrono::Datelike::year(time));
    let time = time.filter(in_range);
    time.map(Some).ok_or_else(|| Refusal::invalid(name, "must be a date or a time in ISO format").into())
}

const MIN_YEAR: i32 = 1;
const MAX_YEAR: i32 = 9998;

/// Returns the first day that does not begin before a time.
fn first_day(start: DateTime<Utc>) -> NaiveDate {
    let day = start.date_naive();
    if start.time() == chrono::NaiveTime::MIN {
        day
    } else {
        day.checked_add_days(Days::new(1)).unwrap_or(day)
    }
}

fn text(time: DateTime<Utc>) -> String {
    time.to_rfc3339_opts(SecondsFormat::AutoSi, true)
}
