//! One run: fills databases, starts the servers, compares and measures them.

use crate::{
    Kind, Result, Run,
    data::{self, Size},
    database::Connection,
    fanout,
    figures::{self, Measured, Row},
    fill,
    load::Site,
    operations::{Operation, Work},
    postgres,
    processes::{Cpu, Server},
};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use std::{
    fs,
    path::{Path, PathBuf},
    process::ExitCode,
    sync::Arc,
    time::Instant,
};

/// How much is measured.
struct Extent {
    size: Size,
    /// CPU time of one operation in one round, in milliseconds.
    budget: f64,
    fanout: fanout::Extent,
    /// Whether PostgreSQL writes commits to disk.
    waits_for_disk: bool,
    /// Whether there are enough subscribers to see how much memory each takes.
    shows_memory: bool,
}

impl Extent {
    const fn fanout(subscribers: usize, least: usize, budget: f64) -> fanout::Extent {
        fanout::Extent { subscribers, least, budget }
    }

    const FULL: Self = Self {
        size: data::FULL,
        budget: 2000.0,
        fanout: Extent::fanout(1000, 20, 2000.0),
        waits_for_disk: true,
        shows_memory: true,
    };
    const SHORT: Self = Self {
        size: data::SHORT,
        budget: 300.0,
        fanout: Extent::fanout(200, 20, 1000.0),
        waits_for_disk: false,
        shows_memory: false,
    };
}

pub async fn run(options: &Run) -> Result<ExitCode> {
    let began = Instant::now();
    let coffer = options.coffer.canonicalize();
    let coffer = coffer.map_err(|error| format!("{}: {error}", options.coffer.display()))?;
    raise_open_files()?;
    let extent = if options.short { Extent::SHORT } else { Extent::FULL };
    let kinds = options.database.map_or_else(|| vec![Kind::Postgres, Kind::Sqlite], |kind| vec![kind]);
    let mut rows = Vec::new();
    for kind in kinds {
        rows.extend(on(kind, &coffer, &extent, options.rounds.max(1)).await?);
    }
    let name = name(options.short);
    println!(
        "\n{name}, median of {} rounds: CPU ms per request or event (server + database); {} s\n\n{}",
        options.rounds,
        began.elapsed().as_secs(),
        figures::table(&rows)
    );
    let measured = figures::of(&rows, &name);
    if let Some(file) = &options.out {
        figures::write(file, measured.clone())?;
    }
    match &options.check {
        Some(file) => figures::check(&figures::read(file)?, &measured),
        None => Ok(ExitCode::SUCCESS),
    }
}

/// Name of the figures: both servers must have been built alike, and sizes are not comparable.
fn name(is_short: bool) -> String {
    let build = if cfg!(debug_assertions) { "debug" } else { "release" };
    format!("{build}, {}", if is_short { "short" } else { "full" })
}

/// Allows as many open files as the subscribers need; the servers inherit this.
fn raise_open_files() -> Result<()> {
    let Rlimit { current, maximum } = getrlimit(Resource::Nofile);
    let wanted = maximum.map_or(8192, |maximum| maximum.min(8192));
    if current.is_some_and(|current| current < wanted) {
        setrlimit(Resource::Nofile, Rlimit { current: Some(wanted), maximum })?;
    }
    Ok(())
}

/// A folder that is removed when it is dropped.
struct Folder(PathBuf);

impl Folder {
    fn new() -> Result<Self> {
        let path = std::env::temp_dir().join(format!("coffer-bench-{}", std::process::id()));
        fs::create_dir_all(&path)?;
        Ok(Self(path))
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        _ = fs::remove_dir_all(&self.0);
    }
}

async fn on(kind: Kind, coffer: &Path, extent: &Extent, rounds: usize) -> Result<Vec<Row>> {
    let folder = Folder::new()?;
    let postgres =
        if kind == Kind::Postgres { Some(postgres::Server::start(extent.waits_for_disk)?) } else { None };
    let url = postgres
        .as_ref()
        .map_or_else(|| format!("sqlite:{}", folder.0.join("coffer.db").display()), postgres::Server::url);
    let process = postgres.as_ref().map(postgres::Server::process).transpose()?;
    // Coffer creates the tables, the sandbox and its instruments.
    Server::coffer(coffer, &url, &folder.0, process).await?.stop()?;
    let began = Instant::now();
    fill::fill(&url, extent.size).await?;
    println!("{kind}: {} orders in {} s", extent.size.orders, began.elapsed().as_secs());
    let mut site = Site {
        limit: Server::limit(&url, process)?,
        coffer: Server::coffer(coffer, &url, &folder.0, process).await?,
        database: Connection::open(&url).await?,
    };
    let works = Operation::ALL.map(|operation| Arc::new(Work::new(operation, extent.size)));
    let row = |operation: String, is_checked| Row {
        database: kind.to_string(),
        operation,
        limit: Vec::new(),
        coffer: Vec::new(),
        is_checked,
    };
    let mut measured = Vec::new();
    for work in &works {
        site.compare(work).await?;
        for to_coffer in [false, true] {
            site.measure(to_coffer, work, 0.0).await?;
        }
        measured.push((Arc::clone(work), row(work.operation.to_string(), true)));
    }
    for round in 1..=rounds {
        println!("{kind}: round {round} of {rounds}");
        fill::tidy(&url).await?;
        for (work, row) in &mut measured {
            row.limit.push(site.measure(false, work, extent.budget).await?.into());
            row.coffer.push(site.measure(true, work, extent.budget).await?.into());
        }
    }
    // Servers that have just started show how much memory a subscriber takes.
    site.limit = Server::limit(&url, process)?;
    site.coffer.stop()?;
    site.coffer = Server::coffer(coffer, &url, &folder.0, process).await?;
    let orders = Work::new(Operation::M1, extent.size);
    let subscribers = format!("S1 {} subscribers", extent.fanout.subscribers);
    let mut fanout = [
        row(format!("{subscribers}, CPU"), true),
        row(format!("{subscribers}, ms to all"), false),
        row(format!("{subscribers}, KiB each"), false),
    ];
    for round in 0..rounds {
        for to_coffer in [false, true] {
            let one = fanout::measure(&mut site, to_coffer, extent.fanout, &orders).await?;
            let values = [one.cpu.into(), one.milliseconds.into(), one.memory.into()];
            // Later subscribers use memory that earlier ones have left.
            let values = values.into_iter().take(if round == 0 { 3 } else { 2 });
            for (row, value) in fanout.iter_mut().zip(values) {
                if to_coffer { &mut row.coffer } else { &mut row.limit }.push(value);
            }
        }
    }
    let kept = if extent.shows_memory { 3 } else { 2 };
    Ok(measured.into_iter().map(|(_, row)| row).chain(fanout.into_iter().take(kept)).collect())
}

impl From<Cpu> for Measured {
    fn from(cpu: Cpu) -> Self {
        Self { total: cpu.total(), parts: Some((cpu.server, cpu.database)) }
    }
}

impl From<f64> for Measured {
    fn from(total: f64) -> Self {
        Self { total, parts: None }
    }
}
