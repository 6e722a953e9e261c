//! Counts the uses of all limits in one table.

use crate::words;
use sea_orm_migration::{prelude::*, sea_orm::DbBackend};

#[derive(DeriveMigrationName)]
pub struct Migration;

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    fn use_transaction(&self) -> Option<bool> {
        Some(true)
    }

    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        let a_day_later = match manager.get_database_backend() {
            DbBackend::Postgres => "last_at + interval '1 day'",
            _ => "strftime('%Y-%m-%dT%H:%M:%f', last_at, '+1 day') || '+00:00'",
        };
        words::execute(manager, &CHANGES.replace("{a_day_later}", a_day_later)).await
    }
}

/// Failures are forgotten a day after the last one.
const CHANGES: &str = "
DROP INDEX rate_window_by_age;
ALTER TABLE rate_window RENAME TO limit_use;
ALTER TABLE limit_use ADD COLUMN blocked_until {instant};
CREATE INDEX limit_use_by_age ON limit_use (ends_at);
INSERT INTO limit_use (key, ends_at, used, granted, blocked_until)
    SELECT subject, {a_day_later}, failures, 1, blocked_until FROM throttle;
DROP TABLE throttle;
";
