//! A temporary PostgreSQL from the installed programs.

use crate::Result;
use std::{
    fs::{self, DirBuilder, File, OpenOptions},
    io::{Read, Write},
    net::{Ipv4Addr, TcpListener},
    os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt, chown},
    os::unix::process::CommandExt,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

/// As in production, commits are written to disk before they are acknowledged. Work that PostgreSQL does on its own
/// is off, because its CPU time would be counted.
const SETTINGS: &str = "
listen_addresses = '127.0.0.1'
unix_socket_directories = ''
max_connections = 200
shared_buffers = '512MB'
max_wal_size = '8GB'
checkpoint_timeout = '60min'
autovacuum = off
jit = off
max_parallel_workers_per_gather = 0
";

/// For the short benchmark, which checks the code: what a commit costs in the kernel depends on the disk, and how much
/// of a page is logged on when the last checkpoint was.
const WITHOUT_DISK: &str = "
fsync = off
full_page_writes = off
";

/// A running server; stopped and removed when it is dropped.
pub struct Server {
    programs: Programs,
    data: PathBuf,
    port: u16,
    password: String,
}

impl Server {
    pub fn start(waits_for_disk: bool) -> Result<Self> {
        let programs = Programs::find().ok_or("PostgreSQL is not installed; use --database sqlite")?;
        let name = format!("coffer-bench-postgres-{}", random()?);
        let mut server = Self { data: programs.home.join(name), programs, port: 0, password: random()? };
        server.init(waits_for_disk)?;
        server.port = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()?.port();
        let (port, log) = (format!("-p {}", server.port), server.data.join("log").display().to_string());
        server.run("pg_ctl", &["start", "-w", "-t", "60", "-l", &log, "-o", &port])?;
        Ok(server)
    }

    pub fn url(&self) -> String {
        format!("postgres://postgres:{}@127.0.0.1:{}/postgres", self.password, self.port)
    }

    /// Returns the id of the process whose children serve the connections.
    pub fn process(&self) -> Result<u32> {
        let file = fs::read_to_string(self.data.join("postmaster.pid"))?;
        Ok(file.lines().next().unwrap_or_default().trim().parse()?)
    }

    fn init(&self, waits_for_disk: bool) -> Result<()> {
        DirBuilder::new().mode(0o700).create(&self.data)?;
        let secret = self.data.with_extension("secret");
        let mut file = OpenOptions::new().create_new(true).write(true).mode(0o600).open(&secret)?;
        file.write_all(self.password.as_bytes())?;
        if let Some((user, group)) = self.programs.owner {
            chown(&self.data, Some(user), Some(group))?;
            chown(&secret, Some(user), Some(group))?;
        }
        let pwfile = format!("--pwfile={}", secret.display());
        let initialized = self.run(
            "initdb",
            &["-U", "postgres", &pwfile, "-A", "md5", "-E", "UTF8", "--no-locale", "--no-sync"],
        );
        fs::remove_file(&secret)?;
        initialized?;
        let configuration = self.data.join("postgresql.conf");
        let mut configuration = OpenOptions::new().append(true).open(configuration)?;
        configuration.write_all(SETTINGS.as_bytes())?;
        if !waits_for_disk {
            configuration.write_all(WITHOUT_DISK.as_bytes())?;
        }
        Ok(())
    }

    /// Runs a program on the data folder as its owner.
    fn run(&self, program: &str, arguments: &[&str]) -> Result<()> {
        let mut command = Command::new(self.programs.folder.join(program));
        command.arg("-D").arg(&self.data).args(arguments).current_dir(&self.data).stdin(Stdio::null());
        for name in ["PGDATA", "PGPORT", "PGHOST", "PGUSER", "PGOPTIONS", "PGPASSWORD"] {
            command.env_remove(name);
        }
        if let Some((user, group)) = self.programs.owner {
            command.uid(user).gid(group).env("HOME", &self.data);
        }
        // A file, not a pipe, because the server keeps it open after pg_ctl has exited.
        let output = self.data.with_extension("output");
        let file = File::create(&output)?;
        let status = command.stdout(file.try_clone()?).stderr(file).status()?;
        let printed = fs::read_to_string(&output)?;
        fs::remove_file(&output)?;
        if status.success() { Ok(()) } else { Err(format!("{program}: {status}\n{printed}").into()) }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        _ = self.run("pg_ctl", &["stop", "-w", "-m", "immediate"]);
        _ = fs::remove_dir_all(&self.data);
    }
}

/// Returns 128 random bits from the system as hex.
fn random() -> Result<String> {
    let mut bytes = [0_u8; 16];
    File::open("/dev/urandom")?.read_exact(&mut bytes)?;
    Ok(format!("{:032x}", u128::from_ne_bytes(bytes)))
}

/// Installed programs and the user and group that run them, because PostgreSQL refuses to run as root.
struct Programs {
    folder: PathBuf,
    owner: Option<(u32, u32)>,
    /// Folder for data folders, accessible to the owner.
    home: PathBuf,
}

impl Programs {
    fn find() -> Option<Self> {
        let is_program = |path: PathBuf| {
            fs::metadata(path).is_ok_and(|file| file.is_file() && file.permissions().mode() & 0o111 != 0)
        };
        let folder = folders().into_iter().find(|folder| {
            ["initdb", "postgres", "pg_ctl"].iter().all(|name| is_program(folder.join(name)))
        })?;
        // If PATH has a symbolic link, the other programs are in the folder of its target.
        let folder = folder.join("initdb").canonicalize().ok()?.parent()?.to_path_buf();
        if rustix::process::getuid().is_root() {
            let owner = Some((id("-u")?, id("-g")?));
            // Other users often have no access to root's own TMPDIR.
            return Some(Self { folder, owner, home: PathBuf::from("/tmp") });
        }
        Some(Self { folder, owner: None, home: std::env::temp_dir() })
    }
}

/// Returns the folders of PATH in order, then Debian's, newest version first.
#[expect(clippy::disallowed_methods, reason = "PATH is a system variable, not a setting of Coffer")]
fn folders() -> Vec<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let mut debian: Vec<(u32, PathBuf)> = fs::read_dir(Path::new("/usr/lib/postgresql"))
        .into_iter()
        .flatten()
        .flatten()
        .filter_map(|entry| Some((entry.file_name().to_str()?.parse().ok()?, entry.path().join("bin"))))
        .collect();
    debian.sort_by_key(|(version, _)| std::cmp::Reverse(*version));
    std::env::split_paths(&path).chain(debian.into_iter().map(|(_, folder)| folder)).collect()
}

fn id(option: &str) -> Option<u32> {
    let output = Command::new("id").args([option, "postgres"]).stderr(Stdio::null()).output().ok()?;
    String::from_utf8(output.stdout).ok()?.trim().parse().ok()
}
