//! Every setting: its default, its environment name, its check.

mod keys;
mod parts;

pub use keys::{open_to_others, write_private};

use crate::{
    server::{Network, parse_base_url, tls},
    wire::BaseUrl,
};
use clap::{
    Arg, Args, ValueEnum,
    builder::{RangedI64ValueParser, Resettable},
};
use domain::{access::partners, kernel::limits::REQUESTS, people::person::Email};
use std::{
    io::{self, IsTerminal},
    net::SocketAddr,
    path::{Path, PathBuf},
    sync::Arc,
};
use tokio_rustls::rustls::ServerConfig;
use tracing_subscriber::EnvFilter;

/// How much is asked of the settings.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Environment {
    /// A sandbox is made, the schema changes itself, a key file stands beside the database.
    Development,
    /// Nothing is made up: keys are given, migrations are run by hand.
    Production,
}

/// The settings, each by its option or by its environment variable.
#[derive(Args, Clone)]
pub struct Config {
    /// Where to listen
    #[arg(long, global = true, env = "COFFER_ADDR", default_value = "127.0.0.1:8080")]
    pub addr: SocketAddr,

    /// sqlite:FILE, made where there is none, or postgres://…
    #[arg(
        long,
        global = true,
        env = "DATABASE_URL",
        default_value = "sqlite:data/coffer.db",
        hide_env_values = true
    )]
    pub database_url: String,

    /// How strict to be
    #[arg(long, global = true, env = "COFFER_ENV", value_enum, default_value = "development")]
    pub env: Environment,

    /// Encrypts personal data: 64 hexadecimal digits; in development a key file beside the database otherwise
    #[arg(long, global = true, env = "COFFER_ENCRYPTION_KEY", hide_env_values = true)]
    pub encryption_key: Option<String>,

    /// A file that holds the encryption key
    #[arg(long, global = true, env = "COFFER_ENCRYPTION_KEY_FILE")]
    pub encryption_key_file: Option<PathBuf>,

    /// The encryption key before this one, while it is being replaced
    #[arg(long, global = true, env = "COFFER_ENCRYPTION_KEY_PREVIOUS", hide_env_values = true)]
    pub encryption_key_previous: Option<String>,

    /// A file that holds the encryption key before this one
    #[arg(long, global = true, env = "COFFER_ENCRYPTION_KEY_PREVIOUS_FILE")]
    pub encryption_key_previous_file: Option<PathBuf>,

    /// What is logged: error, warn, info, debug, trace, or a filter by module
    #[arg(long, global = true, env = "COFFER_LOG", default_value = "warn")]
    pub log: String,

    /// How log lines are written
    #[arg(long, global = true, env = "COFFER_LOG_FORMAT", value_enum, default_value = "text")]
    pub log_format: LogFormat,

    /// Whether this instance carries out what is due
    #[arg(long, global = true, env = "COFFER_WORKER", default_value = "true", action = clap::ArgAction::Set)]
    pub worker: bool,

    /// The partner for whom people sign up and in without a partner's key
    #[arg(long, global = true, env = "COFFER_DEFAULT_PARTNER", default_value = partners::SANDBOX)]
    pub default_partner: String,

    /// Where what people have entered is mailed for their advisors
    #[arg(long, global = true, env = "COFFER_ADVISORS_EMAIL")]
    pub advisors_email: Option<String>,

    /// Who checks the identity of live partners' people
    #[arg(long, global = true, env = "COFFER_IDENTITY", default_value = "none")]
    pub identity: IdentityChecks,

    /// The mail server for live partners: smtp://user:password@host:port with STARTTLS, or smtps://…
    #[arg(long, global = true, env = "COFFER_SMTP_URL", hide_env_values = true)]
    pub smtp_url: Option<String>,

    /// Whom mail comes from, such as Coffer <no-reply@coffer.example>
    #[arg(long, global = true, env = "COFFER_MAIL_FROM")]
    pub mail_from: Option<String>,

    /// The SMS gateway for live partners, which text messages are posted to
    #[arg(long, global = true, env = "COFFER_SMS_URL", hide_env_values = true)]
    pub sms_url: Option<String>,

    /// The body of a text message on its way to the gateway, with {to} and {text} in it
    #[arg(long, global = true, env = "COFFER_SMS_TEMPLATE", hide_env_values = true)]
    pub sms_template: Option<String>,

    /// What that body is; values are written into it accordingly
    #[arg(long, global = true, env = "COFFER_SMS_CONTENT_TYPE", default_value = "application/json")]
    pub sms_content_type: String,

    /// The Authorization header for the SMS gateway
    #[arg(long, global = true, env = "COFFER_SMS_AUTHORIZATION", hide_env_values = true)]
    pub sms_authorization: Option<String>,

    /// The folder for documents of identity checks, which are encrypted; `documents` beside the database when
    /// left out
    #[arg(long, global = true, env = "COFFER_DOCUMENTS")]
    pub documents: Option<PathBuf>,

    /// How many requests a key, a person or an address may make in an hour; 0 for no end of them
    #[arg(
        long,
        global = true,
        env = "COFFER_REQUESTS_PER_HOUR",
        default_value_t = REQUESTS.most,
        value_parser = clap::value_parser!(u64).range(..=1_000_000_000),
    )]
    pub requests_per_hour: u64,

    /// Whether sign-up, sign-in and recovery are slowed down by address
    #[arg(long, global = true, env = "COFFER_THROTTLE", default_value = "true", action = clap::ArgAction::Set)]
    pub throttle: bool,

    /// Whether the schema tells about itself; not in production when left out
    #[arg(long, global = true, env = "COFFER_INTROSPECTION")]
    pub introspection: Option<bool>,

    /// Origins whose pages may ask and open sockets, separated by commas
    #[arg(long, global = true, env = "COFFER_ORIGINS", value_delimiter = ',')]
    pub origins: Vec<String>,

    /// The server's certificate, with those that vouch for it, as a PEM file
    #[arg(long, global = true, env = "COFFER_TLS_CERT")]
    pub tls_cert: Option<PathBuf>,

    /// The key of the certificate, as a PEM file
    #[arg(long, global = true, env = "COFFER_TLS_KEY")]
    pub tls_key: Option<PathBuf>,

    /// Proxies whose X-Forwarded-For and X-Forwarded-Proto are believed: addresses or networks, separated by
    /// commas
    #[arg(long, global = true, env = "COFFER_TRUSTED_PROXY", value_delimiter = ',')]
    pub trusted_proxy: Vec<Network>,

    /// The address that links in answers begin with, such as https://api.example.com; told by the trusted
    /// proxy when left out
    #[arg(long, global = true, env = "COFFER_PUBLIC_URL", value_parser = parse_base_url)]
    pub public_url: Option<BaseUrl>,

    /// The most items on a page
    #[arg(
        long,
        global = true,
        env = "COFFER_PAGE_MOST",
        default_value_t = 100,
        value_parser = clap::value_parser!(u64).range(1..=10_000),
    )]
    pub page_most: u64,

    /// The longest body of a request, in bytes
    #[arg(long, global = true, env = "COFFER_BODY_BYTES", default_value_t = 64 << 10)]
    pub body_bytes: usize,

    /// The longest GraphQL document, in bytes
    #[arg(long, global = true, env = "COFFER_DOCUMENT_BYTES", default_value_t = 16 << 10)]
    pub document_bytes: usize,

    /// The most tokens in a GraphQL document
    #[arg(long, global = true, env = "COFFER_TOKENS", default_value_t = 1_500)]
    pub tokens: usize,

    /// The deepest path in a GraphQL query
    #[arg(long, global = true, env = "COFFER_DEPTH", default_value_t = 12)]
    pub depth: u64,

    /// The most objects a GraphQL query may ask for
    #[arg(long, global = true, env = "COFFER_COMPLEXITY", default_value_t = 5_000)]
    pub complexity: u64,

    /// The most aliases in a GraphQL document
    #[arg(long, global = true, env = "COFFER_ALIASES", default_value_t = 15)]
    pub aliases: u64,

    /// How long a GraphQL query may take, in seconds
    #[arg(long, global = true, env = "COFFER_QUERY_SECONDS", default_value_t = 5)]
    pub query_seconds: u64,

    /// The most connections at once; fewer where the system allows fewer open files
    #[arg(long, global = true, env = "COFFER_CONNECTIONS", default_value_t = 4096, value_parser = up_to(1_000_000))]
    pub connections: u32,

    /// The most connections of one address at once, trusted proxies aside
    #[arg(
        long,
        global = true,
        env = "COFFER_CONNECTIONS_PER_ADDRESS",
        default_value_t = 256,
        value_parser = up_to(1_000_000),
    )]
    pub connections_per_address: u32,

    /// How long a TLS handshake and the headers of a request may take, in seconds
    #[arg(long, global = true, env = "COFFER_HEADER_SECONDS", default_value_t = 10, value_parser = up_to(3600))]
    pub header_seconds: u32,

    /// How long a connection may wait for a request, in seconds
    #[arg(long, global = true, env = "COFFER_IDLE_SECONDS", default_value_t = 60, value_parser = up_to(3600))]
    pub idle_seconds: u32,

    /// How long a client may take nothing of an answer, in seconds
    #[arg(long, global = true, env = "COFFER_WRITE_SECONDS", default_value_t = 30, value_parser = up_to(3600))]
    pub write_seconds: u32,

    /// How long the sender of a body may pause, and take longer than at the least rate, in seconds
    #[arg(long, global = true, env = "COFFER_BODY_SECONDS", default_value_t = 10, value_parser = up_to(3600))]
    pub body_seconds: u32,

    /// The least rate of a body, in bytes per second
    #[arg(long, global = true, env = "COFFER_BODY_RATE", default_value_t = 64 << 10, value_parser = up_to(u32::MAX))]
    pub body_rate: u32,

    /// The longest answer, in bytes
    #[arg(long, global = true, env = "COFFER_RESPONSE_BYTES", default_value_t = 4 << 20)]
    pub response_bytes: usize,
}

/// How log lines are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum LogFormat {
    /// For people; coloured on a terminal.
    Text,
    /// One JSON object a line.
    Json,
}

/// Who checks the identity of live partners' people.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum IdentityChecks {
    /// Nobody: they stay pending.
    None,
    /// The rules of the house, which judge by what a person says of herself, and a reviewer for the rest.
    BuiltIn,
}

impl std::fmt::Debug for Config {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Config").field("addr", &self.addr).field("env", &self.env).finish_non_exhaustive()
    }
}

/// How requests come to us.
#[derive(Clone, Debug)]
pub enum Transport {
    /// By TLS of our own.
    Tls(Arc<ServerConfig>),
    /// By a proxy that we trust.
    Proxy,
    /// In the clear.
    Clear,
}

impl Transport {
    /// In words for an operator.
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Tls(_) => "TLS",
            Self::Proxy => "TLS by a trusted proxy",
            Self::Clear => "in the clear",
        }
    }
}

/// What is wrong with the settings, in one line.
pub type CliError = String;

/// An argument whose environment variable counts as unset when it is empty, and is read without trailing line
/// breaks, which editors and `$(cat FILE)` substitutes leave in secrets.
#[must_use]
#[expect(clippy::disallowed_methods, reason = "settings are read here")]
pub fn from_environment(arg: Arg) -> Arg {
    let Some(value) = arg.get_env().and_then(std::env::var_os) else { return arg };
    let Some(text) = value.to_str() else { return arg };
    let trimmed = text.trim_end_matches(['\r', '\n']);
    if trimmed.is_empty() {
        return arg.env(Resettable::Reset);
    }
    if trimmed.len() == text.len() {
        return arg;
    }
    let hidden = arg.is_hide_env_values_set();
    arg.env(Resettable::Reset).default_value(trimmed.to_owned()).hide_default_value(hidden)
}

/// Whether log lines are coloured: on a terminal, unless `NO_COLOR` is set.
#[must_use]
#[expect(clippy::disallowed_methods, reason = "settings are read here")]
pub fn log_in_colour() -> bool {
    io::stderr().is_terminal() && std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty())
}

/// Refuses the address of a database of a kind that is not supported, or that cannot be shared; `setting` is
/// where it was given.
pub fn check_database_url(setting: &str, url: &str) -> Result<(), CliError> {
    if url.contains(":memory:") || url.contains("mode=memory") {
        return Err(format!(
            "{setting}: a database in memory cannot be shared by readers and the writer; name a file"
        ));
    }
    if !["sqlite:", "postgres://", "postgresql://"].iter().any(|scheme| url.starts_with(scheme)) {
        return Err(format!("{setting}: must begin with sqlite: or postgres://"));
    }
    Ok(())
}

/// The file of an SQLite database at this address.
#[must_use]
pub fn sqlite_file(url: &str) -> Option<PathBuf> {
    let rest = url.strip_prefix("sqlite:")?;
    let path = rest.strip_prefix("//").unwrap_or(rest);
    Some(PathBuf::from(path.split('?').next().unwrap_or(path)))
}

impl Config {
    /// Whether nothing may be made up.
    pub fn is_production(&self) -> bool {
        self.env == Environment::Production
    }

    /// Refuses what cannot work.
    pub fn check(&self) -> Result<(), CliError> {
        check_database_url("DATABASE_URL", &self.database_url)?;
        self.log_filter()?;
        if self.is_production() && self.trusted_proxy.iter().any(Network::is_too_wide) {
            return Err("COFFER_TRUSTED_PROXY: must name the proxies; a network wider than /8 (IPv6: /7) \
                trusts strangers"
                .to_owned());
        }
        if self.advisors_email.as_ref().is_some_and(|address| Email::parse(address).is_err()) {
            return Err("COFFER_ADVISORS_EMAIL: must be an e-mail address".to_owned());
        }
        if let Some(origin) = self.origins.iter().find(|origin| !is_origin(origin)) {
            return Err(format!(
                "COFFER_ORIGINS: {origin:?} is no origin; write each out, such as https://app.example"
            ));
        }
        if self.documents().to_string_lossy().contains("://") {
            return Err(
                "COFFER_DOCUMENTS: must be a folder; other stores, such as s3://…, are not built yet"
                    .to_owned(),
            );
        }
        self.setup().map(drop)
    }

    /// What is logged. A lone word must be a level: the filter would take any other for the name of a module.
    pub fn log_filter(&self) -> Result<EnvFilter, CliError> {
        const LEVELS: [&str; 6] = ["off", "error", "warn", "info", "debug", "trace"];
        let complain = |directive: &str| {
            format!(
                "COFFER_LOG: {directive:?} is not a log level; use off, error, warn, info, debug, trace, or \
                    module=level, separated by commas"
            )
        };
        let directives: Vec<&str> = self.log.split(',').map(str::trim).collect();
        for &directive in &directives {
            let level = directive.rsplit_once('=').map_or(directive, |(_, level)| level.trim());
            if !LEVELS.iter().any(|known| level.eq_ignore_ascii_case(known)) {
                return Err(complain(directive));
            }
        }
        EnvFilter::try_new(directives.join(",")).map_err(|_| complain(&self.log))
    }

    /// How requests come: by TLS of ours, by a proxy's, or, in development only, in the clear.
    pub fn transport(&self) -> Result<Transport, CliError> {
        match (&self.tls_cert, &self.tls_key) {
            (Some(_), Some(_))
                if self.is_production()
                    && self.public_url.is_none()
                    && self.trusted_proxy.is_empty()
                    && self.addr.ip().is_unspecified() =>
            {
                Err("COFFER_PUBLIC_URL: must be set where the server listens on every address, for links in \
                    answers"
                    .to_owned())
            }
            (Some(certificate), Some(key)) => Ok(Transport::Tls(tls::identity(certificate, key)?)),
            (Some(_), None) => Err("COFFER_TLS_KEY: must be set with COFFER_TLS_CERT".to_owned()),
            (None, Some(_)) => Err("COFFER_TLS_CERT: must be set with COFFER_TLS_KEY".to_owned()),
            (None, None) if !self.trusted_proxy.is_empty() => Ok(Transport::Proxy),
            (None, None) if self.is_production() => {
                Err("COFFER_TLS_CERT and COFFER_TLS_KEY, or COFFER_TRUSTED_PROXY: must be set in production"
                    .to_owned())
            }
            (None, None) => Ok(Transport::Clear),
        }
    }

    /// The SQLite file, if that is what the database is.
    pub fn sqlite_file(&self) -> Option<PathBuf> {
        sqlite_file(&self.database_url)
    }

    /// Where this server keeps its own files: beside the SQLite file, or in `./data`.
    pub fn folder(&self) -> PathBuf {
        let folder = self
            .sqlite_file()
            .and_then(|file| file.parent().map(Path::to_path_buf))
            .unwrap_or_else(|| PathBuf::from("data"));
        if folder.as_os_str().is_empty() { PathBuf::from(".") } else { folder }
    }

    /// Where documents of identity checks are kept.
    pub fn documents(&self) -> PathBuf {
        self.documents.clone().unwrap_or_else(|| self.folder().join("documents"))
    }

    /// Where the sandbox's key is written.
    pub fn sandbox_key_file(&self) -> PathBuf {
        self.folder().join("sandbox.key")
    }
}

/// At least 1, at most this.
fn up_to(most: u32) -> RangedI64ValueParser<u32> {
    clap::value_parser!(u32).range(1..=i64::from(most))
}

/// Whether a browser could name this as the origin of a page: a scheme, a host, perhaps a port, and nothing
/// more.
fn is_origin(text: &str) -> bool {
    let Some((scheme, site)) = text.split_once("://") else { return false };
    let plain = |c: char| c.is_ascii_graphic() && !matches!(c, '/' | '?' | '#' | '@' | '*' | '\\');
    ["http", "https"].contains(&scheme) && !site.is_empty() && site.chars().all(plain)
}
