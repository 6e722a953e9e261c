//! Creates the table of e-mail and text messages, and an index of timers that are due by the system clock.

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
CREATE TABLE message (
    id {uuid} PRIMARY KEY,
    partner_id {uuid} NOT NULL REFERENCES partner (id),
    user_id {uuid} REFERENCES users (id),
    channel text NOT NULL CHECK (channel IN ('mail', 'sms')),
    purpose text NOT NULL,
    recipient {bytes} NOT NULL,
    recipient_index {bytes},
    subject {bytes} NOT NULL,
    body {bytes} NOT NULL,
    status text NOT NULL CHECK (status IN ('pending', 'sent', 'outbox', 'failed')),
    attempts integer NOT NULL,
    send_by {instant},
    created_at {instant} NOT NULL,
    sent_at {instant},
    kept_until {instant},
    CONSTRAINT message_sent_when_sent CHECK ((status = 'sent') = (sent_at IS NOT NULL)),
    CONSTRAINT message_erased_when_done CHECK (status IN ('pending', 'outbox')
        OR (length(recipient) = 0 AND recipient_index IS NULL AND length(subject) = 0 AND length(body) = 0))
) {strict};
CREATE INDEX message_of_partner ON message (partner_id, status, id);
CREATE INDEX message_of_user ON message (user_id, id);
CREATE INDEX message_to ON message (partner_id, recipient_index, id);
CREATE INDEX message_by_age ON message (kept_until) WHERE kept_until IS NOT NULL;
CREATE INDEX timer_by_clock ON timer (clock, due_at, id);
";
