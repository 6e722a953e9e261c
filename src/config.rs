//! Every setting: its default, its environment name, its check.

use crate::{
    graphql::Limits,
    server::{
        BodyLimits, Entrance, HttpSettings, Network, connections::ConnectionLimits, parse_base_url,
        serving::ServerSettings, tls,
    },
    wire::BaseUrl,
};
use clap::{Arg, Args, ValueEnum, builder::Resettable};
use domain::{
    access::partners,
    app::Setup,
    kernel::{
        limits::REQUESTS,
        secrets::{Secret, hex, random},
    },
    people::person::Email,
    providers::{Providers, files::Files, identity::BuiltIn, mail::Smtp, sms::Gateway},
    settings::Settings,
};
use std::{
    fs,
    io::{self, ErrorKind, IsTerminal, Write},
    net::SocketAddr,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
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
    #[arg(long, global = true, env = "COFFER_REQUESTS_PER_HOUR", default_value_t = REQUESTS.most, value_parser = clap::value_parser!(u64).range(..=1_000_000_000))]
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
    #[arg(long, global = true, env = "COFFER_PAGE_MOST", default_value_t = 100, value_parser = clap::value_parser!(u64).range(1..=10_000))]
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
    #[arg(long, global = true, env = "COFFER_CONNECTIONS", default_value_t = 4096, value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    pub connections: u32,

    /// The most connections of one address at once, trusted proxies aside
    #[arg(long, global = true, env = "COFFER_CONNECTIONS_PER_ADDRESS", default_value_t = 256, value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    pub connections_per_address: u32,

    /// How long a TLS handshake and the headers of a request may take, in seconds
    #[arg(long, global = true, env = "COFFER_HEADER_SECONDS", default_value_t = 10, value_parser = clap::value_parser!(u32).range(1..=3600))]
    pub header_seconds: u32,

    /// How long a connection may wait for a request, in seconds
    #[arg(long, global = true, env = "COFFER_IDLE_SECONDS", default_value_t = 60, value_parser = clap::value_parser!(u32).range(1..=3600))]
    pub idle_seconds: u32,

    /// How long a client may take nothing of an answer, in seconds
    #[arg(long, global = true, env = "COFFER_WRITE_SECONDS", default_value_t = 30, value_parser = clap::value_parser!(u32).range(1..=3600))]
    pub write_seconds: u32,

    /// How long the sender of a body may pause, and take longer than at the least rate, in seconds
    #[arg(long, global = true, env = "COFFER_BODY_SECONDS", default_value_t = 10, value_parser = clap::value_parser!(u32).range(1..=3600))]
    pub body_seconds: u32,

    /// The least rate of a body, in bytes per second
    #[arg(long, global = true, env = "COFFER_BODY_RATE", default_value_t = 64 << 10, value_parser = clap::value_parser!(u32).range(1..))]
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

    /// The encryption key: given, or from its file; in development the file is made where there is none and
    /// `may_make_one`. Production refuses a key of zeros only, and a file that others can read.
    pub fn encryption_key(&self, may_make_one: bool) -> Result<Secret<[u8; 32]>, CliError> {
        let key = self.given_encryption_key(may_make_one)?;
        self.check_new_key("COFFER_ENCRYPTION_KEY", &key)?;
        Ok(key)
    }

    fn given_encryption_key(&self, may_make_one: bool) -> Result<Secret<[u8; 32]>, CliError> {
        if let Some(text) = &self.encryption_key {
            return key_in(text)
                .ok_or_else(|| "COFFER_ENCRYPTION_KEY: must be 64 hexadecimal digits".to_owned());
        }
        let Some(file) = self.key_file() else {
            return Err(
                "COFFER_ENCRYPTION_KEY or COFFER_ENCRYPTION_KEY_FILE: must be set in production".to_owned()
            );
        };
        match self.read_key(&file) {
            Err(ReadKey::Missing) if !may_make_one => Err(format!(
                "{}: the file with the encryption key of this database is missing",
                file.display()
            )),
            Err(ReadKey::Missing) if !self.is_production() && self.encryption_key_file.is_none() => {
                let key: [u8; 32] =
                    random().map_err(|_| "the operating system gives no randomness".to_owned())?;
                write_private(&file, &hex(&key))?;
                Ok(Secret::new(key))
            }
            Err(ReadKey::Missing) => Err(format!("{}: there is no such file", file.display())),
            Err(ReadKey::Wrong(complaint)) => Err(complaint),
            Ok(key) => Ok(key),
        }
    }

    /// The file that the encryption key is read from, unless it is given as it is: in development one beside
    /// the database.
    fn key_file(&self) -> Option<PathBuf> {
        match (&self.encryption_key_file, self.sqlite_file()) {
            (Some(file), _) => Some(file.clone()),
            (None, _) if self.is_production() => None,
            (None, Some(database)) => Some(PathBuf::from(format!("{}.key", database.display()))),
            (None, None) => Some(self.folder().join("coffer.key")),
        }
    }

    /// Files that hold secrets: keys, and in development the sandbox's key.
    pub fn secret_files(&self) -> Vec<PathBuf> {
        let given = if self.encryption_key.is_none() { self.key_file() } else { None };
        let previous = if self.encryption_key_previous.is_none() {
            self.encryption_key_previous_file.clone()
        } else {
            None
        };
        let sandbox = (!self.is_production()).then(|| self.sandbox_key_file());
        given.into_iter().chain(previous).chain(self.tls_key.clone()).chain(sandbox).collect()
    }

    /// The key in a file. In production only its owner may be able to read it, or, as PostgreSQL has it,
    /// root's group too.
    pub fn key_in_file(&self, file: &Path) -> Result<Secret<[u8; 32]>, CliError> {
        self.read_key(file).map_err(|error| match error {
            ReadKey::Missing => format!("{}: there is no such file", file.display()),
            ReadKey::Wrong(complaint) => complaint,
        })
    }

    fn read_key(&self, file: &Path) -> Result<Secret<[u8; 32]>, ReadKey> {
        let wrong = |what: &dyn std::fmt::Display| ReadKey::Wrong(format!("{}: {what}", file.display()));
        let text = match fs::read_to_string(file) {
            Ok(text) => text,
            Err(error) if error.kind() == ErrorKind::NotFound => return Err(ReadKey::Missing),
            Err(error) => return Err(wrong(&error)),
        };
        if self.is_production() && fs::metadata(file).is_ok_and(|found| open_to_others(&found)) {
            return Err(wrong(&"others can read this key; run chmod 600"));
        }
        key_in(text.trim()).ok_or_else(|| wrong(&"must hold 64 hexadecimal digits"))
    }

    /// Refuses a key of zeros in production; `setting` is where it was given.
    pub fn check_new_key(&self, setting: &str, key: &Secret<[u8; 32]>) -> Result<(), CliError> {
        if self.is_production() && key.reveal() == &[0; 32] {
            return Err(format!("{setting}: is all zeros; make a key with `openssl rand -hex 32`"));
        }
        Ok(())
    }

    /// The encryption key before this one, while it is being replaced: given, or from its file.
    pub fn previous_encryption_key(&self) -> Result<Option<Secret<[u8; 32]>>, CliError> {
        match (&self.encryption_key_previous, &self.encryption_key_previous_file) {
            (Some(text), _) => key_in(text)
                .map(Some)
                .ok_or_else(|| "COFFER_ENCRYPTION_KEY_PREVIOUS: must be 64 hexadecimal digits".to_owned()),
            (None, Some(file)) => self.key_in_file(file).map(Some),
            (None, None) => Ok(None),
        }
    }

    /// What the app is told besides its database and its key.
    pub fn setup(&self) -> Result<Setup, CliError> {
        Ok(Setup {
            settings: Settings {
                default_partner: self.default_partner.clone(),
                advisors: self.advisors_email.clone(),
            },
            requests_per_hour: self.requests_per_hour,
            throttle: self.throttle,
            providers: self.providers()?,
        })
    }

    fn providers(&self) -> Result<Providers, CliError> {
        let mut providers =
            Providers { documents: Files::in_folder(self.documents()), ..Providers::default() };
        if self.identity == IdentityChecks::BuiltIn {
            providers.live_identity = Some(Arc::new(BuiltIn));
        }
        if let Some(smtp) = self.smtp()? {
            providers.live_mail = Some(Arc::new(smtp));
        }
        match (&self.sms_url, &self.sms_template) {
            (Some(url), Some(template)) => {
                let gateway =
                    Gateway::new(url, template, &self.sms_content_type, self.sms_authorization.as_deref())?;
                providers.live_sms = Some(Arc::new(gateway));
            }
            (Some(_), None) => return Err("COFFER_SMS_TEMPLATE: must be set with COFFER_SMS_URL".to_owned()),
            (None, _) => {}
        }
        Ok(providers)
    }

    /// How connections are served, if `places` are there for them.
    pub fn server(&self, places: usize) -> ServerSettings {
        let number = |setting: u32| usize::try_from(setting).unwrap_or(usize::MAX);
        let total = number(self.connections).min(places);
        // One address leaves half of them to the others.
        let per_address = number(self.connections_per_address).min(total.div_ceil(2));
        ServerSettings {
            connections: ConnectionLimits { total, per_address, exempt: self.trusted_proxy.clone() },
            header_timeout: seconds(self.header_seconds),
            idle_timeout: seconds(self.idle_seconds),
            write_timeout: seconds(self.write_seconds),
        }
    }

    /// The mail server of live partners, if one is set.
    pub fn smtp(&self) -> Result<Option<Smtp>, CliError> {
        match (&self.smtp_url, &self.mail_from) {
            (Some(url), Some(from)) => Ok(Some(Smtp::new(url, from)?)),
            (Some(_), None) => Err("COFFER_MAIL_FROM: must be set with COFFER_SMTP_URL".to_owned()),
            (None, _) => Ok(None),
        }
    }

    /// What the server is told besides the app.
    pub fn settings(&self, transport: &Transport, sandbox_key: Option<String>) -> HttpSettings {
        let limits = Limits {
            body_bytes: self.body_bytes,
            document_bytes: self.document_bytes,
            tokens: self.tokens,
            depth: self.depth,
            complexity: self.complexity,
            aliases: self.aliases,
            query_timeout: Duration::from_secs(self.query_seconds),
            response_bytes: self.response_bytes,
            ..Limits::default()
        };
        HttpSettings {
            limits,
            body: BodyLimits { timeout: seconds(self.body_seconds), bytes_per_second: self.body_rate },
            page_most: self.page_most,
            introspection: self.introspection.unwrap_or(!self.is_production()),
            playground: !self.is_production(),
            origins: self.origins.clone(),
            entrance: Entrance {
                tls: matches!(transport, Transport::Tls(_)),
                secure_only: self.is_production(),
                trusted: self.trusted_proxy.clone(),
                public_url: self.public_url.clone(),
                listening: None,
            },
            sandbox_key,
        }
    }
}

fn seconds(seconds: u32) -> Duration {
    Duration::from_secs(u64::from(seconds))
}

/// Why a file gives no key.
enum ReadKey {
    Missing,
    Wrong(CliError),
}

/// Whether others than its owner can read or change a file; the group of a file of root's may read it.
#[must_use]
pub fn open_to_others(found: &fs::Metadata) -> bool {
    #[cfg(unix)]
    {
        use std::os::unix::fs::MetadataExt;
        let allowed = if found.uid() == 0 { 0o740 } else { 0o700 };
        found.mode() & 0o777 & !allowed != 0
    }
    #[cfg(not(unix))]
    {
        _ = found;
        false
    }
}

/// Whether a browser could name this as the origin of a page: a scheme, a host, perhaps a port, and nothing
/// more.
fn is_origin(text: &str) -> bool {
    let Some((scheme, site)) = text.split_once("://") else { return false };
    let plain = |c: char| c.is_ascii_graphic() && !matches!(c, '/' | '?' | '#' | '@' | '*' | '\\');
    ["http", "https"].contains(&scheme) && !site.is_empty() && site.chars().all(plain)
}

fn key_in(text: &str) -> Option<Secret<[u8; 32]>> {
    let digits: Vec<u8> = text
        .chars()
        .map(|digit| digit.to_digit(16).and_then(|digit| u8::try_from(digit).ok()))
        .collect::<Option<_>>()?;
    let bytes: Vec<u8> = digits.as_chunks::<2>().0.iter().map(|[high, low]| high << 4 | low).collect();
    (digits.len() == 64).then(|| bytes.try_into().ok().map(Secret::new)).flatten()
}

/// Writes a file that only its owner may read.
pub fn write_private(path: &Path, text: &str) -> Result<(), CliError> {
    let complain = |error: std::io::Error| format!("{}: {error}", path.display());
    if let Some(folder) = path.parent() {
        fs::create_dir_all(folder).map_err(complain)?;
    }
    let mut options = fs::OpenOptions::new();
    options.write(true).create(true).truncate(true);
    #[cfg(unix)]
    {
        use std::os::unix::fs::OpenOptionsExt;
        options.mode(0o600);
    }
    let mut file = options.open(path).map_err(complain)?;
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        file.set_permissions(fs::Permissions::from_mode(0o600)).map_err(complain)?;
    }
    writeln!(file, "{text}").map_err(complain)
}
