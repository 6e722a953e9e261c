//! Adds tax lots, realized gains and the rules of cash accounts. Every position becomes one lot.

use crate::words;
use sea_orm_migration::{prelude::*, sea_orm::DbBackend};

#[derive(DeriveMigrationName)]
pub struct Migration;

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        words::execute(manager, CHANGES).await?;
        // The id of a lot is that of its position with the tag of a lot. The date is that of the last purchase,
        // so that no share counts as held for longer than it was.
        let (id, day, no) = if manager.get_database_backend() == DbBackend::Postgres {
            (
                "encode(set_byte(uuid_send(position.id), 15, 40), 'hex')::uuid",
                "(bought.at AT TIME ZONE 'America/New_York')::date",
                "false",
            )
        } else {
            ("CAST(substr(position.id, 1, 15) || x'28' AS blob)", "substr(bought.at, 1, 10)", "0")
        };
        let lots = format!(
            "INSERT INTO tax_lot (id, partner_id, account_id, instrument_id, fill_id, purchase_id, opened_at, \
             acquired_on, held_since, quantity, cost, wash_adjustment, open_quantity, open_basis, replaces_id, \
             is_unsettled) SELECT {id}, position.partner_id, position.account_id, position.instrument_id, NULL, \
             position.id, bought.at, {day}, {day}, position.quantity, position.cost_basis, 0, position.quantity, \
             position.cost_basis, NULL, {no} FROM position JOIN (SELECT orders.account_id, orders.instrument_id, \
             max(fill.traded_at) AS at FROM fill JOIN orders ON orders.id = fill.order_id WHERE fill.side = 'buy' \
             GROUP BY orders.account_id, orders.instrument_id) AS bought ON bought.account_id = \
             position.account_id AND bought.instrument_id = position.instrument_id WHERE position.quantity > 0;"
        );
        words::execute(manager, &lots).await
    }
}

const CHANGES: &str = "
ALTER TABLE account ADD COLUMN tax_treatment text NOT NULL DEFAULT 'taxable' CHECK (tax_treatment IN \
    ('taxable', 'traditional_ira', 'roth_ira'));
ALTER TABLE account ADD COLUMN lot_method text NOT NULL DEFAULT 'fifo' CHECK (lot_method IN ('fifo', 'lifo', \
    'hifo', 'min_tax'));
ALTER TABLE account ADD COLUMN settled_cash_only_until {instant};
ALTER TABLE orders ADD COLUMN lot_method text CHECK (lot_method IN ('fifo', 'lifo', 'hifo', 'min_tax', \
    'specific'));
CREATE TABLE tax_lot (
    id {uuid} PRIMARY KEY,
    partner_id {uuid} NOT NULL REFERENCES partner (id),
    account_id {uuid} NOT NULL REFERENCES account (id),
    instrument_id {uuid} NOT NULL REFERENCES instrument (id),
    fill_id {uuid} REFERENCES fill (id),
    purchase_id {uuid} NOT NULL,
    opened_at {instant} NOT NULL,
    acquired_on {day} NOT NULL,
    held_since {day} NOT NULL,
    quantity {long} NOT NULL CHECK (quantity > 0),
    cost {long} NOT NULL CHECK (cost >= 0),
    wash_adjustment {long} NOT NULL CHECK (wash_adjustment >= 0),
    open_quantity {long} NOT NULL,
    open_basis {long} NOT NULL CHECK (open_basis >= 0),
    replaces_id {uuid},
    is_unsettled {flag} NOT NULL,
    CONSTRAINT tax_lot_open_within_quantity CHECK (open_quantity BETWEEN 0 AND quantity),
    CONSTRAINT tax_lot_without_shares_has_no_basis CHECK (open_quantity > 0 OR open_basis = 0)
) {strict};
CREATE INDEX tax_lot_of_account ON tax_lot (account_id, id);
CREATE INDEX tax_lot_open ON tax_lot (account_id, instrument_id) WHERE open_quantity > 0;
CREATE TABLE lot_closing (
    id {uuid} PRIMARY KEY,
    partner_id {uuid} NOT NULL REFERENCES partner (id),
    account_id {uuid} NOT NULL REFERENCES account (id),
    instrument_id {uuid} NOT NULL REFERENCES instrument (id),
    lot_id {uuid} NOT NULL REFERENCES tax_lot (id),
    fill_id {uuid} NOT NULL REFERENCES fill (id),
    quantity {long} NOT NULL CHECK (quantity > 0),
    proceeds {long} NOT NULL CHECK (proceeds >= 0),
    basis {long} NOT NULL CHECK (basis >= 0),
    disallowed {long} NOT NULL,
    forfeited {long} NOT NULL,
    unreplaced_quantity {long} NOT NULL,
    held_since {day} NOT NULL,
    term text NOT NULL CHECK (term IN ('short', 'long')),
    closed_at {instant} NOT NULL,
    closed_on {day} NOT NULL,
    UNIQUE (fill_id, lot_id),
    CONSTRAINT lot_closing_replaced_within_quantity CHECK (unreplaced_quantity BETWEEN 0 AND quantity),
    CONSTRAINT lot_closing_disallowed_within_loss CHECK (forfeited BETWEEN 0 AND disallowed AND (disallowed = 0 \
    OR disallowed <= basis - proceeds))
) {strict};
CREATE INDEX lot_closing_of_account ON lot_closing (account_id, id);
CREATE INDEX lot_closing_of_lot ON lot_closing (lot_id);
CREATE INDEX lot_closing_by_date ON lot_closing (account_id, closed_on);
CREATE INDEX lot_closing_unreplaced ON lot_closing (account_id, instrument_id) WHERE unreplaced_quantity > 0;
CREATE TABLE order_lot (
    order_id {uuid} NOT NULL REFERENCES orders (id),
    lot_id {uuid} NOT NULL REFERENCES tax_lot (id),
    place integer NOT NULL,
    PRIMARY KEY (order_id, lot_id)
) {strict};
CREATE TABLE settlement_violation (
    id {uuid} PRIMARY KEY,
    partner_id {uuid} NOT NULL REFERENCES partner (id),
    account_id {uuid} NOT NULL REFERENCES account (id),
    kind text NOT NULL CHECK (kind IN ('good_faith')),
    fill_id {uuid} NOT NULL REFERENCES fill (id),
    occurred_at {instant} NOT NULL,
    funds_settle_at {instant} NOT NULL,
    UNIQUE (fill_id, kind)
) {strict};
CREATE INDEX settlement_violation_of_account ON settlement_violation (account_id, id);
";
