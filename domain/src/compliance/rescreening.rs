//! Screening existing users again after a list import: in the background, in small batches, on one server at
//! a time.
//!
//! A run goes through the current identity checks in the order of their ids and stores its progress, so that
//! any server can continue it. A check that is screened twice does not get duplicate hits.

use super::{
    kyc::{self as checks, hits},
    screening::{Cache, is_open, runs::of_users},
};
use crate::{
    Error, Result,
    kernel::{
        actor::AccessScope,
        app::App,
        clock,
        command::{CommandContext, pause},
    },
    people::applicants::Applicant,
};
use chrono::Duration;
use entity::{
    kyc, screening_run,
    user::{self, Status},
};
use sea_orm::{
    ColumnTrait, ConnectionTrait, EntityTrait, QueryFilter, QueryOrder, QuerySelect,
    sea_query::{Expr, ExprTrait, any},
};
use uuid::Uuid;

/// Number of checks that are read and compared at once.
const BATCH: u64 = 50;

/// How long a server has a run for itself after its last progress.
fn lease() -> Duration {
    Duration::seconds(5)
}

/// Most attempts to screen a check with rows that another transaction has locked.
const MAX_ATTEMPTS: u32 = 5;

/// Screens the next batch of the unfinished run, unless another server does. Returns whether there may be
/// more.
pub async fn carry_on(app: &App, server: Uuid) -> Result<bool> {
    let unfinished = screening_run::Entity::find().filter(screening_run::Column::FinishedAt.is_null());
    let Some(run) = unfinished.order_by_desc(screening_run::Column::WatchListId).one(&app.db.read).await?
    else {
        return Ok(false);
    };
    let free = any![
        screening_run::Column::LeasedBy.is_null(),
        screening_run::Column::LeasedBy.eq(server),
        screening_run::Column::LeasedUntil.lt(clock::system_now()),
    ];
    let leased = screening_run::Entity::update_many()
        .col_expr(screening_run::Column::LeasedBy, Expr::value(server))
        .col_expr(screening_run::Column::LeasedUntil, Expr::value(clock::system_now() + lease()))
        .filter(screening_run::Column::WatchListId.eq(run.watch_list_id))
        .filter(screening_run::Column::FinishedAt.is_null())
        .filter(free);
    let tx = app.db.write().await?;
    let has_lease = leased.exec(&tx).await?.rows_affected == 1;
    tx.commit().await?;
    if !has_lease {
        return Ok(false);
    }
    // Read it again under the lease: another server may have advanced it.
    let Some(run) = screening_run::Entity::find_by_id(run.watch_list_id).one(&app.db.read).await? else {
        return Ok(true);
    };
    let mut select = of_users().order_by_asc(kyc::Column::Id).limit(BATCH);
    if let Some(last) = run.last_kyc_id {
        select = select.filter(kyc::Column::Id.gt(last));
    }
    let batch = select.all(&app.db.read).await?;
    let last = batch.last().map(|check| check.id);
    let (screened, (matching, mut failed)) = (batch.len(), matching(app, batch).await?);
    let mut found = 0;
    let mut transient = None;
    for check in matching {
        match screen(app, &check).await {
            Ok(new) => found += new,
            Err(error) if error.is_outage() => return Err(error),
            Err(error) if error.is_transient() => transient = Some(error),
            // One failure does not keep the others from being screened.
            Err(error) => {
                tracing::error!(cause = %error.cause(), check = %check.id,
                    "a user could not be screened again");
                failed += 1;
            }
        }
    }
    // A check that failed temporarily is not skipped: the batch is screened again.
    if let Some(error) = transient {
        return Err(error);
    }
    let update = screening_run::Entity::update_many()
        .col_expr(
            screening_run::Column::Screened,
            Expr::col(screening_run::Column::Screened).add(number(screened)),
        )
        .col_expr(screening_run::Column::Failed, Expr::col(screening_run::Column::Failed).add(number(failed)))
        .col_expr(screening_run::Column::Hits, Expr::col(screening_run::Column::Hits).add(number(found)))
        .filter(screening_run::Column::WatchListId.eq(run.watch_list_id))
        .filter(screening_run::Column::LeasedBy.eq(server));
    let update = match last {
        Some(last) => update.col_expr(screening_run::Column::LastKycId, Expr::value(last)),
        None => update.col_expr(screening_run::Column::FinishedAt, Expr::value(clock::system_now())),
    };
    let tx = app.db.write().await?;
    update.exec(&tx).await?;
    tx.commit().await?;
    Ok(last.is_some())
}

fn number(count: usize) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}

/// Returns the checks of a batch with applicants who resemble any entry, and the number of unreadable checks.
/// The comparison runs on a blocking thread.
async fn matching(app: &App, batch: Vec<kyc::Model>) -> Result<(Vec<kyc::Model>, usize)> {
    let Some(people) = app.feature::<Cache>().people(&app.db.read).await? else { return Ok((Vec::new(), 0)) };
    let (mut readable, mut failed) = (Vec::new(), 0);
    for check in batch {
        app.vault.ready_for(&app.db, check.partner_id).await?;
        match applicant_of(app, &app.db.read, &check).await {
            Ok(Some(person)) => readable.push((check, person)),
            Ok(None) => failed += 1,
            Err(error) if error.is_transient() => return Err(error),
            Err(error) => {
                tracing::error!(cause = %error.cause(), check = %check.id,
                    "an identity check cannot be read and was not screened again");
                failed += 1;
            }
        }
    }
    let compare = move || {
        readable.into_iter().filter(|(_, person)| people.resemble(person)).map(|(check, _)| check).collect()
    };
    let matching = tokio::task::spawn_blocking(compare).await;
    Ok((matching.map_err(|_| Error::broken("screening was aborted"))?, failed))
}

/// Returns the applicant of a check; none if required data is missing.
async fn applicant_of(
    app: &App,
    connection: &impl ConnectionTrait,
    check: &kyc::Model,
) -> Result<Option<Applicant>> {
    if let Some(applicant) = checks::applicant(app, check)? {
        return Ok(Some(applicant.reveal().clone()));
    }
    match check.user_id {
        Some(id) => user::Entity::find_by_id(id)
            .one(connection)
            .await?
            .map_or(Ok(None), |user| Applicant::of(app, &user)),
        None => Ok(None),
    }
}

/// Stores the new hits of one check and sends the user to a reviewer. Returns the number of open new hits.
async fn screen(app: &App, check: &kyc::Model) -> Result<usize> {
    for attempt in 1..MAX_ATTEMPTS {
        match screen_once(app, check).await {
            Err(error) if error.is_retryable() || matches!(error, Error::Busy) => pause(attempt).await,
            other => return other,
        }
    }
    screen_once(app, check).await
}

async fn screen_once(app: &App, check: &kyc::Model) -> Result<usize> {
    let tx = app.db.write().await?;
    let partner = clock::locked(&tx, check.partner_id).await?;
    let ctx = CommandContext {
        app,
        tx: &tx,
        partner: &partner,
        access_scope: AccessScope::all_of(partner.id),
        actor_id: None,
        now: clock::now_of(&partner),
    };
    // Read it again under the lock.
    let Some(check) =
        checks::within(&tx, ctx.access_scope, check.id).await?.filter(|check| check.superseded_at.is_none())
    else {
        return Ok(0);
    };
    let user = match check.user_id {
        Some(id) => user::Entity::find_by_id(id).one(&tx).await?,
        None => None,
    };
    if user.is_none_or(|user| user.status == Status::Closed) {
        return Ok(0);
    }
    let Some(person) = applicant_of(app, &tx, &check).await? else { return Ok(0) };
    let mut new = hits::screen_again(&ctx, check.id, &person).await?;
    new.retain(is_open);
    let found = new.len();
    if found > 0 {
        hits::reopen(&ctx, check, &new).await?;
    }
    tx.commit().await?;
    app.sequencer.wake();
    Ok(found)
}
