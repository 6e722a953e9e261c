//! The outside world behind traits. Each provider has a built-in one, which is what a sandbox runs on.

pub mod ach;
pub mod files;
pub mod identity;
pub mod mail;
pub mod market;
pub mod prices;
pub mod sms;

use crate::kernel::app::{App, Feature};
use std::{fmt, net::IpAddr, sync::Arc, time::Duration};

/// The providers this server works with.
#[derive(Clone)]
pub struct Providers {
    /// Who checks a sandbox's people.
    pub sandbox_identity: Arc<dyn identity::IdentityProvider>,
    /// Who checks a live partner's people; none until one is configured, and nobody is approved before.
    pub live_identity: Option<Arc<dyn identity::IdentityProvider>>,
    /// Where a sandbox's deposits go.
    pub sandbox_ach: Arc<dyn ach::AchRail>,
    /// Where a live partner's deposits go; none until one is configured.
    pub live_ach: Option<Arc<dyn ach::AchRail>>,
    /// Where a sandbox's orders go.
    pub sandbox_market: Arc<dyn market::Market>,
    /// Where a live partner's orders go; none until one is configured.
    pub live_market: Option<Arc<dyn market::Market>>,
    /// Who carries a live partner's mail; none until a server is configured. A sandbox's mail stays in the
    /// house.
    pub live_mail: Option<Arc<dyn mail::MailProvider>>,
    /// Who carries a live partner's text messages; none until a gateway is configured.
    pub live_sms: Option<Arc<dyn sms::SmsProvider>>,
    /// Where documents of identity checks lie, a sandbox's as well.
    pub documents: files::Files,
}

/// Why a message was not taken by whoever carries it; without a word of the message or of the person.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SendError {
    /// It will never be taken.
    Refused(String),
    /// It may be taken later.
    Failed(String),
}

/// Whether a host is this machine, so that nobody can listen on the way.
fn is_in_house(host: &str) -> bool {
    let address = host.trim_matches(['[', ']']).parse::<IpAddr>();
    host == "localhost" || address.is_ok_and(|address| address.is_loopback())
}

/// What others are asked with over HTTP: no redirects, no proxy, 5 seconds to connect and 15 in all.
fn https() -> reqwest::ClientBuilder {
    // It is there already after the first time.
    _ = rustls::crypto::ring::default_provider().install_default();
    reqwest::Client::builder()
        .redirect(reqwest::redirect::Policy::none())
        .no_proxy()
        .connect_timeout(Duration::from_secs(5))
        .timeout(Duration::from_secs(15))
}

impl Default for Providers {
    fn default() -> Self {
        Self {
            sandbox_identity: Arc::new(identity::BuiltIn),
            live_identity: None,
            sandbox_ach: Arc::new(ach::SandboxRail),
            live_ach: None,
            sandbox_market: Arc::new(market::BuiltIn),
            live_market: None,
            live_mail: None,
            live_sms: None,
            documents: files::Files::in_memory(),
        }
    }
}

impl fmt::Debug for Providers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Providers")
    }
}

impl Feature for Providers {
    fn new(_: &App) -> Self {
        Self::default()
    }
}
