//! Freezes, unfreezes and closes accounts.

use super::{locked, require_active};
use crate::{
    Actor, Code, Refusal, Result, Scope,
    kernel::{
        app::App,
        calendar,
        command::{Command, CommandContext},
        events::{AccountState, Event},
        ledger,
        scheduler::Due,
        secrets::{AssociatedData, Secret},
        timers,
    },
};
use chrono::{DateTime, Utc};
use entity::{
    account::{self, Status},
    entitlement, order,
    partner::Mode,
    timer::TimerKind,
    transfer,
};
use sea_orm::{
    ActiveModelTrait, ActiveValue::Set, ColumnTrait, EntityTrait, QueryFilter, sea_query::LockType,
};
use serde::Serialize;
use uuid::Uuid;

/// Freezes an account.
#[derive(Clone, Serialize)]
pub struct FreezeAccount {
    pub account_id: Uuid,
    pub reason: String,
}

/// Unfreezes an account.
#[derive(Clone, Serialize)]
pub struct UnfreezeAccount {
    pub account_id: Uuid,
}

/// Closes an account.
#[derive(Clone, Serialize)]
pub struct CloseAccount {
    pub account_id: Uuid,
    pub reason: String,
}

/// Freezes an active account. Requires scope `operate`. The account accepts neither deposits nor withdrawals nor
/// orders until it is unfrozen, and a withdrawal that was not sent to the bank fails when it is next due. Orders can
/// still be canceled; trades, pending deposits and withdrawals that were sent still settle.
impl Command for FreezeAccount {
    const NAME: &'static str = "account.freeze";
    const SCOPE: Scope = Scope::Operate;
    type Output = account::Model;

    fn check(&self, _: Mode) -> Result<()> {
        check_reason(&self.reason)
    }

    async fn execute(&self, ctx: &CommandContext<'_>) -> Result<account::Model> {
        let account = locked(ctx.tx, ctx.access_scope, self.account_id, LockType::Update).await?;
        require_active(&account)?;
        set_status(ctx, account, Status::Frozen, Some(&self.reason), None, Event::AccountFrozen).await
    }
}

/// Freezes an account because of a returned transfer, or extends its freeze: until a time, or until it is unfrozen.
/// Does nothing for a closed account.
pub async fn freeze(
    ctx: &CommandContext<'_>,
    account_id: Uuid,
    reason: &str,
    until: Option<DateTime<Utc>>,
) -> Result<()> {
    let account = locked(ctx.tx, ctx.access_scope, account_id, LockType::Update).await?;
    let is_longer = account.frozen_until.is_some_and(|present| until.is_none_or(|until| present < until));
    match account.status {
        Status::Closed => return Ok(()),
        Status::Frozen if !is_longer => return Ok(()),
        Status::Active | Status::Frozen => {}
    }
    set_status(ctx, account, Status::Frozen, Some(reason), until, Event::AccountFrozen).await?;
    if let Some(until) = until {
        ctx.schedule::<EndFreeze>(account_id, until).await;
    }
    Ok(())
}

/// Makes a closed account frozen, because money of it came back. Does nothing for other accounts.
pub async fn freeze_closed(ctx: &CommandContext<'_>, account_id: Uuid, reason: &str) -> Result<()> {
    let account = locked(ctx.tx, ctx.access_scope, account_id, LockType::Update).await?;
    if account.status == Status::Closed {
        set_status(ctx, account, Status::Frozen, Some(reason), None, Event::AccountFrozen).await?;
        // Its last statement may have been issued.
        timers::cancel(ctx.tx, ctx.partner.id, account_id, TimerKind::StatementIssue).await?;
        ctx.schedule_kind(TimerKind::StatementIssue, account_id, calendar::month_closes_at(ctx.today()))
            .await;
    }
    Ok(())
}

/// Ends a freeze whose time is over. Does nothing if the account was unfrozen, or frozen for longer, meanwhile.
pub struct EndFreeze;

impl Due for EndFreeze {
    const KIND: TimerKind = TimerKind::AccountUnfreeze;

    async fn run(ctx: &CommandContext<'_>, account_id: Uuid) -> Result<()> {
        let account = locked(ctx.tx, ctx.access_scope, account_id, LockType::Update).await?;
        let is_over = account.frozen_until.is_some_and(|until| until <= ctx.now);
        if account.status == Status::Frozen && is_over {
            set_status(ctx, account, Status::Active, None, None, Event::AccountUnfrozen).await?;
        }
        Ok(())
    }
}

/// Makes a frozen account active again. Requires scope `operate`.
impl Command for UnfreezeAccount {
    const NAME: &'static str = "account.unfreeze";
    const SCOPE: Scope = Scope::Operate;
    type Output = account::Model;

    async fn execute(&self, ctx: &CommandContext<'_>) -> Result<account::Model> {
        let account = locked(ctx.tx, ctx.access_scope, self.account_id, LockType::Update).await?;
        if account.status != Status::Frozen {
            return Err(
                Refusal::new(Code::AccountNotFrozen, "accountId", "The account is not frozen.").into()
            );
        }
        set_status(ctx, account, Status::Active, None, None, Event::AccountUnfrozen).await
    }
}

/// Closes an account permanently. Requires scope `operate`. Refused while the account has settled or
/// unsettled cash, shares, holds, an open order, a pending transfer or a dividend to be paid.
impl Command for CloseAccount {
    const NAME: &'static str = "account.close";
    const SCOPE: Scope = Scope::Operate;
    type Output = account::Model;

    fn check(&self, _: Mode) -> Result<()> {
        check_reason(&self.reason)
    }

    async fn execute(&self, ctx: &CommandContext<'_>) -> Result<account::Model> {
        let account = locked(ctx.tx, ctx.access_scope, self.account_id, LockType::Update).await?;
        if account.status == Status::Closed {
            require_active(&account)?;
        }
        require_empty(ctx, &account).await?;
        set_status(ctx, account, Status::Closed, Some(&self.reason), None, Event::AccountClosed).await
    }
}

/// Maximum length of a reason.
const MAX_REASON_CHARACTERS: usize = 500;

fn check_reason(reason: &str) -> Result<()> {
    if reason.trim().is_empty() {
        return Err(Refusal::required("reason").into());
    }
    if reason.chars().count() > MAX_REASON_CHARACTERS || reason.chars().any(char::is_control) {
        return Err(Refusal::invalid(
            "reason",
            format!("must have at most {MAX_REASON_CHARACTERS} printable characters"),
        )
        .into());
    }
    Ok(())
}

/// Refuses an account that is not empty. The balances are read first and in one statement, so that anything
/// that ends during the check is still included in them.
async fn require_empty(ctx: &CommandContext<'_>, account: &account::Model) -> Result<()> {
    let open = order::Entity::find().filter(order::Column::AccountId.eq(account.id)).filter(
        order::Column::Status.is_in([
            order::Status::Accepted,
            order::Status::New,
            order::Status::PartiallyFilled,
        ]),
    );
    let pending = transfer::Entity::find()
        .filter(transfer::Column::AccountId.eq(account.id))
        .filter(transfer::Entity::under_way());
    let unpaid = entitlement::Entity::find()
        .filter(entitlement::Column::AccountId.eq(account.id))
        .filter(entitlement::Column::Cash.gt(0_i64))
        .filter(entitlement::Column::AppliedAt.is_null());
    let holds_nothing = ledger::is_empty(ctx.tx, account.id).await?;
    let left = if pending.one(ctx.tx).await?.is_some() {
        "a pending transfer"
    } else if open.one(ctx.tx).await?.is_some() {
        "an open order"
    } else if !holds_nothing {
        "cash or shares"
    } else if unpaid.one(ctx.tx).await?.is_some() {
        "a dividend to be paid"
    } else {
        return Ok(());
    };
    Err(Refusal::new(Code::AccountNotEmpty, "accountId", format!("The account still has {left}.")).into())
}

/// Encrypted column of the reasons.
const REASON: &str = "account.status_reason";

fn reason_data(account: &account::Model) -> AssociatedData {
    AssociatedData { column: REASON, row: account.id, partner: account.partner_id }
}

/// Changes the status, stores the reason and the end of a freeze, and records the event.
async fn set_status(
    ctx: &CommandContext<'_>,
    account: account::Model,
    to: Status,
    reason: Option<&str>,
    frozen_until: Option<DateTime<Utc>>,
    event: fn(AccountState) -> Event,
) -> Result<account::Model> {
    let sealed = reason
        .map(|reason| ctx.app.vault.seal(reason_data(&account), reason.trim().as_bytes()))
        .transpose()?;
    let mut row: account::ActiveModel = account.into();
    row.status = Set(to);
    row.status_reason = Set(sealed);
    row.frozen_until = Set(frozen_until);
    let account = row.update(ctx.tx).await?;
    ctx.record(event((&account).into())).await?;
    Ok(account)
}

/// Returns why an account was frozen or closed. `None` for an active account and for callers without scope
/// `operate`.
pub fn status_reason(app: &App, actor: &Actor, account: &account::Model) -> Result<Option<Secret<String>>> {
    if actor.partner(Scope::Operate).is_err() {
        return Ok(None);
    }
    account
        .status_reason
        .as_deref()
        .map(|sealed| app.vault.open_text(reason_data(account), sealed))
        .transpose()
}
