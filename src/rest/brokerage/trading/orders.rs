//! `/v1/orders`.

use crate::rest::core::{
    answers::answer,
    bodies::{Body, RequestBody},
    described::{Description, Filter},
    errors::{Problem, Result},
    forms::{self, fields},
    lists::ListRequest,
    requests::{Caller, Id, KeyHeader},
    routes::Route,
};
use axum::{Json, extract::State, response::Response, routing::on};
use chrono::{DateTime, SecondsFormat, Utc};
use domain::{
    Refusal,
    app::App,
    kernel::{command, ids, lists},
    trading::{
        instruments,
        lots::LotChoice,
        orders::{self, CancelOrder, PlaceOrder},
    },
};
use entity::{
    Kind, Price, Quantity, instrument,
    order::{self, OrderKind, Side, Status, TimeInForce},
};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use utoipa::ToSchema;
use uuid::Uuid;

pub const ROUTES: &[Route] = &[
    Route::post("/v1/orders", |filter| on(filter, create))
        .described(Description::new("Place an order.").takes::<NewOrder>().answers::<Placed>()),
    Route::get("/v1/orders", |filter| on(filter, list))
        .described(Description::new("List orders.").filtered(FILTERS).lists::<OrderBody>()),
    Route::get("/v1/orders/{id}", |filter| on(filter, read))
        .described(Description::new("Get an order.").answers::<OrderBody>()),
    Route::delete("/v1/orders/{id}", |filter| on(filter, cancel))
        .described(Description::new("Cancel an open order.").answers::<CancelBody>()),
];

fields! {
    /// Ticker symbol, in upper or lower case.
    Symbol(String) = forms::SYMBOL, "VTI";
    /// Number of shares, with up to four decimals.
    Shares(Quantity) = forms::SHARES, "0.5";
    /// Side of the order.
    OrderSide(Side) = forms::Words(&[("buy", Side::Buy), ("sell", Side::Sell)]), "buy";
    /// Order type.
    OrderType(OrderKind) = forms::Words(&[("market", OrderKind::Market), ("limit", OrderKind::Limit),
        ("stop", OrderKind::Stop), ("stop_limit", OrderKind::StopLimit)]), "market";
    /// Highest price of a purchase or lowest price of a sale. Required for `limit` and `stop_limit`; must be left
    /// out otherwise.
    LimitPrice(Price) = forms::SharePrice, ();
    /// Price at which the order is triggered. Required for `stop` and `stop_limit`; must be left out otherwise.
    StopPrice(Price) = forms::SharePrice, ();
    /// Id of the account that trades. Can be left out if exactly one account can trade.
    AccountId(Uuid) = forms::Id(Kind::Account), "0198d7a2-7c00-7000-8000-000000000005";
}

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct NewOrder {
    symbol: Symbol,
    quantity: Shares,
    side: OrderSide,
    #[serde(rename = "type")]
    kind: OrderType,
    limit_price: Option<LimitPrice>,
    stop_price: Option<StopPrice>,
    account_id: Option<AccountId>,
}

impl RequestBody for NewOrder {
    fn rules() -> Vec<Value> {
        let given = |field: &str| {
            let not_null = json!({ "not": { "type": "null" } });
            json!({ "required": [field], "properties": { field: not_null } })
        };
        let rule = |field: &str, kinds: [&str; 2]| {
            json!({
                "if": { "properties": { "type": { "enum": kinds } } },
                "then": given(field),
                "else": { "not": given(field) },
            })
        };
        vec![rule("limit_price", ["limit", "stop_limit"]), rule("stop_price", ["stop", "stop_limit"])]
    }
}

impl From<NewOrder> for PlaceOrder {
    fn from(new: NewOrder) -> Self {
        Self {
            account_id: new.account_id.map(Into::into),
            symbol: new.symbol.into(),
            side: new.side.into(),
            kind: new.kind.into(),
            quantity: Some(new.quantity.into()),
            notional: None,
            limit_price: new.limit_price.map(Into::into),
            stop_price: new.stop_price.map(Into::into),
            time_in_force: TimeInForce::Day,
            lots: LotChoice::default(),
        }
    }
}

const FILTERS: &[Filter] = &[Filter::words(
    "status",
    "Return only orders with this status. Default: `open`.",
    &["open", "closed", "all"],
)];

async fn create(
    State(app): State<App>,
    actor: Caller,
    KeyHeader(key): KeyHeader,
    body: Body<NewOrder>,
) -> Result<Response> {
    let placed = body.execute(&app, &actor, key, PlaceOrder::from).await?;
    let instrument = instruments::shown_of_order(&app, &placed.value).await?;
    Ok(answer(&placed, &Placed::of(&placed.value, &instrument)))
}

async fn read(State(app): State<App>, actor: Caller, Id(id): Id) -> Result<Json<OrderBody>> {
    let id = ids::parse(Kind::Order, &id);
    let order = orders::find(&app.db.read, &actor, id).await?.ok_or_else(|| Refusal::not_found("id"))?;
    let instrument = instruments::shown_of_order(&app, &order).await?;
    Ok(Json(OrderBody::of(&order, &instrument)))
}

async fn cancel(
    State(app): State<App>,
    actor: Caller,
    KeyHeader(key): KeyHeader,
    Id(id): Id,
) -> Result<Response> {
    let cancellation = CancelOrder { order_id: ids::parse(Kind::Order, &id) };
    let canceled = command::execute(&app, &actor, key, cancellation).await?;
    Ok(answer(&canceled, &CancelBody { id: canceled.value.id, object: "order", canceled: true }))
}

async fn list(State(app): State<App>, actor: Caller, request: ListRequest) -> Result<Json<Value>> {
    let status = request.parameter("status").unwrap_or("open");
    let statuses = match status {
        "open" => vec![Status::Accepted, Status::New, Status::PartiallyFilled],
        "closed" => vec![Status::Filled, Status::Canceled, Status::Expired, Status::Rejected],
        "all" => Vec::new(),
        _ => return Err(Problem::in_query(Refusal::invalid("status", "must be open, closed or all"))),
    };
    let page = request
        .page(Kind::Order, "order", async |id| Ok(orders::find(&app.db.read, &actor, id).await?.is_some()))
        .await?;
    let filters = Vec::from_iter(lists::Filter::one_of(order::Column::Status, statuses));
    let slice = orders::list(&app.db.read, &actor, &page.into(), &filters).await?;
    let mut data = Vec::with_capacity(slice.rows.len());
    let instruments = instruments::shown_of_orders(&app, &slice.rows).await?;
    for order in &slice.rows {
        let instrument = instruments
            .get(&order.instrument_id)
            .ok_or_else(|| domain::Error::broken("the instrument of an order is missing"))?;
        data.push(json!(OrderBody::of(order, instrument)));
    }
    let own = [("status", status)];
    Ok(Json(request.envelope(&own, &slice, |order| order.id, data)))
}

fn instant(at: DateTime<Utc>) -> String {
    at.to_rfc3339_opts(SecondsFormat::AutoSi, true)
}

/// Response to a canceled order.
#[derive(Serialize, ToSchema)]
#[schema(as = OrderCanceled)]
struct CancelBody {
    /// Id of the order.
    id: Uuid,
    /// Always `order`.
    object: &'static str,
    /// Always true.
    canceled: bool,
}

/// Response to a new order.
#[derive(Serialize, ToSchema)]
#[schema(as = OrderPlaced)]
struct Placed {
    /// Opaque identifier.
    id: Uuid,
    /// Time when the order was placed.
    submitted_at: String,
    /// Id of the instrument.
    asset_id: Uuid,
    /// Ticker symbol of the instrument.
    symbol: String,
    /// Exchange on which the instrument is listed.
    exchange: String,
    /// Asset class of the instrument.
    asset_class: String,
    /// Number of shares ordered.
    quantity: String,
    /// Number of shares filled so far.
    filled_quantity: String,
    /// Order type.
    #[serde(rename = "type")]
    #[schema(value_type = String, example = "market")]
    kind: OrderKind,
    /// `buy` or `sell`.
    #[schema(value_type = String, example = "buy")]
    side: Side,
    /// Order status: `accepted`, `new`, `partially_filled`, `filled`, `canceled` or `rejected`. An expired
    /// order is `canceled`.
    status: &'static str,
}

impl Placed {
    fn of(order: &order::Model, instrument: &instrument::Model) -> Self {
        Self {
            id: order.id,
            submitted_at: instant(order.submitted_at),
            asset_id: instrument.id,
            symbol: instrument.symbol.clone(),
            exchange: instrument.exchange.clone(),
            asset_class: instrument.asset_class.name().to_owned(),
            quantity: order.quantity.to_string(),
            filled_quantity: order.filled_quantity.to_string(),
            kind: order.kind,
            side: order.side,
            status: word(order.status),
        }
    }
}

/// Order.
#[derive(Serialize, ToSchema)]
#[schema(as = Order)]
struct OrderBody {
    #[serde(flatten)]
    placed: Placed,
    /// Time when the order was filled completely; null until then.
    filled_at: Option<String>,
    /// Time when the order expired; null if it did not.
    expired_at: Option<String>,
    /// Time when the order was canceled; null if it was not.
    canceled_at: Option<String>,
    /// Time when the venue rejected the order; null if it did not.
    failed_at: Option<String>,
    /// Limit price; null unless the type is `limit` or `stop_limit`.
    limit_price: Option<String>,
    /// Stop price; null unless the type is `stop` or `stop_limit`.
    stop_price: Option<String>,
    /// Average price of the fills; null before the first fill.
    filled_average_price: Option<String>,
}

impl OrderBody {
    fn of(order: &order::Model, instrument: &instrument::Model) -> Self {
        Self {
            placed: Placed::of(order, instrument),
            filled_at: order.filled_at.map(instant),
            expired_at: order.expired_at.map(instant),
            canceled_at: order.canceled_at.map(instant),
            failed_at: order.failed_at.map(instant),
            limit_price: order.limit_price.map(|price| price.to_string()),
            stop_price: order.stop_price.map(|price| price.to_string()),
            filled_average_price: order.filled_average_price.map(|price| price.to_string()),
        }
    }
}

/// Returns the documented status. An expired order is reported as `canceled` with `expired_at`.
const fn word(status: Status) -> &'static str {
    match status {
        Status::Accepted => "accepted",
        Status::New => "new",
        Status::PartiallyFilled => "partially_filled",
        Status::Filled => "filled",
        Status::Canceled | Status::Expired => "canceled",
        Status::Rejected => "rejected",
    }
}
