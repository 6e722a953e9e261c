//! Adds the life cycle of transfers: submission, return, cancellation and failure; withdrawals and the sales for
//! them; bank accounts that a bank has refused; and accounts that are frozen for some days.

use crate::words;
use sea_orm_migration::{prelude::*, sea_orm::DbBackend};

#[derive(DeriveMigrationName)]
pub struct Migration;

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        words::execute(manager, CHANGES).await?;
        if manager.get_database_backend() == DbBackend::Postgres {
            words::execute(manager, NAMES).await?;
        }
        Ok(())
    }
}

/// SQLite cannot change the check of a column, so the column or the table is replaced.
const CHANGES: &str = "
ALTER TABLE transfer RENAME COLUMN status TO former_status;
ALTER TABLE transfer ADD COLUMN status text NOT NULL DEFAULT 'pending' CHECK (status IN ('pending', 'selling', \
    'awaiting_settlement', 'submitted', 'settled', 'completed', 'returned', 'canceled', 'failed'));
UPDATE transfer SET status = former_status;
ALTER TABLE transfer DROP COLUMN former_status;
ALTER TABLE transfer ADD COLUMN instant_amount {long} NOT NULL DEFAULT 0 CHECK (instant_amount >= 0);
ALTER TABLE transfer ADD COLUMN invest_when_settled {flag} NOT NULL DEFAULT false;
ALTER TABLE transfer ADD COLUMN presentments integer NOT NULL DEFAULT 0 CHECK (presentments >= 0);
UPDATE transfer SET presentments = 1;
ALTER TABLE transfer ADD COLUMN set_aside {long} NOT NULL DEFAULT 0 CHECK (set_aside >= 0);
ALTER TABLE transfer ADD COLUMN unsettled_aside {long} NOT NULL DEFAULT 0 CHECK (unsettled_aside >= 0);
ALTER TABLE transfer ADD COLUMN unsettled_until {instant};
ALTER TABLE fill ADD COLUMN set_aside {long} NOT NULL DEFAULT 0 CHECK (set_aside >= 0);
ALTER TABLE transfer ADD COLUMN may_be_lower {flag} NOT NULL DEFAULT false;
ALTER TABLE transfer ADD COLUMN submits_at {instant};
ALTER TABLE transfer ADD COLUMN settles_at {instant};
ALTER TABLE transfer ADD COLUMN submitted_at {instant};
ALTER TABLE transfer ADD COLUMN returned_at {instant};
ALTER TABLE transfer ADD COLUMN ended_at {instant};
ALTER TABLE transfer ADD COLUMN return_code text CHECK (return_code IN ('R01', 'R02', 'R03', 'R04', 'R05', 'R06', \
    'R07', 'R08', 'R09', 'R10', 'R11', 'R12', 'R13', 'R14', 'R15', 'R16', 'R17', 'R20', 'R23', 'R24', 'R29'));
ALTER TABLE transfer ADD COLUMN failure text CHECK (failure IN ('bank_account_disabled', 'account_not_active', \
    'nothing_to_pay', 'deposit_returned'));
CREATE INDEX transfer_instant ON transfer (partner_id, account_id) WHERE instant_amount > 0 AND \
    status IN ('pending', 'submitted');
ALTER TABLE orders ADD COLUMN withdrawal_id {uuid} REFERENCES transfer (id);
CREATE INDEX orders_of_withdrawal ON orders (withdrawal_id) WHERE withdrawal_id IS NOT NULL;
ALTER TABLE account ADD COLUMN frozen_until {instant};
ALTER TABLE bank_account ADD COLUMN disabled_at {instant};
CREATE TABLE settlement_violation_next (
    id {uuid} PRIMARY KEY,
    partner_id {uuid} NOT NULL REFERENCES partner (id),
    account_id {uuid} NOT NULL REFERENCES account (id),
    kind text NOT NULL CHECK (kind IN ('good_faith', 'free_riding')),
    fill_id {uuid} NOT NULL REFERENCES fill (id),
    occurred_at {instant} NOT NULL,
    funds_settle_at {instant} NOT NULL,
    UNIQUE (fill_id, kind)
) {strict};
INSERT INTO settlement_violation_next SELECT id, partner_id, account_id, kind, fill_id, occurred_at, \
    funds_settle_at FROM settlement_violation;
DROP TABLE settlement_violation;
ALTER TABLE settlement_violation_next RENAME TO settlement_violation;
CREATE INDEX settlement_violation_of_account ON settlement_violation (account_id, id);
";

/// PostgreSQL names indexes after the table.
const NAMES: &str = "
ALTER INDEX settlement_violation_next_pkey RENAME TO settlement_violation_pkey;
ALTER INDEX settlement_violation_next_fill_id_kind_key RENAME TO settlement_violation_fill_id_kind_key;
";
