//! The keys that encrypt, each wrapped by the encryption key.

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

/// Null is unlike null in a unique key, hence one for partners and one for the house.
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
