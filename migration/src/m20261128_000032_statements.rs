//! Creates the table of statements, and schedules the monthly statement of each account.

use crate::words;
use sea_orm_migration::{prelude::*, sea_orm::DbBackend};

#[derive(DeriveMigrationName)]
pub struct Migration;

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        words::execute(manager, TABLE).await?;
        let (id, due_at) = match manager.get_database_backend() {
            DbBackend::Postgres => (
                "(left(account.id::text, 34) || '0d')::uuid",
                "(date_trunc('month', now() AT TIME ZONE 'UTC') + interval '1 month 6 hours') AT TIME ZONE 'UTC'",
            ),
            _ => (
                "unhex(substr(hex(account.id), 1, 30) || '0D')",
                "strftime('%Y-%m-%dT%H:%M:%f', 'now', 'start of month', '+1 month', '+6 hours') || '+00:00'",
            ),
        };
        words::execute(manager, &TIMERS.replace("{id}", id).replace("{due_at}", due_at)).await
    }
}

const TABLE: &str = "
CREATE TABLE statement (
    id {uuid} PRIMARY KEY,
    partner_id {uuid} NOT NULL REFERENCES partner (id),
    account_id {uuid} NOT NULL REFERENCES account (id),
    start_on {day} NOT NULL,
    end_on {day} NOT NULL,
    opening_balance {long} NOT NULL,
    closing_balance {long} NOT NULL,
    content {bytes} NOT NULL,
    created_at {instant} NOT NULL,
    UNIQUE (account_id, start_on, end_on),
    CONSTRAINT statement_period CHECK (start_on <= end_on)
) {strict};
CREATE INDEX statement_of_partner ON statement (partner_id, id);
CREATE INDEX statement_of_account ON statement (account_id, id);
CREATE INDEX statement_by_end ON statement (account_id, end_on);
";

/// The id of a timer is that of its account with 13, the kind of a timer, as its last byte. The timer is due when this
/// month has ended, so that the months before do not hold up other work. A statement of them can be requested.
const TIMERS: &str = "
INSERT INTO timer (id, partner_id, clock, kind, subject_id, due_at, attempts)
    SELECT {id}, partner_id, 'partner', 'statement_issue', id, {due_at}, 0 FROM account WHERE status <> 'closed';
";
