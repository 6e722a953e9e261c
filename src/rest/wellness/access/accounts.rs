//! `account/v1/…`: sign-up, sign-in, profiles, invitations and password recovery.

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
    kernel::{command, ids, secrets::Secret},
    people::{profiles::full_name, user_changes::PersonPatch},
    wellness::profiles::{self, Profile, UpdateProfile},
};
use entity::{Kind, user};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use uuid::Uuid;

pub const ROUTES: &[Route] = &[
    Route::post("/account/v1/users", |filter| on(filter, sign_up))
        .described(Description::new("Sign up.").takes::<NewLogin>().answers::<SignedUp>()),
    Route::get("/account/v1/users/{id}", |filter| on(filter, read))
        .described(Description::new("Get a user's profile.").answers::<ProfileBody>()),
    Route::put("/account/v1/users/{id}", |filter| on(filter, update)).described(
        Description::new("Update a user's profile. Fields that are left out stay unchanged.")
            .takes::<ProfileChanges>()
            .answers::<ProfileUpdated>(),
    ),
    Route::get("/account/v1/users/{id}/send_data_email", |filter| on(filter, mail_data)).described(MAIL_DATA),
    Route::post("/account/v1/users/{id}/send_data_email", |filter| on(filter, mail_data))
        .described(MAIL_DATA),
    Route::post("/account/v1/auth/token", |filter| on(filter, sign_in))
        .described(Description::new("Sign in.").takes::<Credentials>().answers::<Tokens>()),
    Route::delete("/account/v1/auth/token", |filter| on(filter, sign_out)).described(
        Description::new("Sign out. The access token stays valid until it expires.").takes::<RefreshBody>(),
    ),
    Route::post("/account/v1/auth/token/refresh", |filter| on(filter, refresh)).described(
        Description::new("Get a new access token.").takes::<RefreshBody>().answers::<AccessBody>(),
    ),
    Route::get("/account/v1/invitation/{id}", |filter| on(filter, invitation))
        .described(Description::new("Get an invitation.").answers::<InvitationBody>()),
    Route::post("/account/v1/password_recovery", |filter| on(filter, recover)).described(
        Description::new("Request an e-mail for setting a new password.")
            .takes::<Recovery>()
            .answers::<RecoveryStarted>(),
    ),
    Route::patch("/account/v1/password_recovery/reset", |filter| on(filter, reset)).described(
        Description::new("Set a new password with the token from the recovery e-mail.")
            .takes::<NewPassword>(),
    ),
];

const MAIL_DATA: Description = Description::new("Send a user's data to the advisors by e-mail.");

fields! {
    /// E-mail address.
    Email(String) = forms::EMAIL.whole(), "ada.carter@example.com";
    /// Password, 8 to 128 characters.
    NewPasswordText(String) = forms::PASSWORD, "long enough";
    /// Password.
    Password(String) = forms::SECRET, "long enough";
    /// Full name.
    FullName(String) = forms::FULL_NAME, "Ada Carter";
    /// Date of birth.
    BirthDate(String) = forms::DATE, "1985-01-23";
    /// Social security number. Never returned.
    Ssn(String) = forms::SSN, "123456789";
    /// Gender.
    Gender(String) = forms::WORDS, "female";
    /// Invitation that the user accepts by signing up.
    InvitationId(Uuid) = forms::Id(Kind::Invitation), "0198d7a2-7c00-7000-8000-000000000016";
    /// Refresh token.
    RefreshToken(String) = forms::SECRET, "eyJ…";
    /// Token from the recovery e-mail.
    RecoveryToken(String) = forms::SECRET, "CDDD70B1-5F1B-4FAC-9BAD-04B814C1E3A7";
}

/// Names of a user's fields that are not the snake case of the domain's names.
const NAMES: Names = &[("birthDate", "date_of_birth"), ("ssn", "social_security_number")];

#[derive(Deserialize, ToSchema)]
struct NewLogin {
    email: Email,
    password: NewPasswordText,
    full_name: Option<FullName>,
    date_of_birth: Option<BirthDate>,
    social_security_number: Option<Ssn>,
    gender: Option<Gender>,
    invitation_id: Option<InvitationId>,
}

impl RequestBody for NewLogin {
    const NAMES: Names = NAMES;
}

impl From<NewLogin> for NewSignUp {
    fn from(new: NewLogin) -> Self {
        Self {
            email: new.email.into(),
            password: Secret::new(new.password.into()),
            profile: PersonPatch {
                full_name: new.full_name.map(Into::into),
                birth_date: new.date_of_birth.map(Into::into),
                ssn: new.social_security_number.map(Into::into),
                gender: new.gender.map(Into::into),
                ..PersonPatch::default()
            },
            invitation_id: new.invitation_id.map(Into::into),
        }
    }
}

#[derive(Deserialize, ToSchema)]
struct ProfileChanges {
    full_name: Option<FullName>,
    date_of_birth: Option<BirthDate>,
    social_security_number: Option<Ssn>,
    gender: Option<Gender>,
}

impl RequestBody for ProfileChanges {
    const NAMES: Names = NAMES;
}

impl From<ProfileChanges> for PersonPatch {
    fn from(changes: ProfileChanges) -> Self {
        Self {
            full_name: changes.full_name.map(Into::into),
            birth_date: changes.date_of_birth.map(Into::into),
            ssn: changes.social_security_number.map(Into::into),
            gender: changes.gender.map(Into::into),
            ..Self::default()
        }
    }
}

#[derive(Deserialize, ToSchema)]
struct Credentials {
    email: Email,
    password: Password,
}

impl RequestBody for Credentials {}

#[derive(Deserialize, ToSchema)]
struct RefreshBody {
    refresh: RefreshToken,
}

impl RequestBody for RefreshBody {}

#[derive(Deserialize, ToSchema)]
struct Recovery {
    email: Email,
}

impl RequestBody for Recovery {}

#[derive(Deserialize, ToSchema)]
struct NewPassword {
    token: RecoveryToken,
    password: NewPasswordText,
}

impl RequestBody for NewPassword {}

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

/// Profile of a user.
#[derive(Serialize, ToSchema)]
#[schema(as = Profile)]
struct ProfileBody {
    /// E-mail address.
    email: String,
    /// Full name.
    full_name: Option<String>,
    /// Date of birth.
    date_of_birth: Option<String>,
    /// Gender.
    gender: Option<String>,
    /// Employer of the user.
    employer: Option<EmployerBody>,
}

/// Employer of a user.
#[derive(Serialize, ToSchema)]
#[schema(as = Employer)]
struct EmployerBody {
    /// Name of the company.
    company_name: Option<String>,
    /// Institution of the company's retirement plan.
    retirement_401k_plaid_institution_id: Option<String>,
}

/// Response to the update of a profile.
#[derive(Serialize, ToSchema)]
struct ProfileUpdated {
    /// Full name.
    full_name: Option<String>,
    /// Date of birth.
    date_of_birth: Option<String>,
}

/// Response to a sign-in.
#[derive(Serialize, ToSchema)]
struct Tokens {
    /// Id of the signed-in user.
    user_id: Uuid,
    /// Refresh token.
    refresh: String,
    /// Access token.
    access: String,
}

/// New access token.
#[derive(Serialize, ToSchema)]
#[schema(as = AccessToken)]
struct AccessBody {
    /// Access token.
    access: String,
}

/// Open invitation.
#[derive(Serialize, ToSchema)]
#[schema(as = Invitation)]
struct InvitationBody {
    /// E-mail address.
    email: String,
}

/// Response to a request for a new password.
#[derive(Serialize, ToSchema)]
struct RecoveryStarted {
    /// Human-readable message. It is the same whether or not the address belongs to a user.
    detail: &'static str,
    /// Always `email-sent`.
    code: &'static str,
}

async fn sign_up(
    State(app): State<App>,
    actor: Caller,
    BodyOrNone(body): BodyOrNone<NewLogin>,
) -> Result<Json<SignedUp>> {
    let new = NewSignUp::from(body.parsed()?);
    // Return only what this request contained: an invited user may already have stored data, and the session
    // has not passed two-factor authentication.
    let sent = (new.email.trim().to_owned(), new.profile.full_name.clone(), new.profile.birth_date.clone());
    let (user, _) = logins::sign_up(&app, &actor, new).await.map_err(WellnessError::in_body::<NewLogin>)?;
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

async fn read(State(app): State<App>, actor: Caller, Id(id): Id) -> Result<Json<ProfileBody>> {
    let Profile { user, birth_date, employer } =
        profiles::find(&app, &actor, ids::parse(Kind::User, &id)).await?;
    let full_name = full_name(&user);
    Ok(Json(ProfileBody {
        email: user.email,
        full_name,
        date_of_birth: birth_date.map(|date| date.reveal().to_string()),
        gender: user.gender,
        employer: employer.map(|employer| EmployerBody {
            company_name: employer.company_name,
            retirement_401k_plaid_institution_id: employer.retirement_institution_id,
        }),
    }))
}

async fn update(
    State(app): State<App>,
    actor: Caller,
    Id(id): Id,
    BodyOrNone(body): BodyOrNone<ProfileChanges>,
) -> Result<Json<ProfileUpdated>> {
    let changes = body.parsed().map_err(|error| command::unreadable::<UpdateProfile>(&actor, error))?;
    let update = UpdateProfile { user_id: ids::parse(Kind::User, &id), patch: changes.into() };
    let user =
        profiles::update(&app, &actor, update).await.map_err(WellnessError::in_body::<ProfileChanges>)?;
    Ok(Json(ProfileUpdated { full_name: full_name(&user), date_of_birth: birth_date(&app, &user)? }))
}

async fn mail_data(State(app): State<App>, actor: Caller, Id(id): Id) -> Result<StatusCode> {
    profiles::mail_data(&app, &actor, ids::parse(Kind::User, &id)).await?;
    Ok(StatusCode::NO_CONTENT)
}

async fn sign_in(
    State(app): State<App>,
    actor: Caller,
    BodyOrNone(body): BodyOrNone<Credentials>,
) -> Result<Json<Tokens>> {
    let Credentials { email: Email(email), password: Password(password) } = body.parsed()?;
    let issued = logins::sign_in(&app, &actor, &email, Secret::new(password)).await?;
    Ok(Json(Tokens {
        user_id: issued.user_id,
        refresh: issued.refresh.reveal().clone(),
        access: issued.access.reveal().clone(),
    }))
}

async fn refresh(
    State(app): State<App>,
    actor: Caller,
    BodyOrNone(body): BodyOrNone<RefreshBody>,
) -> Result<Json<AccessBody>> {
    let RefreshToken(token) = body.parsed()?.refresh;
    let issued = sessions::renew(&app, actor.request_id, &token, Renewal::Access).await?;
    Ok(Json(AccessBody { access: issued.access.reveal().clone() }))
}

async fn sign_out(
    State(app): State<App>,
    actor: Caller,
    BodyOrNone(body): BodyOrNone<RefreshBody>,
) -> Result<StatusCode> {
    let RefreshToken(token) = body.parsed()?.refresh;
    sessions::sign_out(&app, &actor, &token).await?;
    Ok(StatusCode::NO_CONTENT)
}

async fn invitation(State(app): State<App>, Id(id): Id) -> Result<Json<InvitationBody>> {
    let invitation = invitations::find_open(&app.db.read, ids::parse(Kind::Invitation, &id)).await?;
    let invitation = invitation.ok_or_else(|| Refusal::not_found("id"))?;
    Ok(Json(InvitationBody { email: invitation.email }))
}

async fn recover(
    State(app): State<App>,
    actor: Caller,
    BodyOrNone(body): BodyOrNone<Recovery>,
) -> Result<Json<RecoveryStarted>> {
    let Email(email) = body.parsed()?.email;
    recoveries::request(&app, &actor, &email).await?;
    let detail = "You will receive an email with further instructions.";
    Ok(Json(RecoveryStarted { detail, code: "email-sent" }))
}

async fn reset(
    State(app): State<App>,
    actor: Caller,
    BodyOrNone(body): BodyOrNone<NewPassword>,
) -> Result<StatusCode> {
    let NewPassword { token: RecoveryToken(token), password } = body.parsed()?;
    recoveries::reset(&app, &actor, &token, Secret::new(password.into())).await?;
    Ok(StatusCode::NO_CONTENT)
}
