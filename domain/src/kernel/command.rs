//! How a change happens: permission, the request's own checks, then one transaction with its idempotency key,
//! its events and its line in the audit log, run to the end even when the caller hangs up.

use super::{
    actor::{AccessScope, Caller},
    audit_log::{self, Line},
    calendar, clock,
    db::WriteTransaction,
    events::EventBuilder,
    idempotency::{Claim, Key},
    ledger,
};
use crate::{Actor, Checks, Code, Error, Refusal, Result, Scope, kernel::app::App};
use chrono::{DateTime, NaiveDate, Utc};
use entity::{
    ledger_account::{self, LedgerKind},
    partner::{self, Mode},
};
use serde::{Serialize, de::DeserializeOwned};
use std::{
    future::Future,
    time::{Duration, Instant},
};
use uuid::Uuid;

/// Something a caller asks to be done.
pub trait Command: Serialize + Send + Sync + 'static {
    /// The operation's name in the audit log and beside idempotency keys.
    const NAME: &'static str;
    /// What the caller's key must allow.
    const SCOPE: Scope;
    /// Whether signed-in users may do this for themselves.
    const FOR_ONESELF: bool = false;
    /// What comes of it, kept whole for whoever repeats the request.
    type Output: Serialize + DeserializeOwned + Send + Sync + 'static;

    /// Refuses what the request alone decides.
    fn check(&self, mode: Mode) -> Result<()>;

    /// Does it, or refuses by what the state decides. Whatever was written before a refusal is taken back.
    fn execute(&self, ctx: &CommandContext<'_>) -> impl Future<Output = Result<Self::Output>> + Send;

    /// The object that the audit log names.
    fn object(done: &Self::Output) -> Uuid;

    /// What the audit log says about it.
    fn decision(_: &Self::Output) -> &'static str {
        "done"
    }

    /// The key, person or session whose rights may end with it.
    fn ends_rights_of(&self) -> Option<Uuid> {
        None
    }
}

/// Where one operation works: its transaction, its partner, and the partner's time.
#[derive(Clone, Copy)]
pub struct CommandContext<'a> {
    pub app: &'a App,
    pub tx: &'a WriteTransaction,
    pub partner: &'a partner::Model,
    /// Whose rows may be read and changed.
    pub access_scope: AccessScope,
    /// The key or user that causes it; none for a timer.
    pub actor_id: Option<Uuid>,
    pub now: DateTime<Utc>,
}

impl CommandContext<'_> {
    /// The date in New York by the partner's clock, which decides ages and days.
    pub fn today(&self) -> NaiveDate {
        calendar::new_york_date(self.now)
    }

    /// Begins an event.
    pub fn event(&self) -> EventBuilder {
        let recorded_at = Ord::max(self.now, clock::now_of(self.partner));
        EventBuilder {
            recorded_at,
            ..EventBuilder::new(self.app.ids, self.partner.id, self.actor_id, self.now)
        }
    }

    /// The partner's own account of this kind in the ledger.
    pub async fn house_account(&self, kind: LedgerKind, asset: &str) -> Result<ledger_account::Model> {
        ledger::account(self.tx, self.app.ids, self.partner.id, self.partner.id, kind, asset).await
    }

    /// A brokerage account's account of this kind in the ledger.
    pub async fn customer_account(
        &self,
        account_id: Uuid,
        kind: LedgerKind,
        asset: &str,
    ) -> Result<ledger_account::Model> {
        ledger::account(self.tx, self.app.ids, self.partner.id, account_id, kind, asset).await
    }
}

/// A value, and whether it is the kept answer to an earlier request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer<T> {
    pub value: T,
    pub replayed: bool,
}

const MAX_TRIES: u32 = 5;
/// After how long an operation is not tried again.
const RETRY_FOR: Duration = Duration::from_secs(2);

/// Carries out a command for a caller.
///
/// With a key, the same command answers the same again and happens once. Refusals by the state are kept under
/// the key, refusals of the request are not.
pub async fn execute<C: Command>(
    app: &App,
    actor: &Actor,
    key: Option<Key>,
    command: C,
) -> Result<Answer<C::Output>> {
    execute_for(app, permitted::<C>(actor)?, actor.request_id, key, command).await
}

/// The same for a caller whose right to ask is known already.
pub async fn execute_for<C: Command>(
    app: &App,
    caller: Caller,
    request_id: Uuid,
    key: Option<Key>,
    command: C,
) -> Result<Answer<C::Output>> {
    check(caller.mode, key.as_ref(), &command)?;
    let app = app.clone();
    let claim = match key {
        Some(key) => Some(claim(&app, &caller, key, &command)?),
        None => None,
    };
    let work =
        tokio::spawn(async move { to_the_end(&app, &caller, request_id, claim.as_ref(), &command).await });
    work.await.map_err(|_| Error::broken("an operation broke off"))?
}

/// Refuses what the request alone decides, its idempotency key among it.
pub fn check<C: Command>(mode: Mode, key: Option<&Key>, command: &C) -> Result<()> {
    let mut checks = Checks::default();
    if let Some(key) = key {
        checks.note(key.check());
    }
    checks.note(command.check(mode));
    checks.done()
}

/// The error for input that cannot be read: a missing permission comes first.
pub fn unreadable<C: Command>(actor: &Actor, error: Error) -> Error {
    permitted::<C>(actor).err().unwrap_or(error)
}

fn permitted<C: Command>(actor: &Actor) -> Result<Caller> {
    if C::FOR_ONESELF { actor.self_or_caller(C::SCOPE) } else { actor.caller(C::SCOPE) }
}

fn claim<C: Command>(app: &App, caller: &Caller, key: Key, command: &C) -> Result<Claim> {
    let arguments = serde_json::to_vec(command)
        .map_err(|cause| Error::broken(format!("arguments cannot be written: {cause}")))?;
    Ok(Claim {
        partner_id: caller.access_scope.partner_id,
        principal_id: caller.claimant_id,
        key,
        operation: C::NAME,
        fingerprint: app.vault.request_fingerprint(&arguments),
        vault: app.vault.clone(),
    })
}

async fn to_the_end<C: Command>(
    app: &App,
    caller: &Caller,
    request_id: Uuid,
    claim: Option<&Claim>,
    command: &C,
) -> Result<Answer<C::Output>> {
    let began = Instant::now();
    let may_try_again = |attempt| attempt < MAX_TRIES && began.elapsed() < RETRY_FOR;
    for attempt in 1.. {
        let outcome = {
            // Over before an event that follows the commit can be delivered by what is remembered.
            let _ending = command.ends_rights_of().map(|subject| app.rights.end(subject));
            once(app, caller, request_id, claim, command).await
        };
        match outcome {
            Err(error) if error.is_retryable() && may_try_again(attempt) => pause(attempt).await,
            Err(Error::Refused(refusal)) => match refused::<C>(app, caller, request_id, claim, refusal).await
            {
                Error::Busy if may_try_again(attempt) => pause(attempt).await,
                error => return Err(error),
            },
            Err(error) => return Err(error),
            Ok(answer) => {
                if caller.mode == Mode::Sandbox {
                    app.sequencer.caught_up().await;
                } else {
                    app.sequencer.wake();
                }
                app.timers.wake();
                return Ok(answer);
            }
        }
    }
    Err(Error::Busy)
}

/// Waits a moment that grows with the tries and differs between callers.
pub async fn pause(attempt: u32) {
    let jitter = crate::kernel::secrets::random::<1>().map_or(0, |[byte]| u64::from(byte) % 10);
    tokio::time::sleep(Duration::from_millis(u64::from(attempt) * 5 + jitter)).await;
}

async fn once<C: Command>(
    app: &App,
    caller: &Caller,
    request_id: Uuid,
    claim: Option<&Claim>,
    command: &C,
) -> Result<Answer<C::Output>> {
    let tx = app.db.write().await?;
    if let Some(claim) = claim
        && let Some(value) = claim.take(&tx).await?
    {
        return Ok(Answer { value, replayed: true });
    }
    let partner = clock::partner(&tx, caller.access_scope.partner_id).await?;
    let ctx = CommandContext {
        app,
        tx: &tx,
        partner: &partner,
        access_scope: caller.access_scope,
        actor_id: Some(caller.principal_id),
        now: clock::now_of(&partner),
    };
    let value = command.execute(&ctx).await?;
    if let Some(claim) = claim {
        claim.keep(&tx, &value).await?;
    }
    line::<C>(caller, request_id, Some(C::object(&value)), C::decision(&value)).write(&tx, app.ids).await?;
    tx.commit().await?;
    Ok(Answer { value, replayed: false })
}

/// Remembers a refusal after its work has been taken back. Another request may have taken the key meanwhile;
/// then its answer counts, which is the same refusal.
async fn refused<C: Command>(
    app: &App,
    caller: &Caller,
    request_id: Uuid,
    claim: Option<&Claim>,
    refusal: Refusal,
) -> Error {
    let about_the_key = matches!(refusal.code, Code::IdempotencyInProgress | Code::IdempotencyKeyReused);
    if !refusal.replayed && !refusal.code.is_of_the_request() {
        let kept = remember::<C>(app, caller, request_id, claim.filter(|_| !about_the_key), &refusal).await;
        app.sequencer.wake();
        if let Err(error) = kept {
            return error;
        }
    }
    refusal.into()
}

async fn remember<C: Command>(
    app: &App,
    caller: &Caller,
    request_id: Uuid,
    claim: Option<&Claim>,
    refusal: &Refusal,
) -> Result<()> {
    let tx = app.db.write().await?;
    if let Some(claim) = claim {
        if claim.take::<serde::de::IgnoredAny>(&tx).await?.is_some() {
            return Err(Error::Busy);
        }
        claim.keep_refusal(&tx, refusal).await?;
    }
    line::<C>(caller, request_id, None, refusal.code.name()).write(&tx, app.ids).await?;
    tx.commit().await
}

fn line<C: Command>(
    caller: &Caller,
    request_id: Uuid,
    object_id: Option<Uuid>,
    decision: &'static str,
) -> Line {
    audit_log::Line {
        partner_id: caller.access_scope.partner_id,
        principal_id: caller.principal_id,
        operation: C::NAME,
        object_id,
        decision,
        request_id,
    }
}
