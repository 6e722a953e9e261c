//! Progress of the screening of existing users that follows an import.

use crate::{Result, kernel::clock};
use entity::{kyc, screening_run};
use sea_orm::{
    ActiveModelTrait, ColumnTrait, ConnectionTrait, EntityTrait, IntoActiveModel, PaginatorTrait,
    QueryFilter, QueryOrder, Select,
};
use uuid::Uuid;

/// Returns the newest run; none before the first import.
pub async fn newest(connection: &impl ConnectionTrait) -> Result<Option<screening_run::Model>> {
    Ok(screening_run::Entity::find()
        .order_by_desc(screening_run::Column::WatchListId)
        .one(connection)
        .await?)
}

/// Begins a run over all users and deletes an unfinished one.
pub async fn begin(connection: &impl ConnectionTrait, watch_list_id: Uuid) -> Result<()> {
    screening_run::Entity::delete_many()
        .filter(screening_run::Column::FinishedAt.is_null())
        .exec(connection)
        .await?;
    let run = screening_run::Model {
        watch_list_id,
        started_at: clock::system_now(),
        people: i64::try_from(of_users().count(connection).await?).unwrap_or(i64::MAX),
        screened: 0,
        failed: 0,
        hits: 0,
        last_kyc_id: None,
        leased_by: None,
        leased_until: None,
        finished_at: None,
    };
    run.into_active_model().reset_all().insert(connection).await?;
    Ok(())
}

/// Returns the current identity checks of all users.
pub(crate) fn of_users() -> Select<kyc::Entity> {
    kyc::Entity::find().filter(kyc::Column::UserId.is_not_null()).filter(kyc::Column::SupersededAt.is_null())
}
