//! Background workers: loops that call domain operations until the process ends.

use domain::{
    Result,
    access::{passcodes, sessions},
    app::App,
    compliance::rescreening,
    delivery::messages,
    kernel::{idempotency, limits, scheduler},
};
use entity::{Kind, timer::Clock};
use futures_util::FutureExt;
use std::{panic::AssertUnwindSafe, sync::atomic::Ordering, time::Duration};
use tokio::{
    task::{JoinHandle, JoinSet},
    time::Instant,
};

/// Runs a worker in its own task and restarts it one second after a panic.
fn keep_running<F>(
    name: &'static str,
    work: impl Fn(App) -> F + Send + Sync + 'static,
    app: &App,
) -> JoinHandle<()>
where
    F: Future<Output = ()> + Send + 'static,
{
    let app = app.clone();
    tokio::spawn(async move {
        while AssertUnwindSafe(work(app.clone())).catch_unwind().await.is_err() {
            tracing::error!(name, "a worker panicked and will be restarted");
            tokio::time::sleep(Duration::from_secs(1)).await;
        }
    })
}

/// Runs the sequencer, which numbers and chains committed events.
pub fn sequencer(app: &App) -> JoinHandle<()> {
    keep_running(
        "sequencer",
        |app: App| async move { app.sequencer.run(&app.db, &app.feed, &app.vault).await },
        app,
    )
}

/// Maximum delay of a timer that was scheduled by another instance.
const MAX_TIMER_DELAY: Duration = Duration::from_millis(200);

/// Runs due timers of the partners' clocks and of the system clock, and screens existing users after an
/// import of a watch list.
pub fn timers(app: &App) -> JoinHandle<()> {
    let app = app.clone();
    tokio::spawn(async move {
        tokio::join!(
            run_due_timers(&app, Clock::Partner),
            run_due_timers(&app, Clock::System),
            rescreen_users(&app)
        );
    })
}

async fn run_due_timers(app: &App, clock: Clock) {
    let mut running = JoinSet::new();
    loop {
        let round = async {
            match clock {
                Clock::Partner => scheduler::run_due(app).await,
                Clock::System => scheduler::start_due_by_system(app, &mut running).await,
            }
        };
        match AssertUnwindSafe(round).catch_unwind().await {
            Ok(Ok(true)) => {}
            Ok(Ok(false)) => app.timers.wait(clock, MAX_TIMER_DELAY).await,
            Err(_) => {
                tracing::error!("running due timers panicked and will be retried");
                tokio::time::sleep(Duration::from_secs(1)).await;
            }
            Ok(Err(error)) => {
                tracing::error!(cause = %error.cause(), "due timers could not be run and will be retried");
                tokio::time::sleep(Duration::from_secs(1)).await;
            }
        }
    }
}

/// Interval at which the server checks for an imported watch list.
const IMPORT_CHECK_INTERVAL: Duration = Duration::from_secs(1);

/// Screens existing users again after an import of a watch list. Pauses as long as each step takes, so that
/// other work is not slowed down.
async fn rescreen_users(app: &App) {
    let server = app.ids.next(Kind::WatchList);
    loop {
        let started = Instant::now();
        let pause = match AssertUnwindSafe(rescreening::carry_on(app, server)).catch_unwind().await {
            Ok(Ok(true)) => started.elapsed(),
            Ok(Ok(false)) => IMPORT_CHECK_INTERVAL,
            Ok(Err(error)) => {
                tracing::error!(cause = %error.cause(),
                    "users could not be screened again; this will be retried");
                IMPORT_CHECK_INTERVAL
            }
            Err(_) => {
                tracing::error!("screening users again panicked and will be retried");
                IMPORT_CHECK_INTERVAL
            }
        };
        tokio::time::sleep(pause).await;
    }
}

/// Interval at which data keys of other instances are loaded.
const KEY_REFRESH_INTERVAL: Duration = Duration::from_secs(1);

/// Loads data keys that other instances have created.
pub fn data_keys(app: &App) -> JoinHandle<()> {
    let work = |app: App| async move {
        loop {
            app.vault.missed(KEY_REFRESH_INTERVAL).await;
            let refreshed = app.vault.refresh(&app.db).await;
            app.keys_known.store(refreshed.is_ok(), Ordering::Relaxed);
            if let Err(error) = refreshed {
                tracing::error!(cause = %error.cause(),
                    "data keys could not be loaded; this will be retried");
                tokio::time::sleep(KEY_REFRESH_INTERVAL).await;
            }
        }
    };
    keep_running("data keys", work, app)
}

/// Returns the unused part of rate limit allowances reserved for callers that are now idle.
pub fn limits(app: &App) -> JoinHandle<()> {
    let work = |app: App| async move {
        loop {
            tokio::time::sleep(Duration::from_secs(1)).await;
            if let Err(error) = limits::return_unspent(&app, limits::IDLE).await {
                tracing::error!(cause = %error.cause(),
                    "unused rate limit allowances could not be returned; this will be retried");
            }
        }
    };
    keep_running("limits", work, app)
}

/// Deletes expired data once an hour.
pub fn housekeeping(app: &App) -> JoinHandle<()> {
    let work = |app: App| async move {
        loop {
            if let Err(error) = delete_expired(&app).await {
                tracing::error!(cause = %error.cause(), "expired data could not be deleted");
            }
            tokio::time::sleep(Duration::from_secs(3600)).await;
        }
    };
    keep_running("housekeeping", work, app)
}

async fn delete_expired(app: &App) -> Result<()> {
    let tx = app.db.write().await?;
    let keys = idempotency::forget_old(&tx).await?;
    let messages = messages::forget_old(&tx).await?;
    let passcodes = passcodes::forget_old(&tx).await?;
    let sessions = sessions::forget_old(&tx).await?;
    let limits = limits::forget_ended(&tx).await?;
    tx.commit().await?;
    tracing::debug!(keys, messages, passcodes, sessions, limits, "expired data was deleted");
    Ok(())
}
