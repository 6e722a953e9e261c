//! Execution of commands: permission, checks of the input, the limit of the caller's address, then one
//! transaction with the idempotency key, the events and the audit line. A command runs to its end even if the
//! caller disconnects.

use super::{
    actor::{AccessScope, Caller},
    audit_log::{self, Line},
    calendar, clock,
    db::WriteTransaction,
    events::{Event, EventBuilder},
    idempotency::{Claim, Key, Taken},
    ledger::{self, AccountId},
    limits::{self, Limit},
    partner_settings::PartnerSettings,
    scheduler::Due,
    timers::{self, WakeAfterCommit},
};
use crate::{Actor, Checks, Code, Error, Refusal, Result, Scope, kernel::app::App};
use chrono::{DateTime, NaiveDate, Utc};
use entity::{
    ledger_account::{self, LedgerKind},
    partner::{self, Mode},
    timer::TimerKind,
};
use serde::{Serialize, de::DeserializeOwned};
use std::{
    future::Future,
    time::{Duration, Instant},
};
use uuid::Uuid;

/// An operation that changes data.
pub trait Command: Serialize + Send + Sync + 'static {
    /// Name of the operation in the audit log and with idempotency keys.
    const NAME: &'static str;
    /// Scope that the caller needs.
    const SCOPE: Scope;
    /// Whether signed-in users may do this for themselves.
    const FOR_ONESELF: bool = false;
    /// Minimum duration for a publishable key, so that the duration does not reveal the result.
    const MIN_DURATION: Duration = Duration::ZERO;
    /// Result, stored in full with the idempotency key for repeated requests.
    type Output: Identified + Serialize + DeserializeOwned + Send + Sync + 'static;

    /// Checks what can be checked without the database.
    fn check(&self, _: Mode) -> Result<()> {
        Ok(())
    }

    /// Executes the command, or refuses it because of stored state. On a refusal, all changes are rolled
    /// back.
    fn execute(&self, ctx: &CommandContext<'_>) -> impl Future<Output = Result<Self::Output>> + Send;

    /// Returns the limit that each use of this command by the caller's address counts against.
    fn limit(&self) -> Option<Limit> {
        None
    }

    /// Returns the decision for the audit log.
    fn decision(_: &Self::Output) -> &'static str {
        "done"
    }

    /// Returns the API key, user or session that may lose rights through this command.
    fn ends_rights_of(&self) -> Option<Uuid> {
        None
    }
}

/// Result of a command with the id of the object that it created or changed, for the audit log.
pub trait Identified {
    fn id(&self) -> Uuid;
}

impl Identified for Uuid {
    fn id(&self) -> Uuid {
        *self
    }
}

macro_rules! identified {
    ($($table:ident)*) => {
        $(
            impl Identified for entity::$table::Model {
                fn id(&self) -> Uuid {
                    self.id
                }
            }
        )*
    };
}

identified!(
    account api_key bank_account corporate_action entitlement fill instrument invitation kyc kyc_document kyc_review
    lot_closing message order partner position screening_exception screening_hit session settlement_violation statement
    tax_lot transfer user
);

/// Context in which a command executes: its transaction, its partner and the partner's time.
#[derive(Clone, Copy)]
pub struct CommandContext<'a> {
    pub app: &'a App,
    pub tx: &'a WriteTransaction,
    pub partner: &'a partner::Model,
    /// Rows that may be read and changed.
    pub access_scope: AccessScope,
    /// API key or user that caused the operation; none for a timer.
    pub actor_id: Option<Uuid>,
    pub now: DateTime<Utc>,
}

impl CommandContext<'_> {
    /// Returns the partner's settings that are in force at the time of the command.
    pub fn settings(&self) -> Result<PartnerSettings> {
        PartnerSettings::at(self.partner, self.now)
    }

    /// Returns the date in New York by the partner's clock, which decides ages and trading days.
    pub fn today(&self) -> NaiveDate {
        calendar::new_york_date(self.now)
    }

    /// Creates an event builder, for an event with ledger movements.
    pub fn event(&self) -> EventBuilder {
        let recorded_at = Ord::max(self.now, clock::now_of(self.partner));
        EventBuilder {
            recorded_at,
            ..EventBuilder::new(self.app.ids, self.partner.id, self.actor_id, self.now)
        }
    }

    /// Records an event that moved nothing in the ledger.
    pub async fn record(&self, event: Event) -> Result<()> {
        self.event().record(self.tx, event).await
    }

    /// Schedules a change of `subject_id` at `due_at` by the partner's clock.
    pub async fn schedule<D: Due>(&self, subject_id: Uuid, due_at: DateTime<Utc>) {
        timers::schedule(self.tx, self.app.ids, self.partner.id, D::KIND, subject_id, due_at).await;
    }

    /// The same for a kind of change whose feature is in a later area.
    pub async fn schedule_kind(&self, kind: TimerKind, subject_id: Uuid, due_at: DateTime<Utc>) {
        timers::schedule(self.tx, self.app.ids, self.partner.id, kind, subject_id, due_at).await;
    }

    /// Cancels the scheduled changes of this kind of `subject_id`.
    ///
    /// The worker deletes the timer first and then locks its subject. Callers must use the same order to
    /// avoid a deadlock.
    pub async fn unschedule<D: Due>(&self, subject_id: Uuid) -> Result<()> {
        timers::cancel(self.tx, self.partner.id, subject_id, D::KIND).await
    }

    /// Locks the scheduled changes of several subjects, for callers that lock the subjects before they cancel any.
    pub async fn lock_scheduled(&self, subject_ids: &[Uuid]) -> Result<()> {
        timers::lock(self.tx, self.partner.id, subject_ids).await
    }

    /// Cancels all scheduled changes of `subject_id`, with the same promise as `unschedule`.
    pub async fn unschedule_all(&self, subject_id: Uuid) -> Result<()> {
        timers::cancel_all(self.tx, self.partner.id, subject_id).await
    }

    /// Returns the place of the partner's house account of this kind in the ledger.
    pub const fn house_account<'a>(&self, kind: LedgerKind, asset: &'a str) -> ledger::Place<'a> {
        (self.partner.id, kind, asset)
    }

    /// Returns ledger accounts of the partner or its customers, without their sums; opens them on first use.
    pub async fn ledger_accounts<const N: usize>(
        &self,
        places: [ledger::Place<'_>; N],
    ) -> Result<[AccountId; N]> {
        ledger::accounts(self.tx, self.app.ids, self.partner.id, places).await
    }

    /// Locks ledger accounts of the partner or its customers and returns them; opens them on first use.
    pub async fn lock_ledger_accounts<const N: usize>(
        &self,
        places: [ledger::Place<'_>; N],
    ) -> Result<[ledger_account::Model; N]> {
        ledger::lock_all(self.tx, self.app.ids, self.partner.id, places).await
    }
}

/// A result, and whether it was replayed for an idempotency key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer<T> {
    pub value: T,
    pub replayed: bool,
}

const MAX_ATTEMPTS: u32 = 5;
/// Time after which an operation is not retried.
const RETRY_FOR: Duration = Duration::from_secs(2);

/// Executes a command for a caller: checks permission and input, counts it against its limit, and takes at
/// least its minimum duration for a publishable key.
///
/// Requests with the same idempotency key execute once and get the same answer. Refusals because of stored
/// state are stored under the key; refusals of the request itself are not.
pub async fn execute<C: Command>(
    app: &App,
    actor: &Actor,
    key: Option<Key>,
    command: C,
) -> Result<Answer<C::Output>> {
    let caller = permitted::<C>(actor)?;
    if let Some(limit) = command.limit() {
        check(caller.mode, key.as_ref(), &command)?;
        limits::by_address(app, limit, actor.personal_address()).await?;
    }
    let until = Instant::now() + C::MIN_DURATION;
    let answer = execute_for(app, caller, actor.request_id, key, command).await;
    if !actor.may_see_results() {
        tokio::time::sleep_until(until.into()).await;
    }
    answer
}

/// Executes a command for a caller that has already been authorized. Neither counts it against its limit nor
/// waits for its minimum duration.
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
    let work = tokio::spawn(async move { run(&app, &caller, request_id, claim.as_ref(), &command).await });
    work.await.map_err(|_| Error::broken("a command did not finish"))?
}

/// Checks what can be checked without the database, including the idempotency key.
fn check<C: Command>(mode: Mode, key: Option<&Key>, command: &C) -> Result<()> {
    let mut checks = Checks::default();
    if let Some(key) = key {
        checks.note(key.check());
    }
    checks.note(command.check(mode));
    checks.done()
}

/// Returns the error for input that cannot be read: a missing permission takes precedence.
pub fn unreadable<C: Command>(actor: &Actor, error: Error) -> Error {
    permitted::<C>(actor).err().unwrap_or(error)
}

fn permitted<C: Command>(actor: &Actor) -> Result<Caller> {
    if C::FOR_ONESELF { actor.self_or_caller(C::SCOPE) } else { actor.caller(C::SCOPE) }
}

fn claim<C: Command>(app: &App, caller: &Caller, key: Key, command: &C) -> Result<Claim> {
    let arguments = serde_json::to_vec(command)
        .map_err(|cause| Error::broken(format!("arguments cannot be serialized: {cause}")))?;
    Ok(Claim {
        partner_id: caller.access_scope.partner_id,
        principal_id: caller.claimant_id,
        key,
        operation: C::NAME,
        fingerprint: app.vault.request_fingerprint(&arguments),
        vault: app.vault.clone(),
    })
}

async fn run<C: Command>(
    app: &App,
    caller: &Caller,
    request_id: Uuid,
    claim: Option<&Claim>,
    command: &C,
) -> Result<Answer<C::Output>> {
    let started = Instant::now();
    let may_retry = |attempt| attempt < MAX_ATTEMPTS && started.elapsed() < RETRY_FOR;
    for attempt in 1.. {
        let outcome = {
            // Dropped before an event of this commit can be delivered on the strength of cached rights.
            let _change = command.ends_rights_of().map(|subject| app.rights.begin_change(subject));
            run_once(app, caller, request_id, claim, command).await
        };
        match outcome {
            Err(error) if error.is_retryable() && may_retry(attempt) => pause(attempt).await,
            Err(Error::Refused(refusal)) => match refused::<C>(app, caller, request_id, claim, refusal).await
            {
                Error::Busy if may_retry(attempt) => pause(attempt).await,
                error => return Err(error),
            },
            Err(error) => return Err(error),
            Ok((answer, wake)) => {
                if caller.mode == Mode::Sandbox {
                    app.sequencer.caught_up().await;
                } else {
                    app.sequencer.wake();
                }
                app.timers.wake_after_commit(wake);
                return Ok(answer);
            }
        }
    }
    Err(Error::Busy)
}

/// Waits before a retry: longer with each attempt, with random jitter.
pub async fn pause(attempt: u32) {
    let jitter = crate::kernel::secrets::random::<1>().map_or(0, |[byte]| u64::from(byte) % 10);
    tokio::time::sleep(Duration::from_millis(u64::from(attempt) * 5 + jitter)).await;
}

async fn run_once<C: Command>(
    app: &App,
    caller: &Caller,
    request_id: Uuid,
    claim: Option<&Claim>,
    command: &C,
) -> Result<(Answer<C::Output>, WakeAfterCommit)> {
    let tx = app.db.write().await?;
    let partner = match claim {
        None => clock::partner(&tx, caller.access_scope.partner_id).await?,
        Some(claim) => match claim.take(&tx).await? {
            Taken::Claimed(partner) => partner,
            Taken::Answered(value) => {
                return Ok((Answer { value, replayed: true }, WakeAfterCommit::default()));
            }
        },
    };
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
        claim.store(&tx, &value).await?;
    }
    line::<C>(caller, request_id, Some(value.id()), C::decision(&value)).write(&tx, app.ids).await;
    let wake = timers::Wake::after(&tx, &partner);
    tx.commit().await?;
    Ok((Answer { value, replayed: false }, wake))
}

/// Stores a refusal after its transaction was rolled back. If another request has claimed the key meanwhile,
/// its answer counts, which is the same refusal.
async fn refused<C: Command>(
    app: &App,
    caller: &Caller,
    request_id: Uuid,
    claim: Option<&Claim>,
    refusal: Refusal,
) -> Error {
    let concerns_key = matches!(refusal.code, Code::IdempotencyInProgress | Code::IdempotencyKeyReused);
    if !refusal.replayed && !refusal.code.is_fault_of_request() {
        let outcome =
            store_refusal::<C>(app, caller, request_id, claim.filter(|_| !concerns_key), &refusal).await;
        app.sequencer.wake();
        if let Err(error) = outcome {
            return error;
        }
    }
    refusal.into()
}

async fn store_refusal<C: Command>(
    app: &App,
    caller: &Caller,
    request_id: Uuid,
    claim: Option<&Claim>,
    refusal: &Refusal,
) -> Result<()> {
    let tx = app.db.write().await?;
    if let Some(claim) = claim {
        if let Taken::Answered(serde::de::IgnoredAny) = claim.take(&tx).await? {
            return Err(Error::Busy);
        }
        claim.store_refusal(&tx, refusal).await?;
    }
    line::<C>(caller, request_id, None, refusal.code.name()).write(&tx, app.ids).await;
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
