//! `two_factor_authentication/v1/…`: one-time passcodes by text message.

use crate::rest::{
    core::{
        bodies::{Names, RequestBody},
        described::Description,
        forms::{self, fields},
        requests::{Caller, Id},
        routes::Route,
    },
    wellness::{BodyOrNone, Result, WellnessError},
};
use axum::{Json, extract::State, routing::on};
use domain::{access::passcodes, app::App, kernel::ids};
use entity::Kind;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

pub const ROUTES: &[Route] = &[
    Route::post("/two_factor_authentication/v1/one_time_passcode/{id}/sms/send", |filter| on(filter, send))
        .described(
            Description::new("Send a passcode to the user by text message.")
                .takes::<PhoneToVerify>()
                .answers::<PasscodeSent>(),
        ),
    Route::post("/two_factor_authentication/v1/one_time_passcode/{id}/sms/verify", |filter| {
        on(filter, verify)
    })
    .described(
        Description::new("Verify a passcode. Completes two-factor authentication of the session.")
            .takes::<SentPasscode>()
            .answers::<PasscodeVerified>(),
    ),
];

fields! {
    /// Phone number to verify. Leave it out once the user has a verified number.
    Phone(String) = forms::PHONE, "2025550107";
    /// Identifies the passcode that was sent.
    HashCode(String) = forms::ANY, "gAAAAABdqL";
    /// Six-digit passcode.
    Passcode(String) = forms::PASSCODE, "123456";
}

#[derive(Deserialize, ToSchema)]
struct PhoneToVerify {
    phone_number: Option<Phone>,
}

impl RequestBody for PhoneToVerify {
    const NAMES: Names = &[("phone", "phone_number")];
}

#[derive(Deserialize, ToSchema)]
struct SentPasscode {
    hash_code: HashCode,
    passcode: Passcode,
}

impl RequestBody for SentPasscode {}

/// Response to a request for a passcode.
#[derive(Serialize, ToSchema)]
struct PasscodeSent {
    /// Identifies the passcode that was sent.
    hash_code: String,
    /// Last four digits of the phone number.
    phone_last_digits: String,
}

/// Response to a passcode.
#[derive(Serialize, ToSchema)]
struct PasscodeVerified {
    /// Always `approved`.
    passcode_status: &'static str,
}

async fn send(
    State(app): State<App>,
    actor: Caller,
    Id(id): Id,
    BodyOrNone(body): BodyOrNone<PhoneToVerify>,
) -> Result<Json<PasscodeSent>> {
    let phone = body.parsed()?.phone_number.map(Into::into);
    let sent = passcodes::send(&app, &actor, ids::parse(Kind::User, &id), phone)
        .await
        .map_err(WellnessError::in_body::<PhoneToVerify>)?;
    Ok(Json(PasscodeSent { hash_code: sent.hash_code, phone_last_digits: sent.phone_last4 }))
}

async fn verify(
    State(app): State<App>,
    actor: Caller,
    Id(id): Id,
    BodyOrNone(body): BodyOrNone<SentPasscode>,
) -> Result<Json<PasscodeVerified>> {
    let SentPasscode { hash_code: HashCode(hash_code), passcode: Passcode(passcode) } = body.parsed()?;
    passcodes::verify(&app, &actor, ids::parse(Kind::User, &id), &hash_code, &passcode).await?;
    Ok(Json(PasscodeVerified { passcode_status: "approved" }))
}
