//! API keys get a label, a line of succession and an end.

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
ALTER TABLE api_key ADD COLUMN label text NOT NULL DEFAULT '';
ALTER TABLE api_key ADD COLUMN rotated_from {uuid} REFERENCES api_key (id);
ALTER TABLE api_key ADD COLUMN lineage_id {uuid};
ALTER TABLE api_key ADD COLUMN expires_at {instant};
UPDATE api_key SET lineage_id = id;
CREATE INDEX api_key_of_lineage ON api_key (lineage_id);
";
