//! Adds an index for listing deposits by partner, newest first.

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
CREATE INDEX transfer_of_partner ON transfer (partner_id, id);
";
