//! Creates the table of one-minute bars that are pushed or imported for a partner.

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
CREATE TABLE bar (
    partner_id {uuid} NOT NULL REFERENCES partner (id),
    instrument_id {uuid} NOT NULL REFERENCES instrument (id),
    starts_at {instant} NOT NULL,
    open {long} NOT NULL,
    high {long} NOT NULL,
    low {long} NOT NULL,
    close {long} NOT NULL,
    volume {long} NOT NULL CHECK (volume >= 0),
    PRIMARY KEY (partner_id, instrument_id, starts_at),
    CONSTRAINT bar_prices_in_range CHECK (low > 0 AND open BETWEEN low AND high AND close BETWEEN low AND high)
) {strict};
";
