//! Adds order types, times in force, executions of venues, and the state of order books.

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

/// Orders from before are all market orders. SQLite cannot change the check of a column, so the column is
/// replaced.
const CHANGES: &str = "
ALTER TABLE orders RENAME COLUMN kind TO former_kind;
ALTER TABLE orders ADD COLUMN kind text NOT NULL DEFAULT 'market' CHECK (kind IN ('market', 'limit', 'stop', \
    'stop_limit'));
ALTER TABLE orders DROP COLUMN former_kind;
ALTER TABLE orders ADD COLUMN time_in_force text NOT NULL DEFAULT 'day' CHECK (time_in_force IN ('day', 'gtc', \
    'ioc', 'fok'));
ALTER TABLE orders ADD COLUMN notional {long} CHECK (notional IS NULL OR (notional > 0 AND \
    kind = 'market' AND time_in_force = 'day'));
ALTER TABLE orders ADD COLUMN limit_price {long} CHECK ((limit_price IS NOT NULL) = (kind IN ('limit', \
    'stop_limit')) AND (limit_price IS NULL OR limit_price > 0));
ALTER TABLE orders ADD COLUMN stop_price {long} CHECK ((stop_price IS NOT NULL) = (kind IN ('stop', \
    'stop_limit')) AND (stop_price IS NULL OR stop_price > 0));
ALTER TABLE orders ADD COLUMN triggered_at {instant};
ALTER TABLE orders ADD COLUMN fill_count integer NOT NULL DEFAULT 0 CHECK (fill_count >= 0);
ALTER TABLE orders ADD COLUMN expires_at {instant};
ALTER TABLE orders ADD COLUMN replaced_at {instant};
UPDATE orders SET fill_count = (SELECT count(*) FROM fill WHERE fill.order_id = orders.id);
CREATE INDEX orders_open ON orders (partner_id, instrument_id, id) WHERE status IN ('new', 'partially_filled');
ALTER TABLE fill ADD COLUMN execution_id text;
ALTER TABLE fill ADD COLUMN explanation text;
CREATE UNIQUE INDEX fill_execution ON fill (partner_id, execution_id);
CREATE TABLE order_book (
    partner_id {uuid} NOT NULL REFERENCES partner (id),
    instrument_id {uuid} NOT NULL REFERENCES instrument (id),
    version {uuid} NOT NULL,
    matched_until {instant} NOT NULL,
    pushed_until {instant},
    PRIMARY KEY (partner_id, instrument_id)
) {strict};
";
