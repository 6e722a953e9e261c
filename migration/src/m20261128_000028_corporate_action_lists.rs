//! Indexes for corporate actions and the orders that they concern, and the id that tells whether a trade or an order of
//! the same moment came before an action.
//!
//! For actions that were processed before, that is the first id of what was recorded then.

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
CREATE INDEX orders_accepted ON orders (partner_id, instrument_id) WHERE status = 'accepted';
CREATE INDEX corporate_action_by_ex_date ON corporate_action (partner_id, ex_on, id);
ALTER TABLE corporate_action ADD COLUMN processed_id {uuid};
UPDATE corporate_action SET processed_id = coalesce((SELECT entitlement.id FROM entitlement WHERE \
    entitlement.corporate_action_id = corporate_action.id ORDER BY entitlement.id LIMIT 1), id) WHERE processed_at IS \
    NOT NULL;
";
