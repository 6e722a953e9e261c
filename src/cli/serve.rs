//! `coffer serve`: startup, listening and graceful shutdown.

use super::{CliError, app, cannot, say, warn};
use coffer::{
    config::{Config, Transport, write_private},
    server::{self, connections::MAX_HEALTH_CHECKS, serving, tls::Certificate, workers},
};
use domain::{
    Scope, Who,
    access::{keys, partners},
    app::App,
    kernel::limits,
    sandbox::demo,
    trading::instruments,
};
use entity::partner::Mode;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use std::{future::Future, io, net::SocketAddr, process::ExitCode, time::Duration};
use tokio::{
    net::{TcpListener, TcpSocket},
    signal::unix::{Signal, SignalKind, signal},
    sync::watch,
};

/// Time that running requests have to finish when the server stops.
const SHUTDOWN_GRACE: Duration = Duration::from_secs(20);
/// File descriptors reserved for the database, files, mail and everything else but client connections.
const OTHER_DESCRIPTORS: usize = 128;

/// Connections that may wait to be accepted, as far as the system allows. While none is free, the system
/// silently drops further connections, and their clients wait for many seconds.
const MAX_WAITING: u32 = 4096;

/// Serves until SIGTERM or SIGINT.
pub async fn serve(config: &Config, empty: bool) -> Result<ExitCode, CliError> {
    let transport = config.transport()?;
    let app = app(config).await?;
    let listener = listen(config.addr)
        .map_err(|error| format!("cannot listen on {} (COFFER_ADDR): {error}", config.addr))?;
    let address =
        listener.local_addr().map_err(|error| format!("cannot listen on {}: {error}", config.addr))?;
    if config.is_production() {
        require_durability(&app).await?;
    }
    let sequencer = workers::sequencer(&app);
    let key = if config.is_production() { None } else { Some(prepare_sandbox(config, &app, empty).await?) };
    let mut tasks =
        vec![sequencer, workers::housekeeping(&app), workers::data_keys(&app), workers::limits(&app)];
    if config.worker {
        tasks.push(workers::timers(&app));
    }
    let (stop, stopping) = watch::channel(false);
    let mut settings = config.settings(&transport, key.clone().filter(|_| config.addr.ip().is_loopback()));
    settings.network.listening = Some(address);
    let router = server::router(app.clone(), settings, stopping)
        .map_err(|error| cannot("set up the routes", &error))?;
    let stopped = stop_signal()?;
    let hangups =
        signal(SignalKind::hangup()).map_err(|error| format!("cannot install signal handlers: {error}"))?;
    say(&banner(
        config,
        &format!("{}://{address}", if matches!(transport, Transport::Tls(_)) { "https" } else { "http" }),
        key.as_deref(),
    ))?;
    let certificate = match transport {
        Transport::Tls(identity) => Some(Certificate::new(identity)),
        Transport::Proxy | Transport::Clear => None,
    };
    tasks.push(tokio::spawn(reload(config.clone(), hangups, certificate.clone())));
    let settings = config.server(available_connections(config));
    let server = serving::serve(listener, certificate, router, settings, stop.subscribe());
    let mut server = std::pin::pin!(server);
    tokio::select! {
        () = stopped => {}
        () = &mut server => return Err("the server stopped unexpectedly".to_owned()),
    }
    stop.send_replace(true);
    _ = tokio::time::timeout(SHUTDOWN_GRACE, server).await;
    for task in tasks {
        task.abort();
        _ = task.await;
    }
    limits::return_unspent(&app, Duration::ZERO)
        .await
        .map_err(|error| cannot("return unused request allowances", &error))?;
    app.db.checkpoint().await.map_err(|error| cannot("write the database's log to its file", &error))?;
    Ok(ExitCode::SUCCESS)
}

/// Raises the limit of open files as far as allowed and needed, and returns how many connections it leaves
/// room for.
fn available_connections(config: &Config) -> usize {
    let reserved = OTHER_DESCRIPTORS + MAX_HEALTH_CHECKS;
    let wanted = u64::from(config.connections) + reserved as u64;
    let Rlimit { current, maximum } = getrlimit(Resource::Nofile);
    let allowed = maximum.map_or(wanted, |maximum| maximum.min(wanted));
    let raised = current.is_some_and(|current| current < allowed)
        && setrlimit(Resource::Nofile, Rlimit { current: Some(allowed), maximum }).is_ok();
    let limit = if raised { Some(allowed) } else { current };
    let available = limit
        .map_or(usize::MAX, |limit| usize::try_from(limit).unwrap_or(usize::MAX).saturating_sub(reserved))
        .max(1);
    if (available as u64) < u64::from(config.connections) {
        tracing::warn!(
            connections = available,
            "the system allows fewer open files than COFFER_CONNECTIONS needs"
        );
    }
    available
}

/// Reloads the certificate and its key on every SIGHUP. On an error the old certificate stays in use.
async fn reload(config: Config, mut hangups: Signal, certificate: Option<Certificate>) {
    while hangups.recv().await.is_some() {
        match (&certificate, config.transport()) {
            (Some(certificate), Ok(Transport::Tls(identity))) => {
                certificate.replace(identity);
                tracing::info!("the certificate was reloaded");
            }
            (Some(_), Err(error)) => {
                tracing::error!(
                    cause = error,
                    "the certificate cannot be reloaded; the old one stays in use"
                );
            }
            _ => tracing::info!("no certificate to reload"),
        }
    }
}

async fn require_durability(app: &App) -> Result<(), CliError> {
    app.db.durability().await.map(|_| ()).map_err(|error| cannot("serve in production", &error))
}

/// Returns a future that completes on SIGTERM or SIGINT.
fn stop_signal() -> Result<impl Future<Output = ()>, CliError> {
    let on_signal = |kind| signal(kind).map_err(|error| format!("cannot install signal handlers: {error}"));
    let (mut terminate, mut interrupt) =
        (on_signal(SignalKind::terminate())?, on_signal(SignalKind::interrupt())?);
    Ok(async move {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
    })
}

/// Listens on an address.
fn listen(address: SocketAddr) -> io::Result<TcpListener> {
    let socket = if address.is_ipv4() { TcpSocket::new_v4()? } else { TcpSocket::new_v6()? };
    socket.set_reuseaddr(true)?;
    socket.bind(address)?;
    socket.listen(MAX_WAITING)
}

/// Prepares the sandbox partner with instruments, an API key and, unless `empty`, a demonstration customer;
/// returns the API key.
async fn prepare_sandbox(config: &Config, app: &App, empty: bool) -> Result<String, CliError> {
    let prepared = async {
        instruments::list_built_in(app).await?;
        let partner = partners::find_or_create(app, partners::SANDBOX, Mode::Sandbox).await?;
        if !empty {
            demo::create_user_with_history(app, &partner).await?;
        }
        let stored =
            std::fs::read_to_string(config.sandbox_key_file()).map(|text| text.trim().to_owned()).ok();
        if let Some(stored) = &stored
            && let Ok(Who::Partner(key)) = keys::authenticate(app, stored).await
            && key.partner_id == partner.id
        {
            return Ok((stored.clone(), KeyFile::Kept));
        }
        Ok((
            keys::issue(app, &partner, &Scope::ALL).await?.reveal().clone(),
            if stored.is_some() { KeyFile::Replaced } else { KeyFile::New },
        ))
    };
    let (key, file) = prepared.await.map_err(|error: domain::Error| cannot("prepare the sandbox", &error))?;
    if file == KeyFile::Replaced {
        let file = config.sandbox_key_file();
        warn(&format!("The API key in {} is no longer valid and was replaced.", file.display()));
    }
    if file != KeyFile::Kept {
        write_private(&config.sandbox_key_file(), &key)?;
    }
    Ok(key)
}

/// State of the file with the sandbox's API key.
#[derive(Clone, Copy, PartialEq, Eq)]
enum KeyFile {
    Kept,
    New,
    Replaced,
}

fn banner(config: &Config, url: &str, key: Option<&str>) -> String {
    let Some(key) = key else { return format!("Coffer is listening on {url}") };
    let file = config.sandbox_key_file();
    format!(
        "Coffer is running.\n\n  \
         playground  {url}/playground\n  \
         key         {key}\n              (stored in {})\n\n\
         A first query to try:\n\n  \
         {{ users(first: 3) {{ edges {{ node {{ firstName accounts(first: 2) {{ edges {{ node {{ number \
         balance {{ total {{ amount }} }} }} }} }} }} }} }} }}\n",
        file.display()
    )
}
