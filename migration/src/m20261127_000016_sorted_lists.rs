//! Adds indexes for lists that clients sort by e-mail address, name, number, symbol or amount.

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
CREATE INDEX users_by_email ON users (partner_id, lower(email {ascii}), id);
CREATE INDEX users_by_name ON users (partner_id, lower(last_name {ascii}), lower(first_name {ascii}), id);
CREATE INDEX account_by_number ON account (partner_id, lower(number {ascii}), id);
CREATE INDEX transfer_by_amount ON transfer (partner_id, amount, id);
CREATE INDEX fill_of_partner ON fill (partner_id, id);
CREATE INDEX instrument_by_symbol ON instrument (lower(symbol {ascii}), id);
CREATE INDEX instrument_by_name ON instrument (lower(name {ascii}), id);
";
