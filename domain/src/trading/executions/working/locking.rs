//! Reading an order and what belongs to it in one statement, with a lock.

use crate::{
    Result,
    kernel::{
        command::CommandContext,
        ledger::{LEFT_OF_HOLD, OpenHold},
    },
    trading::lots,
};
use entity::order;
use sea_orm::{ConnectionTrait, DbBackend, FromQueryResult, Statement};
use uuid::Uuid;

/// An order that was locked, and what is read with it.
pub(super) struct Locked {
    pub order: order::Model,
    pub holds: Vec<OpenHold>,
    pub follows_losses: bool,
    pub awaits_split: bool,
    pub missed_action: bool,
}

/// Whether the account of an order has shares, or had other orders, that a split has yet to change.
const AWAITS_SPLIT: &str = "EXISTS (SELECT 1 FROM entitlement JOIN corporate_action ON corporate_action.id = \
    entitlement.corporate_action_id WHERE entitlement.account_id = orders.account_id AND entitlement.instrument_id = \
    orders.instrument_id AND entitlement.applied_at IS NULL AND corporate_action.new_shares IS NOT NULL)";

/// Whether the order was still being placed when a dividend or a split was recorded, so that its account was not.
const MISSED_ACTION: &str = "EXISTS (SELECT 1 FROM corporate_action AS missed WHERE missed.instrument_id = \
    orders.instrument_id AND missed.partner_id = orders.partner_id AND missed.processed_id > orders.id AND \
    missed.symbol IS NULL AND NOT EXISTS (SELECT 1 FROM entitlement WHERE entitlement.corporate_action_id = missed.id \
    AND entitlement.account_id = orders.account_id))";

/// Locks an order and returns it with its open holds, oldest first.
pub(super) async fn with_holds(ctx: &CommandContext<'_>, order_id: Uuid) -> Result<Option<Locked>> {
    let (losses_since, _) = lots::rules::wash_window(ctx.today());
    let backend = ctx.tx.get_database_backend();
    let lock = if backend == DbBackend::Postgres { " FOR NO KEY UPDATE OF orders" } else { "" };
    let text = format!(
        "SELECT orders.*, ledger_hold.id AS hold_id, ledger_hold.account_id AS hold_account_id, \
         {LEFT_OF_HOLD} AS hold_left, {} AS follows_losses, {AWAITS_SPLIT} AS awaits_split, \
         {MISSED_ACTION} AS missed_action FROM orders LEFT JOIN ledger_hold ON ledger_hold.purpose_id = orders.id \
         WHERE orders.id = $1 ORDER BY ledger_hold.id{lock}",
        lots::has_losses()
    );
    let statement = Statement::from_sql_and_values(backend, text, [order_id.into(), losses_since.into()]);
    let rows = ctx.tx.query_all_raw(statement).await?;
    let Some(first) = rows.first() else { return Ok(None) };
    let mut holds = Vec::new();
    for row in &rows {
        let Some(id) = row.try_get("", "hold_id")? else { continue };
        let hold = OpenHold {
            id,
            account_id: row.try_get("", "hold_account_id")?,
            left: row.try_get("", "hold_left")?,
        };
        holds.extend((hold.left > 0).then_some(hold));
    }
    Ok(Some(Locked {
        order: order::Model::from_query_result(first, "")?,
        holds,
        follows_losses: first.try_get("", "follows_losses")?,
        awaits_split: first.try_get("", "awaits_split")?,
        missed_action: first.try_get("", "missed_action")?,
    }))
}
