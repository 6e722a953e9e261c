//! Keeps the price that a sandbox had set at the last close when it sets another, so that the change of a day counts
//! from it.

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
ALTER TABLE quote_override ADD COLUMN former_bid {long} CHECK (former_bid > 0);
ALTER TABLE quote_override ADD COLUMN former_ask {long} CHECK (former_ask >= former_bid);
ALTER TABLE quote_override ADD COLUMN former_set_at {instant};
";
