//! `account/v1/…`: signing up and in, the profile, invitations, a forgotten password.

use super::{Form, Result};
use crate::{
    app::App,
    domain::{
        self, Refusal, command, ids, invitations,
        logins::{self, NewSignUp},
        profiles::{self, Amendment, Identity, Profile},
        recoveries,
        sessions::{self, Renewal},
    },
    rest::{Body, Caller, Id, Route},
};
use axum::{Json, extract::State, http::StatusCode, routing::on};
use entity::{Kind, user};
use serde::Serialize;
use serde_json::{Value, json};
use uuid::Uuid;

pub const ROUTES: &[Route] = &[
    Route::post("/account/v1/users", |filter| on(filter, sign_up)),
    Route::get("/account/v1/users/{id}", |filter| on(filter, read)),
    Route::put("/account/v1/users/{id}", |filter| on(filter, amend)),
    Route::get("/account/v1/users/{id}/send_data_email", |filter| on(filter, mail_data)),
    Route::post("/account/v1/users/{id}/send_data_email", |filter| on(filter, mail_data)),
    Route::post("/account/v1/auth/token", |filter| on(filter, sign_in)),
    Route::delete("/account/v1/auth/token", |filter| on(filter, sign_out)),
    Route::post("/account/v1/auth/token/refresh", |filter| on(filter, refresh)),
    Route::get("/account/v1/invitation/{id}", |filter| on(filter, invitation)),
    Route::post("/account/v1/password_recovery", |filter| on(filter, recover)),
    Route::patch("/account/v1/password_recovery/reset", |filter| on(filter, reset)),
];

fn identity(body: &Body) -> domain::Result<Identity> {
    Ok(Identity {
        full_name: body.optional_text("full_name")?,
        birth_date: body.optional_text("date_of_birth")?,
        ssn: body.optional_text("social_security_number")?,
        gender: body.optional_text("gender")?,
    })
}

/// The answer to a sign-up.
#[derive(Serialize)]
struct SignedUp {
    id: Uuid,
    email: String,
    full_name: Option<String>,
    date_of_birth: Option<String>,
}

async fn sign_up(State(app): State<App>, actor: Caller, Form(body): Form) -> Result<Json<SignedUp>> {
    let new = NewSignUp {
        email: body.text("email")?,
        password: body.secret("password")?,
        identity: identity(&body)?,
        invitation_id: body.optional_text("invitation_id")?.map(|id| ids::parse(Kind::Invitation, &id)),
    };
    let (user, _) = logins::sign_up(&app, &actor, new).await?;
    let date_of_birth = day_of_birth(&app, &user)?;
    Ok(Json(SignedUp { id: user.id, email: user.email.clone(), full_name: profiles::full_name(&user), date_of_birth }))
}

fn day_of_birth(app: &App, user: &user::Model) -> domain::Result<Option<String>> {
    Ok(domain::users::birth_date(app, user)?.map(|day| day.to_string()))
}

async fn read(State(app): State<App>, actor: Caller, Id(id): Id) -> Result<Json<Value>> {
    let Profile { user, birth_date, employer } = profiles::find(&app, &actor, ids::parse(Kind::User, &id)).await?;
    let employer = employer.map(|employer| {
        json!({
            "company_name": employer.company_name,
            "retirement_401k_plaid_institution_id": employer.retirement_institution_id,
        })
    });
    Ok(Json(json!({
        "email": user.email,
        "full_name": profiles::full_name(&user),
        "date_of_birth": birth_date.map(|day| day.reveal().to_string()),
        "gender": user.gender,
        "employer": employer,
    })))
}

async fn amend(State(app): State<App>, actor: Caller, Id(id): Id, Form(body): Form) -> Result<Json<Value>> {
    let identity = identity(&body).map_err(|error| command::unreadable::<Amendment>(&actor, error))?;
    let amendment = Amendment { user_id: ids::parse(Kind::User, &id), identity };
    let user = profiles::amend(&app, &actor, amendment).await?;
    Ok(Json(json!({ "full_name": profiles::full_name(&user), "date_of_birth": day_of_birth(&app, &user)? })))
}

async fn mail_data(State(app): State<App>, actor: Caller, Id(id): Id) -> Result<StatusCode> {
    profiles::mail_data(&app, &actor, ids::parse(Kind::User, &id)).await?;
    Ok(StatusCode::NO_CONTENT)
}

async fn sign_in(State(app): State<App>, actor: Caller, Form(body): Form) -> Result<Json<Value>> {
    let issued = logins::sign_in(&app, &actor, &body.text("email")?, body.secret("password")?).await?;
    Ok(Json(json!({ "user_id": issued.user_id, "refresh": issued.refresh.reveal(), "access": issued.access.reveal() })))
}

async fn refresh(State(app): State<App>, actor: Caller, Form(body): Form) -> Result<Json<Value>> {
    let issued = sessions::renew(&app, actor.request_id, &body.text("refresh")?, Renewal::Access).await?;
    Ok(Json(json!({ "access": issued.access.reveal() })))
}

async fn sign_out(State(app): State<App>, actor: Caller, Form(body): Form) -> Result<StatusCode> {
    sessions::sign_out(&app, &actor, &body.text("refresh")?).await?;
    Ok(StatusCode::NO_CONTENT)
}

async fn invitation(State(app): State<App>, Id(id): Id) -> Result<Json<Value>> {
    let shown = invitations::shown(&app.db.read, ids::parse(Kind::Invitation, &id)).await?;
    let shown = shown.ok_or_else(|| Refusal::not_found("id"))?;
    Ok(Json(json!({ "email": shown.email })))
}

async fn recover(State(app): State<App>, actor: Caller, Form(body): Form) -> Result<Json<Value>> {
    recoveries::request(&app, &actor, &body.text("email")?).await?;
    Ok(Json(json!({ "detail": "You will receive an email with further instructions.", "code": "email-sent" })))
}

async fn reset(State(app): State<App>, actor: Caller, Form(body): Form) -> Result<StatusCode> {
    recoveries::reset(&app, &actor, &body.text("token")?, body.secret("password")?).await?;
    Ok(StatusCode::NO_CONTENT)
}
