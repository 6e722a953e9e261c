//! Second factors of users: verified phone numbers and authenticator apps.

use crate::{
    Error, Result,
    kernel::{
        app::App,
        command::CommandContext,
        secrets::{AssociatedData, Secret},
    },
    people::person,
};
use entity::second_factor::{self, Column};
use sea_orm::{
    ActiveValue::Set,
    ColumnTrait, ConnectionTrait, EntityTrait, QueryFilter, QuerySelect,
    sea_query::{LockType, OnConflict},
};
use uuid::Uuid;

/// Column of verified phone numbers, as associated data.
pub const PHONE: &str = "second_factor.phone";

/// Second factors that a user has set up.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Factors {
    /// Last four digits of the verified phone number.
    pub phone_last4: Option<String>,
    /// Whether an authenticator app is set up.
    pub totp: bool,
}

/// Returns the second-factor row of a user, if there is one.
pub async fn row(connection: &impl ConnectionTrait, user_id: Uuid) -> Result<Option<second_factor::Model>> {
    Ok(second_factor::Entity::find_by_id(user_id).one(connection).await?)
}

/// Returns the second factors of several users, without users that have no row.
pub async fn of_users(
    app: &App,
    connection: &impl ConnectionTrait,
    partner_id: Uuid,
    users: &[Uuid],
) -> Result<Vec<(Uuid, Factors)>> {
    let select = second_factor::Entity::find()
        .filter(Column::UserId.is_in(users.iter().copied()))
        .filter(Column::PartnerId.eq(partner_id));
    let rows = select.all(connection).await?;
    rows.iter().map(|row| Ok((row.user_id, factors(app, row)?))).collect()
}

/// Returns the second factors of a user.
pub async fn of(app: &App, user_id: Uuid) -> Result<Factors> {
    match row(&app.db.read, user_id).await? {
        Some(row) => factors(app, &row),
        None => Ok(Factors::default()),
    }
}

fn factors(app: &App, row: &second_factor::Model) -> Result<Factors> {
    let phone = verified_phone(app, row)?;
    Ok(Factors {
        phone_last4: phone.map(|phone| person::last4(phone.reveal())),
        totp: row.totp_confirmed_at.is_some(),
    })
}

/// Returns a user's verified phone number.
pub fn verified_phone(app: &App, row: &second_factor::Model) -> Result<Option<Secret<String>>> {
    let associated_data = AssociatedData { column: PHONE, row: row.user_id, partner: row.partner_id };
    match (&row.phone, row.phone_verified_at) {
        (Some(sealed), Some(_)) => Ok(Some(app.vault.open_text(associated_data, sealed)?)),
        _ => Ok(None),
    }
}

/// Refuses to set up another factor in a session that has not passed the existing one.
pub fn require_passed(passed: bool, present: Option<&second_factor::Model>) -> Result<()> {
    let has_one =
        present.is_some_and(|row| row.phone_verified_at.is_some() || row.totp_confirmed_at.is_some());
    if has_one && !passed { Err(Error::TwoFactorRequired) } else { Ok(()) }
}

/// Locks a user's second-factor row and creates it if it does not exist.
pub async fn locked(ctx: &CommandContext<'_>, user_id: Uuid) -> Result<second_factor::Model> {
    let row = second_factor::ActiveModel {
        user_id: Set(user_id),
        partner_id: Set(ctx.partner.id),
        phone: Set(None),
        phone_index: Set(None),
        phone_verified_at: Set(None),
        totp: Set(None),
        totp_confirmed_at: Set(None),
        totp_step: Set(0),
    };
    let insert = second_factor::Entity::insert(row)
        .on_conflict(OnConflict::column(Column::UserId).do_nothing().to_owned());
    insert.exec_without_returning(ctx.tx).await?;
    let select = second_factor::Entity::find_by_id(user_id)
        .filter(Column::PartnerId.eq(ctx.partner.id))
        .lock(LockType::NoKeyUpdate);
    select.one(ctx.tx).await?.ok_or_else(|| Error::broken("a second-factor row is missing"))
}

/// Whether another user of the partner has verified this phone number.
pub async fn is_taken(ctx: &CommandContext<'_>, user_id: Uuid, phone_index: &[u8]) -> Result<bool> {
    let found = second_factor::Entity::find()
        .filter(Column::PartnerId.eq(ctx.partner.id))
        .filter(Column::PhoneIndex.eq(phone_index.to_vec()))
        .filter(Column::UserId.ne(user_id))
        .one(ctx.tx)
        .await?;
    Ok(found.is_some())
}
