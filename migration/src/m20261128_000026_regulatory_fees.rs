//! Adds the regulatory fees of sales to fills.

use crate::words;
use sea_orm_migration::prelude::*;

#[derive(DeriveMigrationName)]
pub struct Migration;

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        words::execute(manager, CHANGES).await
    }
}

const CHANGES: &str = "
ALTER TABLE fill ADD COLUMN sec_fee {long} NOT NULL DEFAULT 0 CHECK (sec_fee >= 0);
ALTER TABLE fill ADD COLUMN trading_activity_fee {long} NOT NULL DEFAULT 0 CHECK (trading_activity_fee >= 0);
";
