//! The current time: the system's, or a sandbox partner's own.

use super::{db::WriteTransaction, error::Error};
use crate::Result;
use chrono::{DateTime, Duration, SubsecRound, Utc};
use entity::partner::{self, Mode};
use sea_orm::{ConnectionTrait, EntityTrait, QuerySelect, sea_query::LockType};
use uuid::Uuid;

/// Returns the system time in whole microseconds, the precision that both databases store.
#[expect(clippy::disallowed_methods, reason = "the one place where the system's time is read")]
pub fn system_now() -> DateTime<Utc> {
    Utc::now().trunc_subsecs(6)
}

/// Returns the partner's time: the system time for a live partner, the partner's own clock for a sandbox.
pub fn now_of(partner: &partner::Model) -> DateTime<Utc> {
    match (partner.mode, partner.clock_frozen_at) {
        (Mode::Live, _) => system_now(),
        (Mode::Sandbox, Some(frozen)) => frozen,
        (Mode::Sandbox, None) => system_now() + Duration::microseconds(partner.clock_offset),
    }
}

/// Returns the partner with this id. A missing partner is a fault, since only authenticated callers get here.
pub async fn partner(connection: &impl ConnectionTrait, id: Uuid) -> Result<partner::Model> {
    partner::Entity::find_by_id(id)
        .one(connection)
        .await?
        .ok_or_else(|| Error::broken("the caller's partner does not exist"))
}

/// Locks the partner's row until the transaction ends, so that the partner's clock and timers advance one at
/// a time across all servers.
pub async fn locked(tx: &WriteTransaction, partner_id: Uuid) -> Result<partner::Model> {
    partner::Entity::find_by_id(partner_id)
        .lock(LockType::NoKeyUpdate)
        .one(tx)
        .await?
        .ok_or_else(|| Error::broken("the partner does not exist"))
}
