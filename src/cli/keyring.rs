//! `coffer keys`: API keys of partners, and the encryption key.

use super::rotate as encryption;
use super::{CliError, app, cannot, must_exist, say, time};
use clap::Subcommand;
use coffer::{config::Config, server::workers};
use domain::{
    Actor, Code, Refusal, Scope,
    access::{
        keys::{self, NewKey, Rotation},
        partners,
    },
    app::App,
    kernel::{clock, pages::Page},
};
use entity::{
    api_key,
    partner::{self, Mode},
};
use std::{path::PathBuf, process::ExitCode};

#[derive(Subcommand)]
pub enum Command {
    #[command(flatten)]
    Partners(PartnersKeys),
    /// Replace the encryption key, while servers that have both keys continue to run; run it again if it was
    /// interrupted
    RotateEncryption {
        /// File that contains the new key. Default: COFFER_ENCRYPTION_KEY replaces
        /// COFFER_ENCRYPTION_KEY_PREVIOUS
        #[arg(long)]
        new_key_file: Option<PathBuf>,
    },
}

/// Subcommands for API keys.
#[derive(Subcommand)]
pub enum PartnersKeys {
    /// Issue a key and print only it; it cannot be shown again
    Create {
        /// Partner name; created if it does not exist. Default in development: sandbox
        #[arg(long)]
        partner: Option<String>,
        /// Scopes, separated by commas: read, trade, transfer, manage, operate. Default: all of them
        #[arg(long, value_delimiter = ',', value_parser = scope, conflicts_with = "publishable")]
        scopes: Vec<Scope>,
        /// Issue a publishable key, which can only create users and identity checks, and sign users up and in
        #[arg(long)]
        publishable: bool,
        /// Label of the key
        #[arg(long, default_value = "made by coffer keys create")]
        label: String,
        /// Create a live partner, for real customers and money
        #[arg(long)]
        live: bool,
        /// Create a sandbox partner; the default in development
        #[arg(long, conflicts_with = "live")]
        sandbox: bool,
    },
    /// List a partner's keys, newest first; each line has the beginning of the key, state, scopes, creation time, label
    List {
        /// Partner name. Default in development: sandbox
        #[arg(long)]
        partner: Option<String>,
    },
    /// Issue a successor of a key and print only it; the old key stays active
    Rotate {
        /// The key as shown by `coffer keys list`, or its public id
        public_id: String,
        /// Number of hours after which the old key expires. Default: it stays active until it is revoked
        #[arg(long)]
        expires_after_hours: Option<i64>,
    },
    /// Revoke a key
    Revoke {
        /// The key as shown by `coffer keys list`, or its public id
        public_id: String,
    },
}

fn scope(name: &str) -> Result<Scope, String> {
    Scope::parse(name).ok_or_else(|| "must be read, trade, transfer, manage or operate".to_owned())
}

/// Runs a subcommand.
pub async fn run(config: &Config, command: Command) -> Result<ExitCode, CliError> {
    let command = match command {
        Command::RotateEncryption { new_key_file } => {
            return encryption::rotate(config, new_key_file.as_deref()).await;
        }
        Command::Partners(command) => command,
    };
    if !matches!(command, PartnersKeys::Create { .. }) {
        must_exist(config)?;
    }
    if let PartnersKeys::Create { partner: None, .. } | PartnersKeys::List { partner: None } = command
        && config.is_production()
    {
        return Err("--partner: must be given in production".to_owned());
    }
    let named_or_sandbox = |partner: Option<String>| partner.unwrap_or_else(|| partners::SANDBOX.to_owned());
    let app = app(config).await?;
    let sequencer = workers::sequencer(&app);
    let (what, printed) = match command {
        PartnersKeys::Create { partner, scopes, publishable, label, live, sandbox } => {
            let requested = if live { Some(Mode::Live) } else { sandbox.then_some(Mode::Sandbox) };
            let default = (!config.is_production()).then_some(Mode::Sandbox);
            let scopes = if scopes.is_empty() && !publishable { Scope::ALL.to_vec() } else { scopes };
            (
                "issue a key",
                create(
                    &app,
                    &named_or_sandbox(partner),
                    requested,
                    default,
                    NewKey { label, scopes, publishable },
                )
                .await,
            )
        }
        PartnersKeys::List { partner } => ("list keys", list(&app, &named_or_sandbox(partner)).await),
        PartnersKeys::Rotate { public_id, expires_after_hours } => {
            ("rotate the key", rotate(&app, &public_id, expires_after_hours).await)
        }
        PartnersKeys::Revoke { public_id } => ("revoke the key", revoke(&app, &public_id).await),
    };
    app.sequencer.caught_up().await;
    sequencer.abort();
    let printed = printed.map_err(|error| cannot(what, &error))?;
    if printed.is_empty() { Ok(ExitCode::SUCCESS) } else { say(&printed).map(|()| ExitCode::SUCCESS) }
}

/// Issues a key. A missing partner is created with the mode `requested`, or else `default`; an existing
/// partner must have the mode `requested`.
async fn create(
    app: &App,
    partner: &str,
    requested: Option<Mode>,
    default: Option<Mode>,
    new: NewKey,
) -> domain::Result<String> {
    let found = partners::find(app, partner).await?.map(|found| found.mode);
    let no_partner = || {
        Refusal::new(Code::NotFound, "", "The partner was not found. Use --live or --sandbox to create it.")
    };
    let mode = requested.or(found).or(default).ok_or_else(no_partner)?;
    let partner = partners::find_or_create(app, partner, mode).await?;
    let issued = keys::issue_for(app, &Actor::operator(&partner), new).await?;
    Ok(issued.text.map(|text| text.reveal().clone()).unwrap_or_default())
}

async fn list(app: &App, partner: &str) -> domain::Result<String> {
    let partner = partners::find(app, partner)
        .await?
        .ok_or_else(|| Refusal::new(Code::NotFound, "", "The partner was not found."))?;
    let mut lines = Vec::new();
    let mut page = Page::first(100);
    loop {
        let slice = keys::list(&app.db.read, &Actor::operator(&partner), &page).await?;
        lines.extend(slice.rows.iter().map(|key| line(key, partner.mode)));
        match slice.rows.last() {
            Some(last) if slice.has_next => page.after = Some(last.id),
            _ => return Ok(lines.join("\n")),
        }
    }
}

fn line(key: &api_key::Model, mode: Mode) -> String {
    let state = match (key.revoked_at, key.expires_at) {
        (Some(_), _) => "revoked".to_owned(),
        (None, Some(end)) if end <= clock::system_now() => "expired".to_owned(),
        (None, Some(end)) => format!("active until {}", time(end)),
        (None, None) => "active".to_owned(),
    };
    format!(
        "{}  {state:7}  {}  {}  {}",
        keys::display_prefix(key, mode),
        key.scopes,
        time(key.created_at),
        key.label
    )
    .trim_end()
    .to_owned()
}

async fn rotate(app: &App, public_id: &str, expires_after_hours: Option<i64>) -> domain::Result<String> {
    let (key, partner) = named(app, public_id).await?;
    let issued =
        keys::rotate(app, &Actor::operator(&partner), Rotation { id: key.id, expires_after_hours }).await?;
    Ok(issued.text.map(|text| text.reveal().clone()).unwrap_or_default())
}

async fn revoke(app: &App, public_id: &str) -> domain::Result<String> {
    let (key, partner) = named(app, public_id).await?;
    keys::revoke(app, &Actor::operator(&partner), key.id).await?;
    Ok(String::new())
}

async fn named(app: &App, public_id: &str) -> domain::Result<(api_key::Model, partner::Model)> {
    let key = keys::find_by_public_id(&app.db.read, public_id).await?.ok_or_else(|| {
        Refusal::new(
            Code::NotFound,
            "",
            "The key was not found. Use the first column of `coffer keys \
            list`, such as sk_test_6Wkft9kc.",
        )
    })?;
    let partner = clock::partner(&app.db.read, key.partner_id).await?;
    app.vault.ready_for(&app.db, partner.id).await?;
    Ok((key, partner))
}
