//! Adds corporate actions and what each account is entitled to.
//!
//! A realized gain no longer needs a fill: fractions of shares that a split leaves are paid in cash without one. So the
//! table of realized gains, to which no other table refers, is written anew.

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
CREATE TABLE corporate_action (
    id {uuid} PRIMARY KEY,
    partner_id {uuid} NOT NULL REFERENCES partner (id),
    instrument_id {uuid} NOT NULL REFERENCES instrument (id),
    kind text NOT NULL CHECK (kind IN ('cash_dividend', 'split', 'reverse_split', 'symbol_change')),
    ex_on {day} NOT NULL,
    record_on {day},
    pay_on {day},
    per_share {long} CHECK (per_share > 0),
    new_shares {long} CHECK (new_shares > 0),
    old_shares {long} CHECK (old_shares > 0),
    is_whole_shares {flag} NOT NULL,
    cash_price {long} CHECK (cash_price > 0),
    symbol text,
    created_at {instant} NOT NULL,
    processed_at {instant},
    CONSTRAINT corporate_action_has_dates CHECK ((record_on IS NOT NULL) = (kind = 'cash_dividend') AND (pay_on IS \
    NOT NULL) = (kind = 'cash_dividend')),
    CONSTRAINT corporate_action_has_terms CHECK ((per_share IS NOT NULL) = (kind = 'cash_dividend') AND \
    (new_shares IS NOT NULL) = (kind IN ('split', 'reverse_split')) AND (new_shares IS NULL) = (old_shares IS \
    NULL) AND (symbol IS NOT NULL) = (kind = 'symbol_change'))
) {strict};
CREATE INDEX corporate_action_of_partner ON corporate_action (partner_id, id);
CREATE INDEX corporate_action_of_instrument ON corporate_action (instrument_id, partner_id, id);
CREATE TABLE entitlement (
    id {uuid} PRIMARY KEY,
    partner_id {uuid} NOT NULL REFERENCES partner (id),
    account_id {uuid} NOT NULL REFERENCES account (id),
    corporate_action_id {uuid} NOT NULL REFERENCES corporate_action (id),
    instrument_id {uuid} NOT NULL REFERENCES instrument (id),
    quantity {long} NOT NULL CHECK (quantity >= 0),
    new_quantity {long} CHECK (new_quantity >= 0),
    cash {long} NOT NULL CHECK (cash >= 0),
    applied_at {instant},
    reinvestment_id {uuid} REFERENCES orders (id),
    UNIQUE (corporate_action_id, account_id)
) {strict};
CREATE INDEX entitlement_of_account ON entitlement (account_id, id);
CREATE INDEX entitlement_of_action ON entitlement (corporate_action_id, id);
CREATE INDEX position_of_instrument ON position (partner_id, instrument_id) WHERE quantity > 0;
CREATE TABLE partner_symbol (
    partner_id {uuid} NOT NULL REFERENCES partner (id),
    instrument_id {uuid} NOT NULL REFERENCES instrument (id),
    symbol text NOT NULL,
    PRIMARY KEY (partner_id, instrument_id),
    UNIQUE (partner_id, symbol)
) {strict};
ALTER TABLE account ADD COLUMN dividend_option text NOT NULL DEFAULT 'cash' CHECK (dividend_option IN ('cash', \
    'reinvest'));
ALTER TABLE tax_lot ADD COLUMN bought_quantity {long} NOT NULL DEFAULT 0 CHECK (bought_quantity >= 0);
UPDATE tax_lot SET bought_quantity = quantity;
CREATE TABLE new_lot_closing (
    id {uuid} PRIMARY KEY,
    partner_id {uuid} NOT NULL REFERENCES partner (id),
    account_id {uuid} NOT NULL REFERENCES account (id),
    instrument_id {uuid} NOT NULL REFERENCES instrument (id),
    lot_id {uuid} NOT NULL REFERENCES tax_lot (id),
    fill_id {uuid} REFERENCES fill (id),
    entitlement_id {uuid} REFERENCES entitlement (id),
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
    UNIQUE (entitlement_id, lot_id),
    CONSTRAINT lot_closing_has_a_cause CHECK ((fill_id IS NULL) <> (entitlement_id IS NULL)),
    CONSTRAINT lot_closing_replaced_within_quantity CHECK (unreplaced_quantity BETWEEN 0 AND quantity),
    CONSTRAINT lot_closing_disallowed_within_loss CHECK (forfeited BETWEEN 0 AND disallowed AND (disallowed = 0 \
    OR disallowed <= basis - proceeds))
) {strict};
INSERT INTO new_lot_closing (id, partner_id, account_id, instrument_id, lot_id, fill_id, quantity, proceeds, basis, \
    disallowed, forfeited, unreplaced_quantity, held_since, term, closed_at, closed_on) SELECT id, partner_id, \
    account_id, instrument_id, lot_id, fill_id, quantity, proceeds, basis, disallowed, forfeited, \
    unreplaced_quantity, held_since, term, closed_at, closed_on FROM lot_closing;
DROP TABLE lot_closing;
ALTER TABLE new_lot_closing RENAME TO lot_closing;
CREATE INDEX lot_closing_of_account ON lot_closing (account_id, id);
CREATE INDEX lot_closing_of_lot ON lot_closing (lot_id);
CREATE INDEX lot_closing_by_date ON lot_closing (account_id, closed_on);
CREATE INDEX lot_closing_unreplaced ON lot_closing (account_id, instrument_id) WHERE unreplaced_quantity > 0;
";
