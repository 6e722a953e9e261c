//! What time it is: the system's, or the one a sandbox partner has chosen to live in.

use super::{db::WriteTransaction, error::Error};
use crate::Result;
use chrono::{DateTime, Duration, SubsecRound, Utc};
use entity::partner::{self, Mode};
use sea_orm::{ConnectionTrait, EntityTrait, QuerySelect, sea_query::LockType};
use uuid::Uuid;

/// The system's time in whole microseconds, the finest both databases keep.
#[expect(clippy::disallowed_methods, reason = "the one place where the system's time is read")]
pub fn system_now() -> DateTime<Utc> {
    Utc::now().trunc_subsecs(6)
}

/// The partner's time: the system's for a live partner, its own for a sandbox.
pub fn now_of(partner: &partner::Model) -> DateTime<Utc> {
    match (partner.mode, partner.clock_frozen_at) {
        (Mode::Live, _) => system_now(),
        (Mode::Sandbox, Some(frozen)) => frozen,
        (Mode::Sandbox, None) => system_now() + Duration::microseconds(partner.clock_offset),
    }
}

/// The partner with this id; a fault when there is none, since callers have proved to be of it.
pub async fn partner(connection: &impl ConnectionTrait, id: Uuid) -> Result<partner::Model> {
    partner::Entity::find_by_id(id)
        .one(connection)
        .await?
        .ok_or_else(|| Error::broken("a caller's partner is gone"))
}

/// The partner's row, held by this transaction, so that a partner's clock and timers move one at a time on
/// every instance.
pub async fn locked(tx: &WriteTransaction, partner_id: Uuid) -> Result<partner::Model> {
    partner::Entity::find_by_id(partner_id)
        .lock(LockType::NoKeyUpdate)
        .one(tx)
        .await?
        .ok_or_else(|| Error::broken("a partner is gone"))
}
