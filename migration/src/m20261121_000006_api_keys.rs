//! Adds a label, the chain of rotations and an expiry to API keys.

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
