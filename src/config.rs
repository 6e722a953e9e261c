//! Every setting with its default, its environment variable and its validation.

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
use domain::{access::partners, kernel::limits::REQUESTS_PER_HOUR, people::person::Email};
use std::{
    io::{self, IsTerminal},
    net::SocketAddr,
    path::{Path, PathBuf},
    sync::Arc,
};
use tokio_rustls::rustls::ServerConfig;
use tracing_subscriber::filter::Targets;

/// How strictly settings are checked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Environment {
    /// Creates a sandbox partner and a key file beside the database, and runs migrations at startup.
    Development,
    /// Creates nothing: keys must be set, and migrations are run with `coffer migrate`.
    Production,
}

/// The settings, each given by an option or an environment variable.
#[derive(Args, Clone)]
pub struct Config {
    /// Address and port to listen on
    #[arg(long, global = true, env = "COFFER_ADDR", default_value = "127.0.0.1:8080")]
    pub addr: SocketAddr,

    /// Database: sqlite:FILE, created if missing, or postgres://…
    #[arg(
        long,
        global = true,
        env = "DATABASE_URL",
        default_value = "sqlite:data/coffer.db",
        hide_env_values = true
    )]
    pub database_url: String,

    /// Environment; `production` requires TLS or a trusted proxy, and explicit keys, and runs no migrations by itself
    #[arg(long, global = true, env = "COFFER_ENV", value_enum, default_value = "development")]
    pub env: Environment,

    /// Key that encrypts personal data: 64 hexadecimal digits. Default in development: a key file beside the
    /// database
    #[arg(long, global = true, env = "COFFER_ENCRYPTION_KEY", hide_env_values = true)]
    pub encryption_key: Option<String>,

    /// File that contains the encryption key
    #[arg(long, global = true, env = "COFFER_ENCRYPTION_KEY_FILE")]
    pub encryption_key_file: Option<PathBuf>,

    /// Previous encryption key, while it is being replaced
    #[arg(long, global = true, env = "COFFER_ENCRYPTION_KEY_PREVIOUS", hide_env_values = true)]
    pub encryption_key_previous: Option<String>,

    /// File that contains the previous encryption key
    #[arg(long, global = true, env = "COFFER_ENCRYPTION_KEY_PREVIOUS_FILE")]
    pub encryption_key_previous_file: Option<PathBuf>,

    /// Log level (error, warn, info, debug, trace) or a filter such as module=level
    #[arg(long, global = true, env = "COFFER_LOG", default_value = "warn")]
    pub log: String,

    /// Log format
    #[arg(long, global = true, env = "COFFER_LOG_FORMAT", value_enum, default_value = "text")]
    pub log_format: LogFormat,

    /// Whether this instance runs due timers
    #[arg(long, global = true, env = "COFFER_WORKER", default_value = "true", action = clap::ArgAction::Set)]
    pub worker: bool,

    /// Partner of users who sign up or in without a partner's key
    #[arg(long, global = true, env = "COFFER_DEFAULT_PARTNER", default_value = partners::SANDBOX)]
    pub default_partner: String,

    /// E-mail address of the advisors, who receive what users have entered
    #[arg(long, global = true, env = "COFFER_ADVISORS_EMAIL")]
    pub advisors_email: Option<String>,

    /// Identity checks for users of live partners
    #[arg(long, global = true, env = "COFFER_IDENTITY", default_value = "none")]
    pub identity: IdentityChecks,

    /// Mail server for live partners: smtp://user:password@host:port with STARTTLS, or smtps://…
    #[arg(long, global = true, env = "COFFER_SMTP_URL", hide_env_values = true)]
    pub smtp_url: Option<String>,

    /// Sender of mail, such as Coffer <no-reply@coffer.example>
    #[arg(long, global = true, env = "COFFER_MAIL_FROM")]
    pub mail_from: Option<String>,

    /// SMS gateway for live partners: the URL that text messages are posted to
    #[arg(long, global = true, env = "COFFER_SMS_URL", hide_env_values = true)]
    pub sms_url: Option<String>,

    /// Body of a request to the SMS gateway, with the placeholders {to} and {text}
    #[arg(long, global = true, env = "COFFER_SMS_TEMPLATE", hide_env_values = true)]
    pub sms_template: Option<String>,

    /// Content type of that body; determines how values are escaped
    #[arg(long, global = true, env = "COFFER_SMS_CONTENT_TYPE", default_value = "application/json")]
    pub sms_content_type: String,

    /// Authorization header for the SMS gateway
    #[arg(long, global = true, env = "COFFER_SMS_AUTHORIZATION", hide_env_values = true)]
    pub sms_authorization: Option<String>,

    /// Folder for the encrypted documents of identity checks. Default: `documents` beside the SQLite file, or
    /// in `./data`
    #[arg(long, global = true, env = "COFFER_DOCUMENTS")]
    pub documents: Option<PathBuf>,

    /// Requests per hour of an API key, a user or an address; 0 disables the limit
    #[arg(
        long,
        global = true,
        env = "COFFER_REQUESTS_PER_HOUR",
        default_value_t = REQUESTS_PER_HOUR,
        value_parser = clap::value_parser!(u64).range(..=1_000_000_000),
    )]
    pub requests_per_hour: u64,

    /// Whether sign-up, sign-in and recovery are throttled by address
    #[arg(long, global = true, env = "COFFER_THROTTLE", default_value = "true", action = clap::ArgAction::Set)]
    pub throttle: bool,

    /// Whether GraphQL introspection is enabled. Default: only in development
    #[arg(long, global = true, env = "COFFER_INTROSPECTION")]
    pub introspection: Option<bool>,

    /// Browser origins that may send requests and open WebSockets, separated by commas
    #[arg(long, global = true, env = "COFFER_ORIGINS", value_delimiter = ',')]
    pub origins: Vec<String>,

    /// PEM file with the server's certificate and its chain
    #[arg(long, global = true, env = "COFFER_TLS_CERT")]
    pub tls_cert: Option<PathBuf>,

    /// PEM file with the private key of the certificate
    #[arg(long, global = true, env = "COFFER_TLS_KEY")]
    pub tls_key: Option<PathBuf>,

    /// Proxies with trusted X-Forwarded-* headers: addresses or networks, separated by commas
    #[arg(long, global = true, env = "COFFER_TRUSTED_PROXY", value_delimiter = ',')]
    pub trusted_proxy: Vec<Network>,

    /// Base URL of links in responses, such as https://api.example.com. Default: the host that the trusted
    /// proxy sends, else the address that the server listens on
    #[arg(long, global = true, env = "COFFER_PUBLIC_URL", value_parser = parse_base_url)]
    pub public_url: Option<BaseUrl>,

    /// Maximum number of items on a page
    #[arg(
        long,
        global = true,
        env = "COFFER_PAGE_MOST",
        default_value_t = 100,
        value_parser = clap::value_parser!(u64).range(1..=10_000),
    )]
    pub page_most: u64,

    /// Maximum size of a request body, in bytes
    #[arg(long, global = true, env = "COFFER_BODY_BYTES", default_value_t = 64 << 10)]
    pub body_bytes: usize,

    /// Maximum size of a GraphQL document, in bytes
    #[arg(long, global = true, env = "COFFER_DOCUMENT_BYTES", default_value_t = 16 << 10)]
    pub document_bytes: usize,

    /// Maximum number of tokens in a GraphQL document
    #[arg(long, global = true, env = "COFFER_TOKENS", default_value_t = 1_500)]
    pub tokens: usize,

    /// Maximum depth of a GraphQL query
    #[arg(long, global = true, env = "COFFER_DEPTH", default_value_t = 12)]
    pub depth: u64,

    /// Maximum number of objects that a GraphQL query may request
    #[arg(long, global = true, env = "COFFER_COMPLEXITY", default_value_t = 5_000)]
    pub complexity: u64,

    /// Maximum number of aliases in a GraphQL document
    #[arg(long, global = true, env = "COFFER_ALIASES", default_value_t = 15)]
    pub aliases: u64,

    /// Timeout of a GraphQL query, in seconds
    #[arg(long, global = true, env = "COFFER_QUERY_SECONDS", default_value_t = 5)]
    pub query_seconds: u64,

    /// Maximum number of connections; fewer if the system allows fewer open files
    #[arg(long, global = true, env = "COFFER_CONNECTIONS", default_value_t = 4096, value_parser = up_to(1_000_000))]
    pub connections: u32,

    /// Maximum number of connections of one address; trusted proxies are exempt
    #[arg(
        long,
        global = true,
        env = "COFFER_CONNECTIONS_PER_ADDRESS",
        default_value_t = 256,
        value_parser = up_to(1_000_000),
    )]
    pub connections_per_address: u32,

    /// Timeout of a TLS handshake, and of the headers of a request, in seconds
    #[arg(long, global = true, env = "COFFER_HEADER_SECONDS", default_value_t = 10, value_parser = up_to(3600))]
    pub header_seconds: u32,

    /// How long a connection may be idle between requests, in seconds
    #[arg(long, global = true, env = "COFFER_IDLE_SECONDS", default_value_t = 60, value_parser = up_to(3600))]
    pub idle_seconds: u32,

    /// How long a client may pause while it reads a response, in seconds
    #[arg(long, global = true, env = "COFFER_WRITE_SECONDS", default_value_t = 30, value_parser = up_to(3600))]
    pub write_seconds: u32,

    /// How long the sender of a body may pause, and how long in total it may fall behind the minimum rate, in
    /// seconds
    #[arg(long, global = true, env = "COFFER_BODY_SECONDS", default_value_t = 10, value_parser = up_to(3600))]
    pub body_seconds: u32,

    /// Minimum rate of a request body, in bytes per second
    #[arg(long, global = true, env = "COFFER_BODY_RATE", default_value_t = 64 << 10, value_parser = up_to(u32::MAX))]
    pub body_rate: u32,

    /// Maximum size of a GraphQL response, in bytes
    #[arg(long, global = true, env = "COFFER_RESPONSE_BYTES", default_value_t = 4 << 20)]
    pub response_bytes: usize,
}

/// Format of log lines.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum LogFormat {
    /// Human-readable; colored on a terminal.
    Text,
    /// One JSON object per line.
    Json,
}

/// Provider of identity checks for users of live partners.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum IdentityChecks {
    /// No checks: users stay pending.
    None,
    /// The built-in rules, which use only what the user has entered; unclear cases go to a reviewer.
    BuiltIn,
}

impl std::fmt::Debug for Config {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Config").field("addr", &self.addr).field("env", &self.env).finish_non_exhaustive()
    }
}

/// How requests reach this server.
#[derive(Clone, Debug)]
pub enum Transport {
    /// By TLS that this server terminates.
    Tls(Arc<ServerConfig>),
    /// Through a trusted proxy, which terminates TLS.
    Proxy,
    /// By plain HTTP; only in development.
    Clear,
}

impl Transport {
    /// Name for the operator, as `coffer doctor` prints it.
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Tls(_) => "TLS",
            Self::Proxy => "TLS by a trusted proxy",
            Self::Clear => "plain HTTP",
        }
    }
}

/// One-line description of what is wrong with the settings.
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

/// Whether log lines are colored: on a terminal, unless `NO_COLOR` is set.
#[must_use]
#[expect(clippy::disallowed_methods, reason = "settings are read here")]
pub fn log_in_color() -> bool {
    io::stderr().is_terminal() && std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty())
}

/// Refuses the URL of an unsupported or in-memory database. `setting` is the name of the setting or option
/// for the message.
pub fn check_database_url(setting: &str, url: &str) -> Result<(), CliError> {
    if url.contains(":memory:") || url.contains("mode=memory") {
        return Err(format!("{setting}: in-memory databases are not supported; use a file"));
    }
    if !["sqlite:", "postgres://", "postgresql://"].iter().any(|scheme| url.starts_with(scheme)) {
        return Err(format!("{setting}: must begin with sqlite: or postgres://"));
    }
    Ok(())
}

/// Path of the file of an SQLite URL; none for other databases.
#[must_use]
pub fn sqlite_file(url: &str) -> Option<PathBuf> {
    let rest = url.strip_prefix("sqlite:")?;
    let path = rest.strip_prefix("//").unwrap_or(rest);
    Some(PathBuf::from(path.split('?').next().unwrap_or(path)))
}

impl Config {
    /// Whether the environment is production.
    pub fn is_production(&self) -> bool {
        self.env == Environment::Production
    }

    /// Validates the settings.
    pub fn check(&self) -> Result<(), CliError> {
        check_database_url("DATABASE_URL", &self.database_url)?;
        self.log_filter()?;
        if self.is_production() && self.trusted_proxy.iter().any(Network::is_too_wide) {
            return Err("COFFER_TRUSTED_PROXY: must not contain a network wider than /8 (IPv6: /7); \
                list the addresses of the proxies"
                .to_owned());
        }
        if self.advisors_email.as_ref().is_some_and(|address| Email::parse(address).is_err()) {
            return Err("COFFER_ADVISORS_EMAIL: must be an e-mail address".to_owned());
        }
        if let Some(origin) = self.origins.iter().find(|origin| !is_origin(origin)) {
            return Err(format!(
                "COFFER_ORIGINS: {origin:?} is not an origin; use the form https://app.example"
            ));
        }
        if self.documents().to_string_lossy().contains("://") {
            return Err(
                "COFFER_DOCUMENTS: must be a folder; object stores such as s3://… are not supported yet"
                    .to_owned(),
            );
        }
        self.setup().map(drop)
    }

    /// Returns the log filter. A word without `=` must be a level, because the filter would read any other as
    /// a module name.
    pub fn log_filter(&self) -> Result<Targets, CliError> {
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
        directives.join(",").parse().map_err(|_| complain(&self.log))
    }

    /// Returns how requests reach the server; plain HTTP is allowed only in development.
    pub fn transport(&self) -> Result<Transport, CliError> {
        match (&self.tls_cert, &self.tls_key) {
            (Some(_), Some(_))
                if self.is_production()
                    && self.public_url.is_none()
                    && self.trusted_proxy.is_empty()
                    && self.addr.ip().is_unspecified() =>
            {
                Err("COFFER_PUBLIC_URL: must be set if the server listens on every address, because links \
                    need a host"
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

    /// Path of the SQLite file; none for PostgreSQL.
    pub fn sqlite_file(&self) -> Option<PathBuf> {
        sqlite_file(&self.database_url)
    }

    /// Folder for the server's own files: that of the SQLite file, or `./data`.
    pub fn folder(&self) -> PathBuf {
        let folder = self
            .sqlite_file()
            .and_then(|file| file.parent().map(Path::to_path_buf))
            .unwrap_or_else(|| PathBuf::from("data"));
        if folder.as_os_str().is_empty() { PathBuf::from(".") } else { folder }
    }

    /// Folder for documents of identity checks.
    pub fn documents(&self) -> PathBuf {
        self.documents.clone().unwrap_or_else(|| self.folder().join("documents"))
    }

    /// File that the sandbox's API key is written to.
    pub fn sandbox_key_file(&self) -> PathBuf {
        self.folder().join("sandbox.key")
    }
}

/// Parser for numbers from 1 to `most`.
fn up_to(most: u32) -> RangedI64ValueParser<u32> {
    clap::value_parser!(u32).range(1..=i64::from(most))
}

/// Whether this has the form of a browser origin: a scheme, a host and an optional port, nothing else.
fn is_origin(text: &str) -> bool {
    let Some((scheme, site)) = text.split_once("://") else { return false };
    let plain = |c: char| c.is_ascii_graphic() && !matches!(c, '/' | '?' | '#' | '@' | '*' | '\\');
    ["http", "https"].contains(&scheme) && !site.is_empty() && site.chars().all(plain)
}
