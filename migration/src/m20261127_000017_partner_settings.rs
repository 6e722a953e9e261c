//! Adds the settings of partners.

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
ALTER TABLE partner ADD COLUMN settings text NOT NULL DEFAULT '[]';
";
