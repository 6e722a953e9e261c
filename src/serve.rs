//! `coffer serve`: from an empty folder to an open door, and to an orderly end.

use crate::{Complaint, app, cannot, say};
use axum::{
    Router,
    serve::{Listener, ListenerExt},
};
use coffer::{
    app::App,
    config::{Config, Transport, write_private},
    domain::{self, Scope, Who, demo, instruments, keys, limits, partners},
    http::{self, tls::TlsListener},
    workers,
};
use entity::partner::Mode;
use std::{future::Future, io, net::SocketAddr, process::ExitCode, time::Duration};
use tokio::{
    net::TcpListener,
    signal::unix::{SignalKind, signal},
    sync::watch,
    task::JoinHandle,
};

/// How long requests may take to finish once the server stops.
const FAREWELL: Duration = Duration::from_secs(20);

/// Serves until told to stop.
pub async fn serve(config: &Config, empty: bool) -> Result<ExitCode, Complaint> {
    let transport = config.transport()?;
    let app = app(config).await?;
    let listener =
        TcpListener::bind(config.addr).await.map_err(|error| format!("cannot listen on {} (COFFER_ADDR): {error}", config.addr))?;
    let address = listener.local_addr().map_err(|error| format!("cannot listen on {}: {error}", config.addr))?;
    if config.is_production() {
        require_durability(&app).await?;
    }
    let sequencer = workers::sequencer(&app);
    let key = if config.is_production() { None } else { Some(prepare_sandbox(config, &app, empty).await?) };
    let mut tasks = vec![sequencer, workers::housekeeping(&app), workers::data_keys(&app), workers::limits(&app)];
    if config.worker {
        tasks.push(workers::timers(&app));
    }
    let (stop, stopping) = watch::channel(false);
    let mut settings = config.settings(&transport, key.clone().filter(|_| config.addr.ip().is_loopback()));
    settings.entrance.listening = Some(address);
    let router = http::router(app.clone(), settings, stopping).map_err(|error| cannot("build the doors", &error))?;
    let stopped = stop_signal()?;
    say(&banner(
        config,
        &format!("{}://{address}", if matches!(transport, Transport::Tls(_)) { "https" } else { "http" }),
        key.as_deref(),
    ))?;
    let server = match transport {
        Transport::Tls(identity) => {
            let listener = TlsListener::new(listener, identity).map_err(|error| format!("cannot listen on {address}: {error}"))?;
            open(listener, router, stop.subscribe())
        }
        Transport::Proxy | Transport::Clear => open(listener, router, stop.subscribe()),
    };
    let abort = server.abort_handle();
    tokio::select! {
        () = stopped => {}
        ended = server => return Err(format!("the server ended by itself: {ended:?}")),
    }
    stop.send_replace(true);
    let grace = async {
        while !abort.is_finished() {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    _ = tokio::time::timeout(FAREWELL, grace).await;
    abort.abort();
    for task in tasks {
        task.abort();
        _ = task.await;
    }
    limits::give_back(&app, Duration::ZERO).await.map_err(|error| cannot("give back what is left of rate windows", &error))?;
    app.db.settle().await.map_err(|error| cannot("finish the database's log", &error))?;
    Ok(ExitCode::SUCCESS)
}

/// Serves what comes in by this listener until `ending` turns true.
fn open<L>(listener: L, router: Router, mut ending: watch::Receiver<bool>) -> JoinHandle<io::Result<()>>
where
    L: Listener<Addr = SocketAddr>,
{
    let service = router.into_make_service_with_connect_info::<SocketAddr>();
    // Tapping a listener has it tell whom a connection comes from, whichever kind it is.
    let server = axum::serve(listener.tap_io(|_| {}), service).with_graceful_shutdown(async move {
        _ = ending.wait_for(|stopping| *stopping).await;
    });
    tokio::spawn(async move { server.await })
}

async fn require_durability(app: &App) -> Result<(), Complaint> {
    app.db.durability().await.map(|_| ()).map_err(|error| cannot("serve in production", &error))
}

/// Returns on SIGTERM or SIGINT.
fn stop_signal() -> Result<impl Future<Output = ()>, Complaint> {
    let listen = |kind| signal(kind).map_err(|error| format!("signals cannot be heard: {error}"));
    let (mut terminate, mut interrupt) = (listen(SignalKind::terminate())?, listen(SignalKind::interrupt())?);
    Ok(async move {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
    })
}

/// The sandbox partner with its instruments, its key, and unless `empty` a customer with a little history.
async fn prepare_sandbox(config: &Config, app: &App, empty: bool) -> Result<String, Complaint> {
    let prepared = async {
        instruments::list_built_in(app).await?;
        let partner = partners::named(app, partners::SANDBOX, Mode::Sandbox).await?;
        if !empty {
            demo::give_history(app, &partner).await?;
        }
        let kept = std::fs::read_to_string(config.sandbox_key_file()).map(|text| text.trim().to_owned()).ok();
        if let Some(kept) = kept
            && let Ok(Who::Partner(key)) = keys::authenticate(app, &kept).await
            && key.partner_id == partner.id
        {
            return Ok((kept, false));
        }
        Ok((keys::issue(app, &partner, &Scope::ALL).await?.reveal().clone(), true))
    };
    let (key, new) = prepared.await.map_err(|error: domain::Error| cannot("prepare the sandbox", &error))?;
    if new {
        write_private(&config.sandbox_key_file(), &key)?;
    }
    Ok(key)
}

fn banner(config: &Config, url: &str, key: Option<&str>) -> String {
    let Some(key) = key else { return format!("Coffer serves on {url}") };
    let file = config.sandbox_key_file();
    format!(
        "Coffer is open.\n\n  \
         playground  {url}/playground\n  \
         key         {key}\n              (kept in {})\n\n\
         A first query to paste:\n\n  \
         {{ users(first: 3) {{ edges {{ node {{ firstName accounts(first: 2) {{ edges {{ node {{ number balance {{ total {{ amount }} }} }} }} }} }} }} }} }}\n",
        file.display()
    )
}
