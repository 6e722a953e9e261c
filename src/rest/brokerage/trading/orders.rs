//! `/v1/orders`.

use crate::rest::core::{
    answers::answer,
    bodies::Body,
    described::{Description, Field},
    errors::{Problem, Result},
    forms,
    lists::{Links, ListRequest, Parameters},
    requests::{Caller, Id, KeyHeader},
    routes::Route,
};
use axum::{
    Json,
    extract::{Query, State},
    response::Response,
    routing::on,
};
use chrono::{DateTime, SecondsFormat, Utc};
use domain::{
    Refusal,
    app::App,
    kernel::{command, ids, lists::Filter},
    trading::{
        instruments,
        orders::{self, CancelOrder, PlaceOrder},
    },
};
use entity::{
    Kind, instrument,
    order::{self, OrderKind, Side, Status},
};
use serde::Serialize;
use serde_json::{Value, json};
use utoipa::ToSchema;
use uuid::Uuid;

pub const ROUTES: &[Route] = &[
    Route::post("/v1/orders", |filter| on(filter, create))
        .described(Description::new("Place an order.").moves_money(FIELDS).answers::<Placed>()),
    Route::get("/v1/orders", |filter| on(filter, list))
        .described(Description::new("List orders.").filtered(FILTERS).lists::<OrderBody>()),
    Route::get("/v1/orders/{id}", |filter| on(filter, read))
        .described(Description::new("Get an order.").answers::<OrderBody>()),
    Route::delete("/v1/orders/{id}", |filter| on(filter, cancel))
        .described(Description::new("Cancel an open order.").answers::<CancelBody>()),
];

const FIELDS: &[Field] = &[
    Field::text("symbol", "Ticker symbol, in upper or lower case.", "VTI", forms::SYMBOL),
    Field::amount("quantity", "Number of shares, with up to four decimals.", "0.5", forms::SHARES),
    Field::choice("side", "Side of the order.", &["buy", "sell"]),
    Field::choice("type", "Order type.", &["market"]),
    Field::nothing(
        "limit_price",
        "Only for limit orders, which are not supported here. Must be null or left out.",
    ),
    Field::nothing(
        "stop_price",
        "Only for stop orders, which are not supported here. Must be null or left out.",
    ),
    Field::id(
        "account_id",
        "Id of the account that trades. Can be left out if exactly one account can trade.",
        "0198d7a2-7c00-7000-8000-000000000005",
    )
    .optional(),
];

const FILTERS: &[Field] = &[Field::choice(
    "status",
    "Return only orders with this status. Default: `open`.",
    &["open", "closed", "all"],
)
.optional()];

async fn create(
    State(app): State<App>,
    actor: Caller,
    KeyHeader(key): KeyHeader,
    body: Body,
) -> Result<Response> {
    let new = parse(&body).map_err(|error| command::unreadable::<PlaceOrder>(&actor, error))?;
    let placed = command::execute(&app, &actor, key, new).await?;
    let instrument = instruments::of_order(&app.db.read, &placed.value).await?;
    Ok(answer(&placed, &Placed::of(&placed.value, &instrument)))
}

fn parse(body: &Body) -> domain::Result<PlaceOrder> {
    body.only(FIELDS)?;
    let symbol = body.verbatim("symbol")?;
    let quantity = body.amount("quantity")?;
    let side = match body.text("side")?.as_str() {
        "buy" => Side::Buy,
        "sell" => Side::Sell,
        _ => return Err(Refusal::invalid("side", "must be buy or sell").into()),
    };
    let kind = match body.text("type")?.as_str() {
        "market" => OrderKind::Market,
        "limit" | "stop" | "stop_limit" => {
            return Err(Refusal::invalid("type", "must be market; other types are not supported yet").into());
        }
        _ => return Err(Refusal::invalid("type", "must be market").into()),
    };
    for field in ["limit_price", "stop_price"] {
        body.without(field, "must be left out of a market order")?;
    }
    let account_id = body.optional_id("account_id", Kind::Account)?;
    Ok(PlaceOrder { account_id, symbol, side, quantity, kind })
}

async fn read(State(app): State<App>, actor: Caller, Id(id): Id) -> Result<Json<OrderBody>> {
    let id = ids::parse(Kind::Order, &id);
    let order = orders::find(&app.db.read, &actor, id).await?.ok_or_else(|| Refusal::not_found("id"))?;
    let instrument = instruments::of_order(&app.db.read, &order).await?;
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

async fn list(
    State(app): State<App>,
    actor: Caller,
    links: Links,
    Query(parameters): Query<Parameters>,
) -> Result<Json<Value>> {
    let request = ListRequest::read(&actor, &parameters)?;
    let status = parameters.get("status").map_or("open", String::as_str);
    let statuses = match status {
        "open" => vec![Status::Accepted, Status::New, Status::PartiallyFilled],
        "closed" => vec![Status::Filled, Status::Canceled, Status::Expired, Status::Rejected],
        "all" => Vec::new(),
        _ => return Err(Problem::in_query(Refusal::invalid("status", "must be open, closed or all"))),
    };
    let page = request
        .page(Kind::Order, "order", async |id| Ok(orders::find(&app.db.read, &actor, id).await?.is_some()))
        .await?;
    let filters = Vec::from_iter(Filter::one_of(order::Column::Status, statuses));
    let slice = orders::list(&app.db.read, &actor, &page.into(), &filters).await?;
    let mut data = Vec::with_capacity(slice.rows.len());
    let instruments = instruments::of_orders(&app.db.read, &slice.rows).await?;
    for order in &slice.rows {
        let instrument = instruments
            .get(&order.instrument_id)
            .ok_or_else(|| domain::Error::broken("the instrument of an order is missing"))?;
        data.push(json!(OrderBody::of(order, instrument)));
    }
    let own = [("status", status)];
    Ok(Json(request.envelope(&links, &own, &slice, |order| order.id, data)))
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
    /// Order status: `accepted`, `new`, `partially_filled`, `filled`, `canceled` or `rejected`.
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
            asset_class: instrument.asset_class.clone(),
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
    /// Time when the order expired at the market close; null if it did not.
    expired_at: Option<String>,
    /// Time when the order was canceled; null if it was not.
    canceled_at: Option<String>,
    /// Time when the venue rejected the order; null if it did not.
    failed_at: Option<String>,
    /// Limit price. Always null.
    limit_price: Option<String>,
    /// Stop price. Always null.
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
            limit_price: None,
            stop_price: None,
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
