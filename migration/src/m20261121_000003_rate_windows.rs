//! Creates the table of rate limit windows.

use crate::words;
use sea_orm_migration::prelude::*;

#[derive(DeriveMigrationName)]
pub struct Migration;

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        words::execute(manager, TABLES).await
    }
}

const TABLES: &str = "
CREATE TABLE rate_window (
    key {bytes} PRIMARY KEY,
    ends_at {instant} NOT NULL,
    used {long} NOT NULL CHECK (used >= 0),
    granted {long} NOT NULL CHECK (granted > 0)
) {strict};
CREATE INDEX rate_window_by_age ON rate_window (ends_at);
";
