//! `account/v1/…`: sign-up, sign-in, profiles, invitations and password recovery.

use crate::rest::{
    core::{
        bodies::Body,
        described::{Description, Field},
        forms,
        requests::{Caller, Id},
        routes::Route,
    },
    wellness::{Form, Result},
};
use axum::{Json, extract::State, http::StatusCode, routing::on};
use domain::{
    Refusal,
    access::{
        invitations,
        logins::{self, NewSignUp},
        recoveries,
        sessions::{self, Renewal},
    },
    app::App,
    kernel::{command, ids},
    people::profiles::{Identity, full_name},
    wellness::profiles::{self, Profile, UpdateProfile},
};
use entity::{Kind, user};
use serde::Serialize;
use serde_json::{Value, json};
use utoipa::ToSchema;
use uuid::Uuid;

pub const ROUTES: &[Route] = &[
    Route::post("/account/v1/users", |filter| on(filter, sign_up))
        .described(Description::new("Sign up.").takes(SIGN_UP).answers::<SignedUp>()),
    Route::get("/account/v1/users/{id}", |filter| on(filter, read))
        .described(Description::new("Get a user's profile.").returns(PROFILE)),
    Route::put("/account/v1/users/{id}", |filter| on(filter, update)).described(
        Description::new("Update a user's profile. Fields that are left out stay unchanged.")
            .takes(CHANGES)
            .returns(CHANGED),
    ),
    Route::get("/account/v1/users/{id}/send_data_email", |filter| on(filter, mail_data)).described(MAIL_DATA),
    Route::post("/account/v1/users/{id}/send_data_email", |filter| on(filter, mail_data))
        .described(MAIL_DATA),
    Route::post("/account/v1/auth/token", |filter| on(filter, sign_in))
        .described(Description::new("Sign in.").takes(CREDENTIALS).returns(TOKENS)),
    Route::delete("/account/v1/auth/token", |filter| on(filter, sign_out)).described(
        Description::new("Sign out. The access token stays valid until it expires.").takes(REFRESH),
    ),
    Route::post("/account/v1/auth/token/refresh", |filter| on(filter, refresh))
        .described(Description::new("Get a new access token.").takes(REFRESH).returns(ACCESS)),
    Route::get("/account/v1/invitation/{id}", |filter| on(filter, invitation))
        .described(Description::new("Get an invitation.").returns(&[EMAIL])),
    Route::post("/account/v1/password_recovery", |filter| on(filter, recover)).described(
        Description::new("Request an e-mail for setting a new password.").takes(&[EMAIL]).returns(ACCEPTED),
    ),
    Route::patch("/account/v1/password_recovery/reset", |filter| on(filter, reset)).described(
        Description::new("Set a new password with the token from the recovery e-mail.").takes(RESET),
    ),
];

const MAIL_DATA: Description = Description::new("Send a user's data to the advisors by e-mail.");
const EMAIL: Field = Field::text("email", "E-mail address.", "ada.carter@example.com", forms::EMAIL);
const PASSWORD: Field =
    Field::text("password", "Password, 8 to 128 characters.", "long enough", forms::PASSWORD);
const FULL_NAME: Field = Field::text("full_name", "Full name.", "Ada Carter", forms::FULL_NAME).optional();
const BIRTH_DATE: Field =
    Field::text("date_of_birth", "Date of birth.", "1985-01-23", forms::DATE).optional();
const SSN: Field =
    Field::text("social_security_number", "Social security number. Never returned.", "123456789", forms::SSN)
        .optional();
const GENDER: Field = Field::text("gender", "Gender.", "female", forms::WORDS).optional();
const INVITATION: Field = Field::id(
    "invitation_id",
    "Invitation that the user accepts by signing up.",
    "0198d7a2-7c00-7000-8000-000000000016",
)
.optional();
const SIGN_UP: &[Field] = &[EMAIL, PASSWORD, FULL_NAME, BIRTH_DATE, SSN, GENDER, INVITATION];
const CHANGES: &[Field] = &[FULL_NAME, BIRTH_DATE, SSN, GENDER];
const CHANGED: &[Field] = &[FULL_NAME, BIRTH_DATE];
const PROFILE: &[Field] =
    &[EMAIL, FULL_NAME, BIRTH_DATE, GENDER, Field::object("employer", "Employer of the user.").optional()];
const CREDENTIALS: &[Field] = &[EMAIL, Field::text("password", "Password.", "long enough", forms::SECRET)];
const REFRESH: &[Field] = &[Field::text("refresh", "Refresh token.", "eyJ…", forms::SECRET)];
const ACCESS: &[Field] = &[Field::text("access", "Access token.", "eyJ…", forms::SECRET)];
const TOKENS: &[Field] = &[
    Field::text("user_id", "Id of the signed-in user.", "0198d7a2-7c00-7000-8000-000000000003", forms::ANY),
    Field::text("refresh", "Refresh token.", "eyJ…", forms::SECRET),
    Field::text("access", "Access token.", "eyJ…", forms::SECRET),
];
const ACCEPTED: &[Field] = &[
    Field::text(
        "detail",
        "Human-readable message. It is the same whether or not the address belongs to a user.",
        "You will receive an email.",
        forms::ANY,
    ),
    Field::text("code", "Always `email-sent`.", "email-sent", forms::ANY),
];
const RESET: &[Field] = &[
    Field::text(
        "token",
        "Token from the recovery e-mail.",
        "CDDD70B1-5F1B-4FAC-9BAD-04B814C1E3A7",
        forms::SECRET,
    ),
    PASSWORD,
];

fn identity(body: &Body) -> domain::Result<Identity> {
    body.fits(CHANGES)?;
    Ok(Identity {
        full_name: body.optional_text("full_name")?,
        birth_date: body.optional_text("date_of_birth")?,
        ssn: body.optional_text("social_security_number")?,
        gender: body.optional_text("gender")?,
    })
}

/// Response to a sign-up.
#[derive(Serialize, ToSchema)]
struct SignedUp {
    /// Opaque identifier.
    id: Uuid,
    /// E-mail address.
    email: String,
    /// Full name.
    full_name: Option<String>,
    /// Date of birth.
    date_of_birth: Option<String>,
}

async fn sign_up(State(app): State<App>, actor: Caller, Form(body): Form) -> Result<Json<SignedUp>> {
    let new = NewSignUp {
        email: body.text("email")?,
        password: body.secret("password")?,
        identity: identity(&body)?,
        invitation_id: body.optional_id("invitation_id", Kind::Invitation)?,
    };
    // Return only what this request contained: an invited user may already have stored data, and the session
    // has not passed two-factor authentication.
    let sent = (new.email.trim().to_owned(), new.identity.full_name.clone(), new.identity.birth_date.clone());
    let (user, _) = logins::sign_up(&app, &actor, new).await?;
    let (email, full_name, date_of_birth) = sent;
    Ok(Json(SignedUp {
        id: user.id,
        email,
        full_name: full_name.map(|name| name.trim().to_owned()),
        date_of_birth,
    }))
}

fn birth_date(app: &App, user: &user::Model) -> domain::Result<Option<String>> {
    Ok(domain::people::applicants::birth_date(app, user)?.map(|date| date.to_string()))
}

async fn read(State(app): State<App>, actor: Caller, Id(id): Id) -> Result<Json<Value>> {
    let Profile { user, birth_date, employer } =
        profiles::find(&app, &actor, ids::parse(Kind::User, &id)).await?;
    let employer = employer.map(|employer| {
        json!({
            "company_name": employer.company_name,
            "retirement_401k_plaid_institution_id": employer.retirement_institution_id,
        })
    });
    Ok(Json(json!({
        "email": user.email,
        "full_name": full_name(&user),
        "date_of_birth": birth_date.map(|date| date.reveal().to_string()),
        "gender": user.gender,
        "employer": employer,
    })))
}

async fn update(State(app): State<App>, actor: Caller, Id(id): Id, Form(body): Form) -> Result<Json<Value>> {
    let identity = identity(&body).map_err(|error| command::unreadable::<UpdateProfile>(&actor, error))?;
    let update = UpdateProfile { user_id: ids::parse(Kind::User, &id), identity };
    let user = profiles::update(&app, &actor, update).await?;
    Ok(Json(json!({ "full_name": full_name(&user), "date_of_birth": birth_date(&app, &user)? })))
}

async fn mail_data(State(app): State<App>, actor: Caller, Id(id): Id) -> Result<StatusCode> {
    profiles::mail_data(&app, &actor, ids::parse(Kind::User, &id)).await?;
    Ok(StatusCode::NO_CONTENT)
}

async fn sign_in(State(app): State<App>, actor: Caller, Form(body): Form) -> Result<Json<Value>> {
    let issued = logins::sign_in(&app, &actor, &body.text("email")?, body.secret("password")?).await?;
    Ok(Json(
        json!({ "user_id": issued.user_id, "refresh": issued.refresh.reveal(), "access": issued.access.reveal() }),
    ))
}

async fn refresh(State(app): State<App>, actor: Caller, Form(body): Form) -> Result<Json<Value>> {
    let issued =
        sessions::renew(&app, actor.request_id, body.secret("refresh")?.reveal(), Renewal::Access).await?;
    Ok(Json(json!({ "access": issued.access.reveal() })))
}

async fn sign_out(State(app): State<App>, actor: Caller, Form(body): Form) -> Result<StatusCode> {
    sessions::sign_out(&app, &actor, body.secret("refresh")?.reveal()).await?;
    Ok(StatusCode::NO_CONTENT)
}

async fn invitation(State(app): State<App>, Id(id): Id) -> Result<Json<Value>> {
    let invitation = invitations::find_open(&app.db.read, ids::parse(Kind::Invitation, &id)).await?;
    let invitation = invitation.ok_or_else(|| Refusal::not_found("id"))?;
    Ok(Json(json!({ "email": invitation.email })))
}

async fn recover(State(app): State<App>, actor: Caller, Form(body): Form) -> Result<Json<Value>> {
    recoveries::request(&app, &actor, &body.text("email")?).await?;
    Ok(Json(
        json!({ "detail": "You will receive an email with further instructions.", "code": "email-sent" }),
    ))
}

async fn reset(State(app): State<App>, actor: Caller, Form(body): Form) -> Result<StatusCode> {
    recoveries::reset(&app, &actor, body.secret("token")?.reveal(), body.secret("password")?).await?;
    Ok(StatusCode::NO_CONTENT)
}
