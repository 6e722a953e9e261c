//! Loops that call domain operations. They end with the process.

use domain::{
    Result,
    access::{passcodes, sessions},
    app::App,
    compliance::rescreening,
    delivery::messages,
    kernel::{idempotency, limits, scheduler, throttle},
};
use entity::{Kind, timer::Clock};
use futures_util::FutureExt;
use std::{panic::AssertUnwindSafe, sync::atomic::Ordering, time::Duration};
use tokio::{
    task::{JoinHandle, JoinSet},
    time::Instant,
};

/// Runs a loop in a task of its own, and again a second after it panicked.
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
            tracing::error!(name, "a worker panicked and begins again");
            tokio::time::sleep(Duration::from_secs(1)).await;
        }
    })
}

/// Numbers and seals what is committed.
pub fn sequencer(app: &App) -> JoinHandle<()> {
    keep_running(
        "sequencer",
        |app: App| async move { app.sequencer.run(&app.db, &app.feed, &app.vault).await },
        app,
    )
}

/// How long a timer that nobody announced may be late.
const MAX_TIMER_DELAY: Duration = Duration::from_millis(200);

/// Carries out what is due, by the partners' clocks and by the system's, and screens existing customers after
/// an import.
pub fn timers(app: &App) -> JoinHandle<()> {
    let app = app.clone();
    tokio::spawn(async move {
        tokio::join!(
            carry_out_due(&app, Clock::Partner),
            carry_out_due(&app, Clock::System),
            screen_again(&app)
        );
    })
}

async fn carry_out_due(app: &App, clock: Clock) {
    let mut begun = JoinSet::new();
    loop {
        let round = async {
            match clock {
                Clock::Partner => scheduler::run_due(app).await,
                Clock::System => scheduler::start_due_by_system(app, &mut begun).await,
            }
        };
        match AssertUnwindSafe(round).catch_unwind().await {
            Ok(Ok(true)) => {}
            Ok(Ok(false)) => app.timers.wait(clock, MAX_TIMER_DELAY).await,
            Err(_) => {
                tracing::error!("carrying out what is due panicked and is tried again");
                tokio::time::sleep(Duration::from_secs(1)).await;
            }
            Ok(Err(error)) => {
                tracing::error!(cause = %error.cause(), "due timers could not be carried out and are tried again");
                tokio::time::sleep(Duration::from_secs(1)).await;
            }
        }
    }
}

/// How often it is looked whether a watch list was imported.
const IMPORTS_NOTICED: Duration = Duration::from_secs(1);

/// Screens existing customers again after an import, and rests as long as it works, so that others get their
/// turn.
async fn screen_again(app: &App) {
    let server = app.ids.next(Kind::WatchList);
    loop {
        let began = Instant::now();
        let pause = match AssertUnwindSafe(rescreening::carry_on(app, server)).catch_unwind().await {
            Ok(Ok(true)) => began.elapsed(),
            Ok(Ok(false)) => IMPORTS_NOTICED,
            Ok(Err(error)) => {
                tracing::error!(cause = %error.cause(),
                    "customers could not be screened again, which is tried again");
                IMPORTS_NOTICED
            }
            Err(_) => {
                tracing::error!("screening customers again panicked and is tried again");
                IMPORTS_NOTICED
            }
        };
        tokio::time::sleep(pause).await;
    }
}

/// How old what is known of other instances' data keys may be.
const KEYS_KNOWN: Duration = Duration::from_secs(1);

/// Learns of data keys that other instances have made.
pub fn data_keys(app: &App) -> JoinHandle<()> {
    let work = |app: App| async move {
        loop {
            app.vault.missed(KEYS_KNOWN).await;
            let refreshed = app.vault.refresh(&app.db).await;
            app.keys_known.store(refreshed.is_ok(), Ordering::Relaxed);
            if let Err(error) = refreshed {
                tracing::error!(cause = %error.cause(), "data keys could not be read and are tried again");
                tokio::time::sleep(KEYS_KNOWN).await;
            }
        }
    };
    keep_running("data keys", work, app)
}

/// Gives back what callers who have fallen silent left of their allowances.
pub fn limits(app: &App) -> JoinHandle<()> {
    let work = |app: App| async move {
        loop {
            tokio::time::sleep(Duration::from_secs(1)).await;
            if let Err(error) = limits::return_unspent(&app, limits::IDLE).await {
                tracing::error!(cause = %error.cause(), "a rate window could not be given back and is tried again");
            }
        }
    };
    keep_running("limits", work, app)
}

/// Forgets what needs no longer be kept, once an hour.
pub fn housekeeping(app: &App) -> JoinHandle<()> {
    let work = |app: App| async move {
        loop {
            if let Err(error) = forget(&app).await {
                tracing::error!(cause = %error.cause(), "what is old could not be forgotten");
            }
            tokio::time::sleep(Duration::from_secs(3600)).await;
        }
    };
    keep_running("housekeeping", work, app)
}

async fn forget(app: &App) -> Result<()> {
    let tx = app.db.write().await?;
    let keys = idempotency::forget_old(&tx).await?;
    let messages = messages::forget_old(&tx).await?;
    let passcodes = passcodes::forget_old(&tx).await?;
    let sessions = sessions::forget_old(&tx).await?;
    let throttled = throttle::forget_old(&tx).await?;
    let windows = limits::forget_ended(&tx).await?;
    tx.commit().await?;
    tracing::debug!(
        keys,
        messages,
        passcodes,
        sessions,
        throttled,
        windows,
        "what is old has been forgotten"
    );
    Ok(())
}
