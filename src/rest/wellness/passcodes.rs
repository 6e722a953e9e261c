//! `two_factor_authentication/v1/…`: one-time passcodes by text message.

use super::{Form, Result};
use crate::{
    app::App,
    domain::{ids, passcodes},
    rest::{Caller, Id, Route},
};
use axum::{Json, extract::State, routing::on};
use entity::Kind;
use serde_json::{Value, json};

pub const ROUTES: &[Route] = &[
    Route::post("/two_factor_authentication/v1/one_time_passcode/{id}/sms/send", |filter| on(filter, send)),
    Route::post("/two_factor_authentication/v1/one_time_passcode/{id}/sms/verify", |filter| on(filter, verify)),
];

async fn send(State(app): State<App>, actor: Caller, Id(id): Id, Form(body): Form) -> Result<Json<Value>> {
    let phone = body.optional_text("phone_number")?;
    let sent = passcodes::send(&app, &actor, ids::parse(Kind::User, &id), phone).await?;
    Ok(Json(json!({ "hash_code": sent.hash_code, "phone_last_digits": sent.phone_last4 })))
}

async fn verify(State(app): State<App>, actor: Caller, Id(id): Id, Form(body): Form) -> Result<Json<Value>> {
    let (hash_code, passcode) = (body.text("hash_code")?, body.text("passcode")?);
    passcodes::verify(&app, &actor, ids::parse(Kind::User, &id), &hash_code, &passcode).await?;
    Ok(Json(json!({ "passcode_status": "approved" })))
}
