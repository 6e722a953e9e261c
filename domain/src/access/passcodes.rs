//! One-time passcodes by text message: six digits, valid for five minutes, five attempts and one use.

use super::{second_factors, sessions};
use crate::{
    Actor, Code, Error, Refusal, Result, Scope,
    delivery::messages::{self, NewMessage},
    kernel::{
        actor::SignedInUser,
        app::App,
        audit_log, clock,
        command::{self, Command, CommandContext, Identified},
        limits,
        secrets::{self, AssociatedData},
    },
    people::person::{self, Phone},
};
use chrono::{DateTime, Duration, Utc};
use entity::{
    Kind,
    message::{Channel, Purpose},
    partner::Mode,
    passcode::{self, Column},
    second_factor,
};
use sea_orm::{
    ActiveModelTrait,
    ActiveValue::Set,
    ColumnTrait, ConnectionTrait, EntityTrait, QueryFilter, QueryOrder, QuerySelect, SqlErr,
    sea_query::{Expr, ExprTrait},
};
use serde::{Deserialize, Serialize};
use subtle::ConstantTimeEq;
use uuid::Uuid;

/// How long a passcode is valid, and how many attempts it allows.
const PASSCODE_TTL: Duration = Duration::minutes(5);
const MAX_ATTEMPTS: i32 = 5;

/// Number of characters of a hash code.
const HASH_CODE_LENGTH: usize = 24;

/// Column of the phone numbers that passcodes were sent to, as associated data.
pub const PHONE: &str = "passcode.phone";

/// A passcode that was sent.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Sent {
    pub passcode_id: Uuid,
    /// Identifies the passcode in [`verify`].
    pub hash_code: String,
    /// Last four digits of the phone number.
    pub phone_last4: String,
}

#[derive(Serialize)]
struct SendPasscode {
    user: Uuid,
    #[serde(skip)]
    session: SignedInUser,
    phone: Option<String>,
}

/// Sends a passcode by text message to the verified phone number of the signed-in user, or to a new number,
/// which it verifies.
///
/// A new passcode invalidates older ones. At most one in 30 seconds and five in an hour, for each user and
/// each phone number (documented: sending by SMS with an optional number).
pub async fn send(app: &App, actor: &Actor, user_id: Uuid, phone: Option<String>) -> Result<Sent> {
    let session = require_own_id(actor, user_id)?;
    let caller = session.caller();
    Ok(command::execute_for(
        app,
        caller,
        actor.request_id,
        None,
        SendPasscode { user: user_id, session, phone },
    )
    .await?
    .value)
}

/// Returns the signed-in user if `user_id` is theirs. Any other user is not found.
pub fn require_own_id(actor: &Actor, user_id: Uuid) -> Result<SignedInUser> {
    let user = actor.signed_in()?;
    if user.user_id == user_id { Ok(user.clone()) } else { Err(Refusal::not_found("userId").into()) }
}

impl Identified for Sent {
    fn id(&self) -> Uuid {
        self.passcode_id
    }
}

impl Command for SendPasscode {
    const NAME: &'static str = "passcode.send";
    const SCOPE: Scope = Scope::Start;
    type Output = Sent;

    fn check(&self, _: Mode) -> Result<()> {
        match &self.phone {
            Some(phone) => parse(phone).map(|_| ()),
            None => Ok(()),
        }
    }

    async fn execute(&self, ctx: &CommandContext<'_>) -> Result<Sent> {
        let user_id = self.session.user_id;
        // Serializes passcodes of a partner, so that they are counted correctly.
        clock::locked(ctx.tx, ctx.partner.id).await?;
        let present = second_factors::row(ctx.tx, user_id).await?;
        let verified = match &present {
            Some(row) => second_factors::verified_phone(ctx.app, row)?,
            None => None,
        };
        let phone = match (&self.phone, verified) {
            (Some(_), Some(_)) => {
                return Err(Refusal::new(
                    Code::PhoneVerified,
                    "phone",
                    "User already has a verified phone number.",
                )
                .into());
            }
            (None, None) => {
                return Err(Refusal::new(
                    Code::PhoneNotVerified,
                    "",
                    "User does not have a verified phone number.",
                )
                .into());
            }
            (Some(new), None) => {
                second_factors::require_passed(self.session.two_factor, present.as_ref())?;
                parse(new)?.to_string()
            }
            (None, Some(verified)) => verified.reveal().clone(),
        };
        let phone_index = ctx.app.vault.blind_index(second_factors::PHONE, ctx.partner.id, &phone);
        let new = self.phone.is_some();
        require_allowed_rate(ctx, user_id, new.then_some(&phone_index)).await?;
        let now = clock::system_now();
        passcode::Entity::update_many()
            .col_expr(Column::UsedAt, Expr::value(now))
            .filter(Column::UserId.eq(user_id))
            .filter(Column::UsedAt.is_null())
            .exec(ctx.tx)
            .await?;
        let id = ctx.app.ids.next(Kind::Passcode);
        let code = six_digits()?;
        let expires_at = now + PASSCODE_TTL;
        let associated_data = AssociatedData { column: PHONE, row: id, partner: ctx.partner.id };
        let row = passcode::Model {
            id,
            partner_id: ctx.partner.id,
            user_id,
            hash_code: secrets::random_base62(HASH_CODE_LENGTH)?,
            phone: ctx.app.vault.seal(associated_data, phone.as_bytes())?,
            phone_index,
            mac: mac(ctx.app, id, &code),
            attempts: 0,
            sent_at: now,
            expires_at,
            used_at: None,
        };
        let sent =
            Sent { passcode_id: id, hash_code: row.hash_code.clone(), phone_last4: person::last4(&phone) };
        passcode::ActiveModel::from(row).reset_all().insert(ctx.tx).await?;
        let message = NewMessage {
            user_id: Some(user_id),
            channel: Channel::Sms,
            purpose: Purpose::Passcode,
            to: phone,
            subject: String::new(),
            text: format!(
                "Your passcode is {code}. It expires in five minutes. Do not share it with anyone."
            ),
            send_by: Some(expires_at),
        };
        messages::post(ctx.app, ctx.tx, ctx.partner, message).await?;
        Ok(sent)
    }
}

fn parse(phone: &str) -> Result<Phone> {
    let invalid = || Refusal::new(Code::InvalidPhone, "phone", "Invalid phone number.");
    Ok(Phone::parse(phone).map_err(|_| invalid())?)
}

/// Generates six random digits, uniformly distributed.
fn six_digits() -> Result<String> {
    const WHOLE: u32 = u32::MAX - u32::MAX % 1_000_000;
    loop {
        let number = u32::from_be_bytes(secrets::random::<4>()?);
        if number < WHOLE {
            return Ok(format!("{:06}", number % 1_000_000));
        }
    }
}

/// Whether a text is exactly six ASCII digits: the form of passcodes and authenticator codes.
pub fn is_six_digits(code: &str) -> bool {
    code.len() == 6 && code.bytes().all(|byte| byte.is_ascii_digit())
}

fn mac(app: &App, id: Uuid, code: &str) -> Vec<u8> {
    app.vault.passcode_mac(&[id.as_bytes(), code.as_bytes()].concat()).to_vec()
}

/// Refuses a passcode if too many were sent recently. For a new number, passcodes that other users sent to it
/// count; for the user's own verified number, only their own do.
async fn require_allowed_rate(
    ctx: &CommandContext<'_>,
    user_id: Uuid,
    new_phone: Option<&Vec<u8>>,
) -> Result<()> {
    let now = clock::system_now();
    let to_user = Column::UserId.eq(user_id);
    let to_phone =
        new_phone.map(|phone| Column::PartnerId.eq(ctx.partner.id).and(Column::PhoneIndex.eq(phone.clone())));
    let (since, count) = limits::PASSCODES.counted(now);
    for subject in [Some(to_user), to_phone].into_iter().flatten() {
        let sent: Vec<DateTime<Utc>> = passcode::Entity::find()
            .select_only()
            .column(Column::SentAt)
            .filter(subject)
            .filter(Column::SentAt.gt(since))
            .order_by_desc(Column::SentAt)
            .limit(count)
            .into_tuple()
            .all(ctx.tx)
            .await?;
        limits::PASSCODES.require_spaced(now, &sent)?;
    }
    Ok(())
}

#[derive(Serialize)]
struct VerifyPasscode {
    passcode: Uuid,
    user: Uuid,
    session: Uuid,
    /// Whether the session has passed a second factor already.
    passed: bool,
}

/// Verifies a passcode: the signed-in user's session passes its second factor, and a new phone number becomes
/// verified. The same access token works at once.
///
/// Allows five attempts in total, also when they arrive at the same time; text other than six digits is a
/// failed attempt (documented: verifying by hash code and passcode).
pub async fn verify(app: &App, actor: &Actor, user_id: Uuid, hash_code: &str, code: &str) -> Result<()> {
    let user = require_own_id(actor, user_id)?;
    if hash_code.len() != HASH_CODE_LENGTH || !hash_code.bytes().all(|byte| byte.is_ascii_alphanumeric()) {
        return Err(invalid_hash_code().into());
    }
    let found = passcode::Entity::find()
        .filter(Column::HashCode.eq(hash_code))
        .filter(Column::PartnerId.eq(user.partner_id));
    let passcode = found.one(&app.db.read).await?.ok_or_else(invalid_hash_code)?;
    if passcode.user_id != user.user_id {
        return Err(Refusal::new(
            Code::InvalidHashCode,
            "hashCode",
            "Hash_code does not belong to the user.",
        )
        .into());
    }
    if !count_attempt(app, passcode.id).await? {
        return Err(invalid_hash_code().into());
    }
    if !is_six_digits(code) || !bool::from(mac(app, passcode.id, code).ct_eq(&passcode.mac)) {
        audit_log::failed(
            app,
            &user.caller(),
            actor.request_id,
            VerifyPasscode::NAME,
            Code::InvalidPasscode.name(),
        )
        .await?;
        return Err(invalid_code("passcode"));
    }
    let verify = VerifyPasscode {
        passcode: passcode.id,
        user: user.user_id,
        session: user.session_id,
        passed: user.two_factor,
    };
    command::execute_for(app, user.caller(), actor.request_id, None, verify).await?;
    Ok(())
}

fn invalid_hash_code() -> Refusal {
    Refusal::new(Code::InvalidHashCode, "hashCode", "Invalid hash code.")
}

/// Error for a wrong code in `field`.
pub fn invalid_code(field: &str) -> Error {
    Refusal::new(Code::InvalidPasscode, field, "Invalid passcode.").into()
}

/// Counts an attempt before the code is compared. Returns whether the attempt is allowed.
async fn count_attempt(app: &App, id: Uuid) -> Result<bool> {
    let tx = app.db.write().await?;
    let counted = passcode::Entity::update_many()
        .col_expr(Column::Attempts, Expr::col(Column::Attempts).add(1))
        .filter(Column::Id.eq(id))
        .filter(Column::Attempts.lt(MAX_ATTEMPTS))
        .filter(Column::UsedAt.is_null())
        .filter(Column::ExpiresAt.gt(clock::system_now()))
        .exec(&tx)
        .await?;
    tx.commit().await?;
    Ok(counted.rows_affected == 1)
}

impl Command for VerifyPasscode {
    const NAME: &'static str = "passcode.verify";
    const SCOPE: Scope = Scope::Start;
    type Output = Uuid;

    async fn execute(&self, ctx: &CommandContext<'_>) -> Result<Uuid> {
        let used = passcode::Entity::update_many()
            .col_expr(Column::UsedAt, Expr::value(clock::system_now()))
            .filter(Column::Id.eq(self.passcode))
            .filter(Column::UsedAt.is_null())
            .exec(ctx.tx)
            .await?;
        let passcode = passcode::Entity::find_by_id(self.passcode)
            .one(ctx.tx)
            .await?
            .filter(|_| used.rows_affected == 1);
        let passcode = passcode.ok_or_else(invalid_hash_code)?;
        let present = second_factors::locked(ctx, self.user).await?;
        if present.phone_verified_at.is_none() {
            // An authenticator app may have been set up since the passcode was sent.
            second_factors::require_passed(self.passed, Some(&present))?;
            verify_phone(ctx, present, &passcode).await?;
        } else if present.phone_index.as_ref() != Some(&passcode.phone_index) {
            // Another number has been verified since the passcode was sent.
            return Err(invalid_hash_code().into());
        }
        sessions::pass_second_factor(ctx.tx, self.session).await?;
        Ok(self.passcode)
    }
}

async fn verify_phone(
    ctx: &CommandContext<'_>,
    present: second_factor::Model,
    passcode: &passcode::Model,
) -> Result<()> {
    let taken = || Error::from(Refusal::new(Code::PhoneTaken, "", "The phone number is already taken."));
    if second_factors::is_taken(ctx, present.user_id, &passcode.phone_index).await? {
        return Err(taken());
    }
    let (user_id, partner) = (present.user_id, ctx.partner.id);
    let phone = ctx
        .app
        .vault
        .open_text(AssociatedData { column: PHONE, row: passcode.id, partner }, &passcode.phone)?;
    let associated_data = AssociatedData { column: second_factors::PHONE, row: user_id, partner };
    let mut row: second_factor::ActiveModel = present.into();
    row.phone = Set(Some(ctx.app.vault.seal(associated_data, phone.reveal().as_bytes())?));
    row.phone_index = Set(Some(passcode.phone_index.clone()));
    row.phone_verified_at = Set(Some(clock::system_now()));
    match row.update(ctx.tx).await {
        Ok(_) => Ok(()),
        Err(error) if matches!(error.sql_err(), Some(SqlErr::UniqueConstraintViolation(_))) => Err(taken()),
        Err(error) => Err(error.into()),
    }
}

/// Deletes passcodes sent more than a day ago and returns their number.
pub async fn forget_old(connection: &impl ConnectionTrait) -> Result<u64> {
    let oldest = clock::system_now() - Duration::days(1);
    Ok(passcode::Entity::delete_many()
        .filter(Column::SentAt.lt(oldest))
        .exec(connection)
        .await?
        .rows_affected)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn passcodes_are_six_digits() {
        for _ in 0..1_000 {
            let code = six_digits().unwrap();
            assert!(code.len() == 6 && code.bytes().all(|byte| byte.is_ascii_digit()), "{code}");
        }
    }
}
