//! Creates the table of signed heads of the hash chains of events and audit lines.

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

/// Migrations have no key, so the first server that starts signs the heads of the existing chains.
const TABLES: &str = "
CREATE TABLE chain_head (
    partner_id {uuid} NOT NULL REFERENCES partner (id),
    chain text NOT NULL CHECK (chain IN ('event', 'audit_log')),
    sealed {long} NOT NULL CHECK (sealed >= 0),
    hash {bytes} NOT NULL,
    mac {bytes} NOT NULL,
    PRIMARY KEY (partner_id, chain)
) {strict};
";
