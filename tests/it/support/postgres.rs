//! A temporary PostgreSQL for the tests, shared by every test process of this checkout.
//!
//! The first test process starts the cluster, later ones find its address in a file under `target/`. Each
//! process holds a shared lock while it runs. A detached watchdog stops the cluster and removes its data
//! after [`IDLE_SECONDS`] seconds in which no process held that lock and there was no connection to a
//! database named `t_…`.

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt, chown};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::sync::OnceLock;
use std::time::Duration;

/// Seconds without use after which the watchdog stops the cluster.
const IDLE_SECONDS: u32 = 40;
/// Name prefix of data folders; nothing else is ever removed.
const PREFIX: &str = "coffer-test-postgres-";
/// Attempts to start, because another process may take the free port before PostgreSQL listens on it.
const MAX_ATTEMPTS: u32 = 5;

const SETTINGS: &str = "
listen_addresses = '127.0.0.1'
unix_socket_directories = ''
max_connections = 200
fsync = off
full_page_writes = off
synchronous_commit = off
jit = off
max_wal_size = '4GB'
";

/// Arguments: start lock, users lock, record, data folder, port, psql, idle seconds. The locks are held by
/// file descriptor, so that removing `target/` does not affect them. PGPASSWORD is in the environment.
const WATCHDOG: &str = r#"
record=$3 data=$4 port=$5 psql=$6 max_idle=$7
[ -x "$psql" ] || psql=psql
exec 8>>"$2" 9>>"$1"
pid=$(head -n 1 "$data/postmaster.pid")
alive() { [ -f "$data/postmaster.pid" ] && kill -0 "$pid" 2>/dev/null; }
used() {
    flock --nonblock 8 || return 0
    flock --unlock 8
    count=$("$psql" -XAtq -h 127.0.0.1 -p "$port" -U postgres -d postgres -c \
        "SELECT count(*) FROM pg_stat_activity WHERE backend_type = 'client backend' AND datname LIKE 't\_%'")
    [ "${count:-0}" -gt 0 ]
}
idle=0
while :; do
    sleep 2
    if alive; then
        if used; then idle=0; else idle=$((idle + 2)); fi
        [ "$idle" -ge "$max_idle" ] || continue
    fi
    flock 9
    if alive && used; then idle=0; flock --unlock 9; continue; fi
    break
done
grep -qF "$data" "$record" && rm -f "$record"
flock --unlock 9
if alive; then
    kill -QUIT "$pid"
    for _ in 1 2 3 4 5 6 7 8 9 10; do alive || break; sleep 0.2; done
fi
rm -rf "$data"
"#;

/// A running PostgreSQL in which tests may create and drop databases.
pub struct Server {
    /// URL up to the database's name.
    prefix: String,
    /// `?…` of a configured URL, otherwise empty.
    query: String,
    /// Keeps the cluster alive; released by the system when the process ends.
    _in_use: Option<File>,
}

impl Server {
    /// Returns the URL of a database on this server.
    pub fn url(&self, database: &str) -> String {
        format!("{}/{database}{}", self.prefix, self.query)
    }
}

/// Returns the server, which the first call starts; `None` if PostgreSQL is not installed.
///
/// # Panics
/// If PostgreSQL is installed but does not start, or is missing although `COFFER_REQUIRE_POSTGRES=1`.
pub fn server() -> Option<&'static Server> {
    static SERVER: OnceLock<Result<Option<Server>, String>> = OnceLock::new();
    match SERVER.get_or_init(|| find().map_err(|error| error.to_string())) {
        Ok(server) => server.as_ref(),
        Err(why) => panic!("PostgreSQL for the tests: {why}"),
    }
}

/// A PostgreSQL for one test, which may be stopped, killed and left without disk space.
pub struct OwnServer {
    programs: Programs,
    cluster: Cluster,
}

/// Settings as in production: commits are written before they are acknowledged. `fsync` stays off, because
/// the tests do not crash the machine.
const OWN_SETTINGS: &str = "
synchronous_commit = on
min_wal_size = '32MB'
max_wal_size = '64MB'
";

impl OwnServer {
    /// Starts a server with its data in `folder`; `None` if PostgreSQL is not installed.
    pub fn start(folder: &Path) -> Option<Self> {
        let programs = Programs::find()?;
        let mut cluster =
            Cluster { port: 0, password: random().unwrap(), data: folder.join(format!("{PREFIX}own")) };
        cluster.init(&programs).unwrap();
        OpenOptions::new()
            .append(true)
            .open(cluster.configuration())
            .unwrap()
            .write_all(OWN_SETTINGS.as_bytes())
            .unwrap();
        cluster.listen(&programs).unwrap();
        Some(Self { programs, cluster })
    }

    pub fn url(&self) -> String {
        format!("postgres://postgres:{}@127.0.0.1:{}/postgres", self.cluster.password, self.cluster.port)
    }

    /// Stops it as an operator would, without waiting for clients.
    pub fn stop(&self) {
        self.programs.run("pg_ctl", &self.cluster.data, &["stop", "-w", "-m", "fast"]).unwrap();
    }

    /// Suspends all processes of the server, so that connections stay open without responses, or resumes
    /// them.
    pub fn freeze(&self, frozen: bool) {
        self.signal(if frozen { "-STOP" } else { "-CONT" });
    }

    fn signal(&self, signal: &str) {
        let text = fs::read_to_string(self.cluster.data.join("postmaster.pid")).unwrap();
        let main = text.lines().next().unwrap().to_owned();
        let children = fs::read_to_string(format!("/proc/{main}/task/{main}/children")).unwrap_or_default();
        let all = std::iter::once(main.as_str()).chain(children.split_whitespace());
        let _ = Command::new("kill").arg(signal).args(all).stderr(Stdio::null()).status();
    }

    /// Kills all processes of the server immediately.
    pub fn kill(&self) {
        self.signal("-KILL");
        // Where no init process reaps orphans, the dead process stays listed and would count as alive.
        fs::remove_file(self.cluster.data.join("postmaster.pid")).unwrap();
    }

    /// Starts the server again on its old port, unless it is running.
    pub fn start_again(&self) {
        let (port, log) =
            (format!("-p {}", self.cluster.port), self.cluster.data.join("log").display().to_string());
        let mut last = Ok(());
        for _ in 0..20 {
            if self.cluster.alive() {
                return;
            }
            last = self.programs.run(
                "pg_ctl",
                &self.cluster.data,
                &["start", "-w", "-t", "60", "-l", &log, "-o", &port],
            );
        }
        panic!("PostgreSQL does not start again: {last:?}\n{}", fs::read_to_string(log).unwrap_or_default());
    }

    /// Changes a setting of the running server.
    pub fn set(&self, setting: &str) {
        let mut file = OpenOptions::new().append(true).open(self.cluster.configuration()).unwrap();
        writeln!(file, "{setting}").unwrap();
        self.programs.run("pg_ctl", &self.cluster.data, &["reload"]).unwrap();
    }
}

impl Drop for OwnServer {
    fn drop(&mut self) {
        let _ = self.programs.run("pg_ctl", &self.cluster.data, &["stop", "-w", "-m", "immediate"]);
    }
}

fn find() -> io::Result<Option<Server>> {
    if let Some(url) = setting("COFFER_TEST_POSTGRES") {
        return configured(&url).map(Some);
    }
    let Some(programs) = Programs::find() else {
        if setting("COFFER_REQUIRE_POSTGRES").is_some_and(|value| value == "1") {
            return Err(io::Error::other("it is not installed, and COFFER_REQUIRE_POSTGRES=1"));
        }
        // Not `eprintln!`, because the test harness would capture it.
        let skipped = postgres_tests();
        writeln!(io::stderr(), "PostgreSQL is not installed: {skipped} tests on it are skipped.")?;
        return Ok(None);
    };
    shared(&programs).map(Some)
}

#[expect(
    clippy::disallowed_methods,
    reason = "the test harness has no App; both names are for developers and CI only"
)]
pub fn setting(name: &str) -> Option<String> {
    std::env::var(name).ok().filter(|value| !value.is_empty())
}

/// Parses a configured URL such as `postgres://user:secret@host:port/postgres?…`. Only the database is
/// replaced.
fn configured(url: &str) -> io::Result<Server> {
    let (address, query) =
        url.split_once('?').map_or((url, String::new()), |(address, query)| (address, format!("?{query}")));
    let Some((scheme, rest)) = address.split_once("://") else {
        return Err(io::Error::other(
            "COFFER_TEST_POSTGRES is not an address like postgres://user:secret@host:5432/postgres",
        ));
    };
    let host = rest.split_once('/').map_or(rest, |(host, _)| host);
    Ok(Server { prefix: format!("{scheme}://{host}"), query, _in_use: None })
}

/// Finds or starts the cluster of this checkout. Only one process does this at a time.
fn shared(programs: &Programs) -> io::Result<Server> {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("postgres");
    fs::create_dir_all(&folder)?;
    let files = Files {
        start: folder.join("start.lock"),
        users: folder.join("users.lock"),
        record: folder.join("cluster"),
    };
    let start = open(&files.start)?;
    start.lock()?;
    let cluster = match Cluster::read(&files.record) {
        Some(cluster) if cluster.alive() => cluster,
        stale => {
            if let Some(cluster) = stale {
                cluster.remove();
            }
            let cluster = Cluster::start(programs, &files)?;
            cluster.write(&files.record)?;
            cluster
        }
    };
    let in_use = open(&files.users)?;
    in_use.lock_shared()?;
    start.unlock()?;
    let prefix = format!("postgres://postgres:{}@127.0.0.1:{}", cluster.password, cluster.port);
    Ok(Server { prefix, query: String::new(), _in_use: Some(in_use) })
}

fn open(path: &Path) -> io::Result<File> {
    OpenOptions::new().create(true).append(true).mode(0o600).open(path)
}

struct Files {
    start: PathBuf,
    users: PathBuf,
    record: PathBuf,
}

/// A running cluster. The record file has its port, password and data folder, one per line.
struct Cluster {
    port: u16,
    password: String,
    data: PathBuf,
}

impl Cluster {
    fn read(record: &Path) -> Option<Self> {
        let text = fs::read_to_string(record).ok()?;
        let mut lines = text.lines();
        Some(Self {
            port: lines.next()?.parse().ok()?,
            password: lines.next()?.into(),
            data: lines.next()?.into(),
        })
    }

    /// Writes the record to a temporary file and renames it, so that readers never see a partial record.
    fn write(&self, record: &Path) -> io::Result<()> {
        let draft = record.with_extension("new");
        let _ = fs::remove_file(&draft);
        let mut file = OpenOptions::new().create_new(true).write(true).mode(0o600).open(&draft)?;
        writeln!(file, "{}\n{}\n{}", self.port, self.password, self.data.display())?;
        fs::rename(draft, record)
    }

    /// Returns whether the cluster's lock file has this port and the port accepts connections.
    fn alive(&self) -> bool {
        let same_port = fs::read_to_string(self.data.join("postmaster.pid"))
            .is_ok_and(|text| text.lines().nth(3) == Some(self.port.to_string().as_str()));
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, self.port));
        same_port && TcpStream::connect_timeout(&address, Duration::from_secs(5)).is_ok()
    }

    /// Removes the data folder. A server still running on it notices the missing lock file and stops.
    fn remove(&self) {
        if self.data.file_name().is_some_and(|name| name.to_string_lossy().starts_with(PREFIX)) {
            let _ = fs::remove_dir_all(&self.data);
        }
    }

    fn start(programs: &Programs, files: &Files) -> io::Result<Self> {
        let mut cluster =
            Self { port: 0, password: random()?, data: programs.home.join(format!("{PREFIX}{}", random()?)) };
        let started = cluster.init(programs).and_then(|()| cluster.listen(programs)).and_then(|()| {
            cluster.watch(programs, files).inspect_err(|_| {
                let _ = programs.run("pg_ctl", &cluster.data, &["stop", "-m", "immediate"]);
            })
        });
        if started.is_err() {
            cluster.remove();
        }
        started.map(|()| cluster)
    }

    fn init(&self, programs: &Programs) -> io::Result<()> {
        DirBuilder::new().mode(0o700).create(&self.data)?;
        let secret = self.data.with_extension("secret");
        OpenOptions::new()
            .create_new(true)
            .write(true)
            .mode(0o600)
            .open(&secret)?
            .write_all(self.password.as_bytes())?;
        if let Some(owner) = programs.owner {
            chown(&self.data, Some(owner.uid), Some(owner.gid))?;
            chown(&secret, Some(owner.uid), Some(owner.gid))?;
        }
        let pwfile = format!("--pwfile={}", secret.display());
        // MD5, not SCRAM: its thousands of rounds on every new connection would cost more than most tests do.
        // Byte-wise collation sorts as SQLite does.
        let arguments = ["-U", "postgres", &pwfile, "-A", "md5", "-E", "UTF8", "--no-locale", "--no-sync"];
        let initialized = programs.run("initdb", &self.data, &arguments);
        let _ = fs::remove_file(&secret);
        initialized?;
        OpenOptions::new().append(true).open(self.configuration())?.write_all(SETTINGS.as_bytes())
    }

    fn configuration(&self) -> PathBuf {
        self.data.join("postgresql.conf")
    }

    fn listen(&mut self, programs: &Programs) -> io::Result<()> {
        let mut last = Ok(());
        for _ in 0..MAX_ATTEMPTS {
            self.port = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()?.port();
            let (port, log) = (format!("-p {}", self.port), self.data.join("log").display().to_string());
            last = programs.run("pg_ctl", &self.data, &["start", "-w", "-t", "60", "-l", &log, "-o", &port]);
            let Err(error) = &last else { break };
            let log = fs::read_to_string(log).unwrap_or_default();
            last = Err(io::Error::other(format!("{error}\n{log}")));
            let _ = programs.run("pg_ctl", &self.data, &["stop", "-m", "immediate"]);
        }
        last
    }

    fn watch(&self, programs: &Programs, files: &Files) -> io::Result<()> {
        let status = Command::new("setsid")
            .args(["--fork", "sh", "-c", WATCHDOG, "coffer-test-postgres-watchdog"])
            .args([&files.start, &files.users, &files.record, &self.data])
            .arg(self.port.to_string())
            .arg(programs.folder.join("psql"))
            .arg(IDLE_SECONDS.to_string())
            .env("PGPASSWORD", &self.password)
            .current_dir("/")
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .status()?;
        if status.success() { Ok(()) } else { Err(io::Error::other(format!("setsid: {status}"))) }
    }
}

/// Returns 128 random bits from the system as hex.
fn random() -> io::Result<String> {
    let mut bytes = [0_u8; 16];
    File::open("/dev/urandom")?.read_exact(&mut bytes)?;
    Ok(format!("{:032x}", u128::from_ne_bytes(bytes)))
}

#[derive(Clone, Copy)]
struct Owner {
    uid: u32,
    gid: u32,
}

/// Installed PostgreSQL programs and the user that runs them, because PostgreSQL refuses to run as root.
struct Programs {
    folder: PathBuf,
    owner: Option<Owner>,
    /// Folder for data folders, accessible to the owner.
    home: PathBuf,
}

impl Programs {
    fn find() -> Option<Self> {
        let folder = Self::folders().into_iter().find(|folder| {
            ["initdb", "postgres", "pg_ctl"].iter().all(|name| {
                fs::metadata(folder.join(name))
                    .is_ok_and(|file| file.is_file() && file.permissions().mode() & 0o111 != 0)
            })
        })?;
        // If PATH has a symbolic link, the other programs are in the folder of its target.
        let folder = folder.join("initdb").canonicalize().ok()?.parent()?.to_path_buf();
        if id(&["-u"])? != 0 {
            return Some(Self { folder, owner: None, home: std::env::temp_dir() });
        }
        let owner = Owner { uid: id(&["-u", "postgres"])?, gid: id(&["-g", "postgres"])? };
        // Other users often have no access to root's own TMPDIR.
        Some(Self { folder, owner: Some(owner), home: PathBuf::from("/tmp") })
    }

    /// Returns the folders of PATH in order, then Debian's, newest version first.
    #[expect(clippy::disallowed_methods, reason = "PATH is a system variable, not a setting of Coffer")]
    fn folders() -> Vec<PathBuf> {
        let path = std::env::var_os("PATH").unwrap_or_default();
        let mut debian: Vec<(u32, PathBuf)> = fs::read_dir("/usr/lib/postgresql")
            .into_iter()
            .flatten()
            .flatten()
            .filter_map(|entry| Some((entry.file_name().to_str()?.parse().ok()?, entry.path().join("bin"))))
            .collect();
        debian.sort_by_key(|(version, _)| std::cmp::Reverse(*version));
        std::env::split_paths(&path).chain(debian.into_iter().map(|(_, folder)| folder)).collect()
    }

    /// Runs a program on a data folder as the owner and waits for it. The error has its output.
    fn run(&self, program: &str, data: &Path, arguments: &[&str]) -> io::Result<()> {
        let mut command = Command::new(self.folder.join(program));
        command.arg("-D").arg(data).args(arguments).current_dir(data).stdin(Stdio::null());
        for name in ["PGDATA", "PGPORT", "PGHOST", "PGUSER", "PGOPTIONS", "PGPASSWORD"] {
            command.env_remove(name);
        }
        if let Some(owner) = self.owner {
            command.uid(owner.uid).gid(owner.gid).env("HOME", data);
        }
        // A file, not a pipe, because the server keeps it open after pg_ctl has exited.
        // Not next to the data, where a test may have left no space.
        let output = self.home.join(format!("{PREFIX}{}.output", random()?));
        let file = File::create(&output)?;
        let status = command.stdout(file.try_clone()?).stderr(file).status();
        let text = fs::read_to_string(&output).unwrap_or_default();
        let _ = fs::remove_file(&output);
        let status = status?;
        if status.success() { Ok(()) } else { Err(io::Error::other(format!("{program}: {status}\n{text}"))) }
    }
}

fn id(arguments: &[&str]) -> Option<u32> {
    let Output { status, stdout, .. } =
        Command::new("id").args(arguments).stderr(Stdio::null()).output().ok()?;
    status.success().then(|| String::from_utf8(stdout).ok()?.trim().parse().ok()).flatten()
}

/// Returns the number of tests on PostgreSQL whose scenario also runs on SQLite.
fn postgres_tests() -> usize {
    let listed =
        Command::new(std::env::current_exe().unwrap()).args(["--list", "--format", "terse"]).output();
    String::from_utf8(listed.unwrap().stdout).unwrap().matches("::postgres: test\n").count()
}
