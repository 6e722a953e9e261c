//! The `coffer` binary, started and stopped as an operator would.

use std::{
    collections::HashMap,
    net::TcpListener,
    process::{Child, Command, Output, Stdio},
    sync::atomic::{AtomicU32, Ordering},
    time::{Duration, Instant},
};

/// A running `coffer serve`.
pub struct Process {
    child: Child,
    pub url: String,
    /// Time from the start to the first successful response of `/readyz`.
    pub ready_after: Duration,
    /// Working directory, with the files that the process creates.
    folder: super::Folder,
}

/// Removes the settings in the environment of the tests from that of a command.
pub fn without_settings(command: &mut Command) {
    for (name, _) in std::env::vars().filter(|(name, _)| name.starts_with("COFFER_")) {
        command.env_remove(name);
    }
    command.env_remove("DATABASE_URL");
}

/// Returns a command for the binary with the tests' settings and without those of the environment.
pub fn coffer(database_url: &str) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_coffer"));
    without_settings(&mut command);
    command
        .env("DATABASE_URL", database_url)
        .env("COFFER_ENCRYPTION_KEY", "07".repeat(32))
        .stdin(Stdio::null());
    command
}

/// Returns the output of a command, which must have succeeded.
#[track_caller]
pub fn printed(output: Output) -> String {
    assert!(output.status.success(), "{output:?}");
    String::from_utf8(output.stdout).unwrap()
}

/// Runs a subcommand and waits for it to finish.
pub fn run(database_url: &str, arguments: &[&str]) -> Output {
    coffer(database_url).args(arguments).output().unwrap()
}

/// Issues a key of the sandbox partner.
pub fn create_key(database_url: &str) -> String {
    let output = run(database_url, &["keys", "create"]);
    assert!(output.status.success(), "{output:?}");
    String::from_utf8(output.stdout).unwrap().trim().to_owned()
}

/// Returns a free port below those that the system gives to outgoing connections, one of which could take the
/// port before the server listens on it.
fn free_port() -> u16 {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    loop {
        let number = std::process::id().wrapping_mul(101).wrapping_add(NEXT.fetch_add(1, Ordering::Relaxed));
        let port = u16::try_from(20_000 + number % 12_000).unwrap();
        if TcpListener::bind(("127.0.0.1", port)).is_ok() {
            return port;
        }
    }
}

impl Process {
    /// Starts the server on a free port and waits until it is ready.
    pub async fn start(database_url: &str, arguments: &[&str]) -> Self {
        Self::start_with(database_url, |command| command.args(arguments)).await
    }

    /// The same, with arguments and settings added by `configure`.
    pub async fn start_with(
        database_url: &str,
        configure: impl FnOnce(&mut Command) -> &mut Command,
    ) -> Self {
        let mut command = coffer(database_url);
        configure(command.stdout(Stdio::null()).stderr(Stdio::inherit()));
        Self::launch(command).await
    }

    /// Runs this server command on a free port and waits until the server is ready.
    pub async fn launch(command: Command) -> Self {
        let began = Instant::now();
        let mut process = Self::spawn(command);
        let client = super::client();
        while began.elapsed() < Duration::from_secs(60) {
            if client
                .get(format!("{}/readyz", process.url))
                .send()
                .await
                .is_ok_and(|response| response.status().is_success())
            {
                process.ready_after = began.elapsed();
                return process;
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        panic!("the server did not become ready");
    }

    /// Runs this server command on a free port without waiting.
    pub fn spawn(mut command: Command) -> Self {
        let port = free_port();
        let address = format!("127.0.0.1:{port}");
        let folder = super::Folder::new();
        let child = command.current_dir(&folder.0).env("COFFER_ADDR", &address).spawn().unwrap();
        Self { child, url: format!("http://{address}"), ready_after: Duration::ZERO, folder }
    }

    /// Runs a shell script in the folder of the process and returns the status and body of its last request.
    /// In the script, `curl` prints the status on a separate line after the body.
    #[track_caller]
    pub fn shell(&self, script: &str, variables: &HashMap<String, String>) -> (u16, String) {
        let curl = concat!(
            "curl() { command curl --silent --show-error --noproxy '*' ",
            r#"--write-out '\n%{http_code}\n' "$@"; }"#,
        );
        let mut command = Command::new("sh");
        command
            .args(["-euc", &format!("{curl}\n{script}")])
            .current_dir(&self.folder.0)
            .envs(variables)
            .stdin(Stdio::null());
        let output = command.output().unwrap();
        assert!(output.status.success(), "{script}\n{output:?}");
        let printed = String::from_utf8(output.stdout).unwrap();
        let (body, status) =
            printed.trim_end().rsplit_once('\n').unwrap_or_else(|| panic!("no request: {script}"));
        (status.parse().unwrap(), body.to_owned())
    }

    /// Opens a terminal in the folder of the process.
    pub fn terminal(&self) -> super::terminal::Terminal {
        super::terminal::Terminal::open(&self.folder.0)
    }

    /// Returns the process id.
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// Returns the resident memory of the process in bytes: current and peak.
    pub fn resident(&self) -> (u64, u64) {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.child.id())).unwrap();
        let bytes = |name: &str| {
            let line = status.lines().find_map(|line| line.strip_prefix(name)).unwrap();
            1024 * line.trim_start_matches(':').trim().trim_end_matches("kB").trim().parse::<u64>().unwrap()
        };
        (bytes("VmRSS"), bytes("VmHWM"))
    }

    /// Kills the process immediately, as a power failure would.
    pub fn kill(mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    /// Sends the process a signal, such as `HUP`.
    pub fn signal(&self, name: &str) {
        assert!(
            Command::new("kill")
                .args([&format!("-{name}"), &self.id().to_string()])
                .status()
                .unwrap()
                .success()
        );
    }

    /// Sends the process `TERM` and returns its exit code.
    pub fn terminate(mut self) -> Option<i32> {
        let pid = self.child.id().to_string();
        assert!(Command::new("kill").args(["-TERM", &pid]).status().unwrap().success());
        self.child.wait().unwrap().code()
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
