//! `/v1/orders`.

use super::{
    Caller, Id, KeyHeader, Result, Route, Scheme, answer,
    body::Body,
    list::{Asked, Parameters, Place},
};
use crate::{
    app::App,
    domain::{
        self, Refusal, command, ids, instruments,
        orders::{self, Cancellation, NewOrder},
    },
};
use axum::{
    Json,
    extract::{Extension, OriginalUri, Query, State},
    http::HeaderMap,
    response::Response,
    routing::on,
};
use chrono::{DateTime, SecondsFormat, Utc};
use entity::{
    Kind, instrument,
    order::{self, OrderKind, Side, Status},
};
use serde::Serialize;
use serde_json::{Value, json};
use uuid::Uuid;

pub const ROUTES: &[Route] = &[
    Route::post("/v1/orders", |filter| on(filter, create)),
    Route::get("/v1/orders", |filter| on(filter, list)),
    Route::get("/v1/orders/{id}", |filter| on(filter, read)),
    Route::delete("/v1/orders/{id}", |filter| on(filter, cancel)),
];

async fn create(State(app): State<App>, actor: Caller, KeyHeader(key): KeyHeader, body: Body) -> Result<Response> {
    let new = parse(&body).map_err(|error| command::unreadable::<NewOrder>(&actor, error))?;
    let placed = orders::place(&app, &actor, key, new).await?;
    let instrument = instruments::of_order(&app.db.read, &placed.value).await?;
    Ok(answer(&placed, &Placed::of(&placed.value, &instrument)))
}

fn parse(body: &Body) -> domain::Result<NewOrder> {
    let symbol = body.text("symbol")?;
    let quantity = body.amount("quantity")?;
    let side = match body.text("side")?.as_str() {
        "buy" => Side::Buy,
        "sell" => Side::Sell,
        _ => return Err(Refusal::invalid("side", "must be buy or sell").into()),
    };
    let kind = match body.text("type")?.as_str() {
        "market" => OrderKind::Market,
        "limit" | "stop" | "stop_limit" => return Err(Refusal::invalid("type", "must be market: no other type is taken yet").into()),
        _ => return Err(Refusal::invalid("type", "must be market").into()),
    };
    let account_id = body.optional_text("account_id")?.map(|id| ids::parse(Kind::Account, &id));
    Ok(NewOrder { account_id, symbol, side, quantity, kind })
}

async fn read(State(app): State<App>, actor: Caller, Id(id): Id) -> Result<Json<OrderBody>> {
    let id = ids::parse(Kind::Order, &id);
    let order = orders::find(&app.db.read, &actor, id).await?.ok_or_else(|| Refusal::not_found("id"))?;
    let instrument = instruments::of_order(&app.db.read, &order).await?;
    Ok(Json(OrderBody::of(&order, &instrument)))
}

async fn cancel(State(app): State<App>, actor: Caller, KeyHeader(key): KeyHeader, Id(id): Id) -> Result<Response> {
    let cancellation = Cancellation { order_id: ids::parse(Kind::Order, &id) };
    let canceled = orders::cancel(&app, &actor, key, cancellation).await?;
    Ok(answer(&canceled, &json!({ "id": canceled.value.id, "object": "order", "canceled": true })))
}

async fn list(
    State(app): State<App>,
    actor: Caller,
    OriginalUri(uri): OriginalUri,
    Extension(scheme): Extension<Scheme>,
    headers: HeaderMap,
    Query(parameters): Query<Parameters>,
) -> Result<Json<Value>> {
    let asked = Asked::read(&actor, &parameters)?;
    let status = parameters.get("status").map_or("open", String::as_str);
    let states = match status {
        "open" => vec![Status::Accepted, Status::New, Status::PartiallyFilled],
        "closed" => vec![Status::Filled, Status::Canceled, Status::Expired, Status::Rejected],
        "all" => Vec::new(),
        _ => return Err(Refusal::invalid("status", "must be open, closed or all").into()),
    };
    let page = asked.page(Kind::Order, "order", async |id| Ok(orders::find(&app.db.read, &actor, id).await?.is_some())).await?;
    let slice = orders::list(&app.db.read, &actor, &page, &states).await?;
    let mut data = Vec::with_capacity(slice.rows.len());
    let instruments = instruments::of_orders(&app.db.read, &slice.rows).await?;
    for order in &slice.rows {
        let instrument = instruments.get(&order.instrument_id).ok_or_else(|| domain::Error::broken("an order's instrument is gone"))?;
        data.push(json!(OrderBody::of(order, instrument)));
    }
    let own = [("status", status)];
    Ok(Json(asked.envelope(&Place::of(scheme, &uri, &headers), &own, &slice, |order| order.id, data)))
}

fn instant(at: DateTime<Utc>) -> String {
    at.to_rfc3339_opts(SecondsFormat::AutoSi, true)
}

/// An order as documented when it is placed.
#[derive(Serialize)]
struct Placed {
    id: Uuid,
    submitted_at: String,
    asset_id: Uuid,
    symbol: String,
    exchange: String,
    asset_class: String,
    quantity: String,
    filled_quantity: String,
    #[serde(rename = "type")]
    kind: OrderKind,
    side: Side,
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

/// An order as documented when it is read.
#[derive(Serialize)]
struct OrderBody {
    #[serde(flatten)]
    placed: Placed,
    filled_at: Option<String>,
    expired_at: Option<String>,
    canceled_at: Option<String>,
    failed_at: Option<String>,
    limit_price: Option<String>,
    stop_price: Option<String>,
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

/// The documented states; an order that ended at the close is called canceled, and says when it expired.
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
