//! A real mail server: Python's aiosmtpd in its own process, which reports every mail it accepts.

use serde_json::Value;
use std::{
    io::{self, BufRead, BufReader, Write},
    process::{Child, Command, Stdio},
    sync::OnceLock,
    thread::JoinHandle,
};

/// Arguments: address, port, and `password` if a password is required. The server ends when its standard
/// input is closed. The mailbox `full` accepts no mail now, and `unknown` does not exist.
const SCRIPT: &str = r#"
import email, email.policy, json, logging, sys
from aiosmtpd.controller import Controller
from aiosmtpd.smtp import AuthResult

logging.disable()

class Handler:
    async def handle_RCPT(self, server, session, envelope, address, options):
        if address.startswith("unknown@"):
            return "550 5.1.1 no such mailbox: " + address
        if address.startswith("full@"):
            return "452 4.2.2 the mailbox is full: " + address
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(self, server, session, envelope):
        mail = email.message_from_bytes(envelope.content, policy=email.policy.default)
        report = {"from": envelope.mail_from, "to": envelope.rcpt_tos, "text": mail.get_content(),
                  "headers": {name.lower(): value for name, value in mail.items()}}
        print(json.dumps(report), flush=True)
        return "250 OK"

def authenticate(server, session, envelope, mechanism, data):
    return AuthResult(success=data.login == b"coffer" and data.password == b"p@ss:word")

options = {}
if sys.argv[3] == "password":
    options = dict(authenticator=authenticate, auth_required=True, auth_require_tls=False)
controller = Controller(Handler(), hostname=sys.argv[1], port=int(sys.argv[2]), **options)
controller.start()
print("ready", flush=True)
sys.stdin.read()
controller.stop()
"#;

/// A running mail server, with every mail it has accepted.
pub struct Smtp {
    child: Child,
    reader: Option<JoinHandle<Vec<Value>>>,
}

impl Smtp {
    /// Starts a server at this address.
    pub fn start(host: &str, port: u16, requires_password: bool) -> Self {
        let password = if requires_password { "password" } else { "" };
        let mut child = Command::new(python().unwrap())
            .args(["-W", "ignore", "-c", SCRIPT, host, &port.to_string(), password])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        assert_eq!(lines.next().unwrap().unwrap(), "ready");
        let reader = std::thread::spawn(move || {
            lines.map_while(Result::ok).map(|line| serde_json::from_str(&line).unwrap()).collect()
        });
        Self { child, reader: Some(reader) }
    }

    /// Stops the server and returns every mail that it has accepted.
    pub fn stop(mut self) -> Vec<Value> {
        drop(self.child.stdin.take());
        self.reader.take().unwrap().join().unwrap()
    }
}

impl Drop for Smtp {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Returns a port that is currently free.
pub fn free_port() -> u16 {
    std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

/// Returns a Python with aiosmtpd, or `None` if there is none.
///
/// # Panics
/// If there is none although `COFFER_REQUIRE_SMTP=1`.
pub fn python() -> Option<&'static str> {
    static PYTHON: OnceLock<Option<&str>> = OnceLock::new();
    *PYTHON.get_or_init(|| {
        let has_it = |python: &&str| {
            let mut command = Command::new(python);
            command
                .args(["-c", "import aiosmtpd.controller"])
                .stdin(Stdio::null())
                .stdout(Stdio::null())
                .stderr(Stdio::null());
            command.status().is_ok_and(|status| status.success())
        };
        let found = ["/usr/bin/python3", "python3"].into_iter().find(has_it);
        if found.is_none() {
            assert!(
                !is_required(),
                "a mail server for the tests: aiosmtpd is not installed, and COFFER_REQUIRE_SMTP=1"
            );
            // Not `eprintln!`, because the test harness would capture it.
            io::stderr()
                .write_all(b"aiosmtpd is not installed (python3-aiosmtpd): the mail tests are skipped.\n")
                .unwrap();
        }
        found
    })
}

#[expect(clippy::disallowed_methods, reason = "the test harness has no App; the name is for CI only")]
fn is_required() -> bool {
    std::env::var("COFFER_REQUIRE_SMTP").is_ok_and(|value| value == "1")
}
