//! The servers that are measured, and the CPU time and memory of processes.

use crate::{Result, http::Client};
use std::{
    fs,
    io::{BufRead, BufReader},
    net::{Ipv4Addr, SocketAddr, TcpListener},
    path::Path,
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

/// Milliseconds of a clock tick in /proc: Linux always reports 100 a second.
const TICK: u32 = 10;

/// Returns the CPU time of a process in milliseconds, with that of its children if `family`.
fn cpu_of(process: u32, family: bool) -> Option<f64> {
    let stat = fs::read_to_string(format!("/proc/{process}/stat")).ok()?;
    let (_, fields) = stat.rsplit_once(')')?;
    // utime, stime and those of the children that have ended.
    let times = fields.split_whitespace().skip(11).take(if family { 4 } else { 2 });
    let ticks: u32 = times.filter_map(|field| field.parse::<u32>().ok()).sum();
    let mut total = f64::from(ticks * TICK);
    if family {
        let children = fs::read_to_string(format!("/proc/{process}/task/{process}/children")).ok()?;
        let children = children.split_whitespace().filter_map(|child| child.parse().ok());
        total += children.filter_map(|child| cpu_of(child, false)).sum::<f64>();
    }
    Some(total)
}

/// CPU time in milliseconds.
#[derive(Clone, Copy, Default)]
pub struct Cpu {
    pub server: f64,
    pub database: f64,
}

impl Cpu {
    pub fn total(self) -> f64 {
        self.server + self.database
    }

    pub fn since(self, before: Self) -> Self {
        Self { server: self.server - before.server, database: self.database - before.database }
    }

    pub fn per(self, count: usize) -> Self {
        let count = f64::from(u32::try_from(count.max(1)).unwrap_or(u32::MAX));
        Self { server: self.server / count, database: self.database / count }
    }
}

/// A running server; killed when it is dropped.
pub struct Server {
    child: Child,
    pub address: SocketAddr,
    /// Process of PostgreSQL, whose CPU time counts as well.
    database: Option<u32>,
    /// API key of Coffer's sandbox.
    pub key: Option<String>,
}

impl Server {
    /// Starts Coffer in a folder for its files and waits until it is ready.
    pub async fn coffer(program: &Path, url: &str, folder: &Path, database: Option<u32>) -> Result<Self> {
        let address = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()?;
        let mut command = Command::new(program);
        command.env_clear();
        for (name, value) in [
            ("DATABASE_URL", url),
            ("COFFER_ADDR", &address.to_string()),
            ("COFFER_REQUESTS_PER_HOUR", "0"),
            ("COFFER_PAGE_MOST", "1000"),
            ("COFFER_CONNECTIONS_PER_ADDRESS", "4096"),
        ] {
            command.env(name, value);
        }
        command.args(["serve", "--empty"]).current_dir(folder).stdin(Stdio::null()).stdout(Stdio::null());
        let child = command.spawn().map_err(|error| format!("{}: {error}", program.display()))?;
        let mut server = Self { child, address, database, key: None };
        let began = Instant::now();
        while !server.is_ready().await {
            if began.elapsed() > Duration::from_secs(60) || server.child.try_wait()?.is_some() {
                return Err("coffer did not become ready".into());
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        let file = folder.join(if database.is_some() { "data/sandbox.key" } else { "sandbox.key" });
        server.key = Some(fs::read_to_string(file)?.trim().to_owned());
        Ok(server)
    }

    async fn is_ready(&self) -> bool {
        let Ok(mut client) = Client::open(self.address, None).await else { return false };
        client.get("/readyz").await.is_ok()
    }

    /// Starts the hand-written server, which prints its address when it is ready.
    pub fn limit(url: &str, database: Option<u32>) -> Result<Self> {
        let mut command = Command::new(std::env::current_exe()?);
        command.args(["limit", url]).stdin(Stdio::null()).stdout(Stdio::piped());
        let mut child = command.spawn()?;
        let printed = child.stdout.take().ok_or("the limit server has no output")?;
        let mut line = String::new();
        BufReader::new(printed).read_line(&mut line)?;
        let address = line.trim().parse().map_err(|_| "the limit server did not start")?;
        Ok(Self { child, address, database, key: None })
    }

    /// Stops it as an operator would, and waits.
    pub fn stop(mut self) -> Result<()> {
        let process = rustix::process::Pid::from_child(&self.child);
        rustix::process::kill_process(process, rustix::process::Signal::TERM)?;
        self.child.wait()?;
        Ok(())
    }

    pub fn cpu(&self) -> Cpu {
        Cpu {
            server: cpu_of(self.child.id(), false).unwrap_or_default(),
            database: self.database.and_then(|process| cpu_of(process, true)).unwrap_or_default(),
        }
    }

    /// Returns the resident memory in KiB.
    pub fn memory(&self) -> f64 {
        let status = fs::read_to_string(format!("/proc/{}/status", self.child.id())).unwrap_or_default();
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap_or_default();
        line.trim().trim_end_matches("kB").trim().parse().unwrap_or_default()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        _ = self.child.kill();
        _ = self.child.wait();
    }
}
