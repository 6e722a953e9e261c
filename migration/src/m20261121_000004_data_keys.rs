//! Creates the table of data keys, which are wrapped by the configured encryption key.

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

/// Nulls are distinct in a unique index, so there is one index for partners' keys and one for the server's.
const TABLES: &str = "
CREATE TABLE data_key (
    id {uuid} PRIMARY KEY,
    partner_id {uuid} REFERENCES partner (id),
    purpose text NOT NULL CHECK (purpose IN ('data', 'index', 'pepper', 'fingerprint', 'tokens', 'passcodes')),
    number integer NOT NULL CHECK (number >= 1),
    wrapped {bytes} NOT NULL,
    kek text NOT NULL,
    created_at {instant} NOT NULL,
    retired_at {instant}
) {strict};
CREATE UNIQUE INDEX data_key_of_partner ON data_key (partner_id, purpose, number) WHERE partner_id IS NOT NULL;
CREATE UNIQUE INDEX data_key_of_house ON data_key (purpose, number) WHERE partner_id IS NULL;
";
