//! The limit: a server with one hand-written statement for each request and JSON written by hand. It knows
//! neither GraphQL nor access rights.

mod answers;
mod fanout;
mod pool;
mod statements;

use crate::{
    Result,
    operations::{SYMBOL, Variables},
};
use axum::{
    Json, Router,
    extract::State,
    http::{StatusCode, header},
    response::{IntoResponse, Response},
    routing::{any, post},
};
use pool::Database;
use std::{collections::HashMap, net::Ipv4Addr, sync::Arc};
use tokio::net::TcpListener;
use uuid::Uuid;

struct Limit {
    database: Database,
    symbols: HashMap<Uuid, String>,
    /// Instrument that M1 buys.
    bought: Uuid,
    fanout: fanout::Fanout,
}

/// Serves until it is killed.
pub async fn serve(url: &str) -> Result<()> {
    let database = Database::open(url).await?;
    let symbols = database.symbols().await?;
    let bought =
        symbols.iter().find(|(_, symbol)| *symbol == SYMBOL).ok_or("the instrument is not listed")?;
    let limit = Limit { bought: *bought.0, symbols, database, fanout: fanout::Fanout::new() };
    let router = Router::new()
        .route("/user", post(user))
        .route("/users", post(users))
        .route("/page", post(orders))
        .route("/orders", post(orders))
        .route("/order", post(order))
        .route("/publish", post(fanout::publish))
        .route("/ws", any(fanout::subscribe))
        .with_state(Arc::new(limit));
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
    println!("{}", listener.local_addr()?);
    let listener = axum::serve::ListenerExt::tap_io(listener, |stream| _ = stream.set_nodelay(true));
    Ok(axum::serve(listener, router).await?)
}

fn answer(body: Result<Vec<u8>>) -> Response {
    match body {
        Ok(body) => ([(header::CONTENT_TYPE, "application/json")], body).into_response(),
        Err(error) => (StatusCode::INTERNAL_SERVER_ERROR, error.to_string()).into_response(),
    }
}

async fn user(State(limit): State<Arc<Limit>>, Json(variables): Json<Variables>) -> Response {
    answer(limit.user(variables.id.unwrap_or_default()).await)
}

async fn users(State(limit): State<Arc<Limit>>, Json(_): Json<Variables>) -> Response {
    answer(limit.users().await)
}

async fn orders(State(limit): State<Arc<Limit>>, Json(variables): Json<Variables>) -> Response {
    answer(limit.orders(variables.id.unwrap_or_default(), variables.after).await)
}

async fn order(State(limit): State<Arc<Limit>>, Json(variables): Json<Variables>) -> Response {
    answer(limit.order(variables.id.unwrap_or_default(), variables.shares.unwrap_or_default()).await)
}
