//! `account/v1/…`: signing up and in, the profile, invitations, a forgotten password.

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
        .described(Description::new("Look at one's profile.").tells(PROFILE)),
    Route::put("/account/v1/users/{id}", |filter| on(filter, amend)).described(
        Description::new("Change one's profile; what is left out stays.").takes(AMENDMENT).tells(AMENDED),
    ),
    Route::get("/account/v1/users/{id}/send_data_email", |filter| on(filter, mail_data)).described(MAIL_DATA),
    Route::post("/account/v1/users/{id}/send_data_email", |filter| on(filter, mail_data))
        .described(MAIL_DATA),
    Route::post("/account/v1/auth/token", |filter| on(filter, sign_in))
        .described(Description::new("Sign in.").takes(CREDENTIALS).tells(TOKENS)),
    Route::delete("/account/v1/auth/token", |filter| on(filter, sign_out))
        .described(Description::new("Sign out; the access token lives on until it expires.").takes(REFRESH)),
    Route::post("/account/v1/auth/token/refresh", |filter| on(filter, refresh))
        .described(Description::new("Get another access token.").takes(REFRESH).tells(ACCESS)),
    Route::get("/account/v1/invitation/{id}", |filter| on(filter, invitation))
        .described(Description::new("Look at an invitation.").tells(&[EMAIL])),
    Route::post("/account/v1/password_recovery", |filter| on(filter, recover)).described(
        Description::new("Ask for a mail by which to choose another password.")
            .takes(&[EMAIL])
            .tells(ACCEPTED),
    ),
    Route::patch("/account/v1/password_recovery/reset", |filter| on(filter, reset))
        .described(Description::new("Choose another password by the token of that mail.").takes(RESET)),
];

const MAIL_DATA: Description = Description::new("Have one's data mailed to the advisors.");
const EMAIL: Field = Field::text("email", "E-mail address.", "ada.carter@example.com", forms::EMAIL);
const PASSWORD: Field =
    Field::text("password", "Password, 8 to 128 characters.", "long enough", forms::PASSWORD);
const FULL_NAME: Field = Field::text("full_name", "Full name.", "Ada Carter", forms::FULL_NAME).optional();
const BORN: Field = Field::text("date_of_birth", "Day of birth.", "1985-01-23", forms::DATE).optional();
const SSN: Field = Field::text(
    "social_security_number",
    "Social security number; never sent back.",
    "123456789",
    forms::SSN,
)
.optional();
const GENDER: Field = Field::text("gender", "Gender.", "female", forms::WORDS).optional();
const INVITATION: Field =
    Field::id("invitation_id", "The invitation that is followed.", "0198d7a2-7c00-7000-8000-000000000016")
        .optional();
const SIGN_UP: &[Field] = &[EMAIL, PASSWORD, FULL_NAME, BORN, SSN, GENDER, INVITATION];
const AMENDMENT: &[Field] = &[FULL_NAME, BORN, SSN, GENDER];
const AMENDED: &[Field] = &[FULL_NAME, BORN];
const PROFILE: &[Field] =
    &[EMAIL, FULL_NAME, BORN, GENDER, Field::object("employer", "Whom the person works for.").optional()];
const CREDENTIALS: &[Field] = &[EMAIL, Field::text("password", "Password.", "long enough", forms::SECRET)];
const REFRESH: &[Field] = &[Field::text("refresh", "Refresh token.", "eyJ…", forms::SECRET)];
const ACCESS: &[Field] = &[Field::text("access", "Access token.", "eyJ…", forms::SECRET)];
const TOKENS: &[Field] = &[
    Field::text("user_id", "Who has signed in.", "0198d7a2-7c00-7000-8000-000000000003", forms::ANY),
    Field::text("refresh", "Refresh token.", "eyJ…", forms::SECRET),
    Field::text("access", "Access token.", "eyJ…", forms::SECRET),
];
const ACCEPTED: &[Field] = &[
    Field::text(
        "detail",
        "A sentence for a person, the same whether or not anybody has this address.",
        "You will receive an email.",
        forms::ANY,
    ),
    Field::text("code", "Always `email-sent`.", "email-sent", forms::ANY),
];
const RESET: &[Field] = &[
    Field::text("token", "The token of the mail.", "CDDD70B1-5F1B-4FAC-9BAD-04B814C1E3A7", forms::SECRET),
    PASSWORD,
];

fn identity(body: &Body) -> domain::Result<Identity> {
    body.fits(AMENDMENT)?;
    Ok(Identity {
        full_name: body.optional_text("full_name")?,
        birth_date: body.optional_text("date_of_birth")?,
        ssn: body.optional_text("social_security_number")?,
        gender: body.optional_text("gender")?,
    })
}

/// The answer to a sign-up.
#[derive(Serialize, ToSchema)]
struct SignedUp {
    /// Opaque identifier.
    id: Uuid,
    /// E-mail address.
    email: String,
    /// Full name.
    full_name: Option<String>,
    /// Day of birth.
    date_of_birth: Option<String>,
}

async fn sign_up(State(app): State<App>, actor: Caller, Form(body): Form) -> Result<Json<SignedUp>> {
    let new = NewSignUp {
        email: body.text("email")?,
        password: body.secret("password")?,
        identity: identity(&body)?,
        invitation_id: body.optional_id("invitation_id", Kind::Invitation)?,
    };
    // What she said herself and no more: an invited person may be known already, and has not passed a second
    // factor.
    let said = (new.email.trim().to_owned(), new.identity.full_name.clone(), new.identity.birth_date.clone());
    let (user, _) = logins::sign_up(&app, &actor, new).await?;
    let (email, full_name, date_of_birth) = said;
    Ok(Json(SignedUp {
        id: user.id,
        email,
        full_name: full_name.map(|name| name.trim().to_owned()),
        date_of_birth,
    }))
}

fn day_of_birth(app: &App, user: &user::Model) -> domain::Result<Option<String>> {
    Ok(domain::people::applicants::birth_date(app, user)?.map(|day| day.to_string()))
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
        "date_of_birth": birth_date.map(|day| day.reveal().to_string()),
        "gender": user.gender,
        "employer": employer,
    })))
}

async fn amend(State(app): State<App>, actor: Caller, Id(id): Id, Form(body): Form) -> Result<Json<Value>> {
    let identity = identity(&body).map_err(|error| command::unreadable::<UpdateProfile>(&actor, error))?;
    let amendment = UpdateProfile { user_id: ids::parse(Kind::User, &id), identity };
    let user = profiles::amend(&app, &actor, amendment).await?;
    Ok(Json(json!({ "full_name": full_name(&user), "date_of_birth": day_of_birth(&app, &user)? })))
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
    let shown = invitations::find_open(&app.db.read, ids::parse(Kind::Invitation, &id)).await?;
    let shown = shown.ok_or_else(|| Refusal::not_found("id"))?;
    Ok(Json(json!({ "email": shown.email })))
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
