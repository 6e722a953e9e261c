//! Returns of transfers by hand.

use super::sandbox_only;
use crate::{
    Refusal, Result, Scope, Visible,
    funding::{return_codes, returns, transfers},
    kernel::{
        clock,
        command::{Command, CommandContext},
    },
};
use entity::{
    partner::Mode,
    transfer::{self, Direction, ReturnCode, Status},
};
use sea_orm::{QuerySelect, sea_query::LockType};
use serde::Serialize;
use uuid::Uuid;

/// Returns a transfer as a bank would.
#[derive(Clone, Debug, Serialize)]
pub struct ReturnTransfer {
    pub transfer_id: Uuid,
    pub code: ReturnCode,
}

/// Returns a transfer with this code now, as its bank would, however late: a transfer that was sent, settled or
/// completed. A deposit, or a withdrawal from cash, that waits to be sent is sent first. Sandbox only. Requires scope
/// `operate`.
///
/// A transfer that was returned with the same code already is not changed.
///
/// # Errors
/// `INVALID` for a code that is not possible in this direction, `TRANSFER_NOT_RETURNABLE` for a transfer that was not
/// sent or was returned.
impl Command for ReturnTransfer {
    const NAME: &'static str = "sandbox.transfer.return";
    const SCOPE: Scope = Scope::Operate;
    type Output = transfer::Model;

    fn check(&self, mode: Mode) -> Result<()> {
        sandbox_only(mode)
    }

    async fn execute(&self, ctx: &CommandContext<'_>) -> Result<transfer::Model> {
        clock::locked(ctx.tx, ctx.partner.id).await?;
        let select =
            transfer::Entity::by_id_within(ctx.access_scope, self.transfer_id).lock(LockType::NoKeyUpdate);
        let transfer = select.one(ctx.tx).await?.ok_or_else(|| Refusal::not_found("transferId"))?;
        if !return_codes::is_possible(self.code, transfer.direction) {
            let direction = match transfer.direction {
                Direction::Deposit => "deposit",
                Direction::Withdrawal => "withdrawal",
            };
            return Err(Refusal::invalid("code", format!("is not possible for a {direction}")).into());
        }
        let transfer = match (transfer.status, transfer.submits_at) {
            (Status::Pending, Some(_)) => transfers::submit_now(ctx, transfer).await?,
            _ => transfer,
        };
        returns::apply(ctx, transfer, self.code).await
    }
}
