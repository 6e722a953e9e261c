//! `two_factor_authentication/v1/…`: one-time passcodes by text message.

use crate::rest::{
    core::{
        described::{Description, Field},
        forms,
        requests::{Caller, Id},
        routes::Route,
    },
    wellness::{Form, Result},
};
use axum::{Json, extract::State, routing::on};
use domain::{access::passcodes, app::App, kernel::ids};
use entity::Kind;
use serde_json::{Value, json};

pub const ROUTES: &[Route] = &[
    Route::post("/two_factor_authentication/v1/one_time_passcode/{id}/sms/send", |filter| on(filter, send))
        .described(
            Description::new("Send a passcode to the user by text message.").takes(&[PHONE]).returns(SENT),
        ),
    Route::post("/two_factor_authentication/v1/one_time_passcode/{id}/sms/verify", |filter| {
        on(filter, verify)
    })
    .described(
        Description::new("Verify a passcode. Completes two-factor authentication of the session.")
            .takes(PASSCODE)
            .returns(PASSED),
    ),
];

const PHONE: Field = Field::text(
    "phone_number",
    "Phone number to verify. Leave it out once the user has a verified number.",
    "2025550107",
    forms::PHONE,
)
.optional();
const HASH_CODE: Field =
    Field::text("hash_code", "Identifies the passcode that was sent.", "gAAAAABdqL", forms::ANY);
const SENT: &[Field] = &[
    HASH_CODE,
    Field::text("phone_last_digits", "Last four digits of the phone number.", "0107", forms::ANY),
];
const PASSCODE: &[Field] =
    &[HASH_CODE, Field::text("passcode", "Six-digit passcode.", "123456", forms::PASSCODE)];
const PASSED: &[Field] = &[Field::text("passcode_status", "Always `approved`.", "approved", forms::ANY)];

async fn send(State(app): State<App>, actor: Caller, Id(id): Id, Form(body): Form) -> Result<Json<Value>> {
    body.fits(&[PHONE])?;
    let phone = body.optional_text("phone_number")?;
    let sent = passcodes::send(&app, &actor, ids::parse(Kind::User, &id), phone).await?;
    Ok(Json(json!({ "hash_code": sent.hash_code, "phone_last_digits": sent.phone_last4 })))
}

async fn verify(State(app): State<App>, actor: Caller, Id(id): Id, Form(body): Form) -> Result<Json<Value>> {
    let (hash_code, passcode) = (body.verbatim("hash_code")?, body.verbatim("passcode")?);
    passcodes::verify(&app, &actor, ids::parse(Kind::User, &id), &hash_code, &passcode).await?;
    Ok(Json(json!({ "passcode_status": "approved" })))
}
