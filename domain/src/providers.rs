//! External services behind traits. Sandboxes use built-in implementations.

pub mod ach;
pub mod files;
pub mod identity;
pub mod mail;
pub mod market;
pub mod prices;
pub mod sms;

use crate::kernel::app::{App, Feature};
use std::{fmt, net::IpAddr, sync::Arc, time::Duration};

/// Providers that this server uses.
#[derive(Clone)]
pub struct Providers {
    /// Checks the identity of sandbox users.
    pub sandbox_identity: Arc<dyn identity::IdentityProvider>,
    /// Checks the identity of live partners' users. Without one, no user of a live partner is approved.
    pub live_identity: Option<Arc<dyn identity::IdentityProvider>>,
    /// ACH connection for sandbox deposits.
    pub sandbox_ach: Arc<dyn ach::AchRail>,
    /// ACH connection for live partners' deposits; none until configured.
    pub live_ach: Option<Arc<dyn ach::AchRail>>,
    /// Market for sandbox orders.
    pub sandbox_market: Arc<dyn market::Market>,
    /// Market for live partners' orders; none until configured.
    pub live_market: Option<Arc<dyn market::Market>>,
    /// Sends e-mail for live partners; none until a mail server is configured. Sandbox e-mail is never sent.
    pub live_mail: Option<Arc<dyn mail::MailProvider>>,
    /// Sends text messages for live partners; none until a gateway is configured.
    pub live_sms: Option<Arc<dyn sms::SmsProvider>>,
    /// Stores the documents of identity checks, including those of sandboxes.
    pub documents: files::Files,
}

/// Reason why a message was not accepted. Must not contain any part of the message or of the user's data.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SendError {
    /// The message will never be accepted.
    Refused(String),
    /// The message may be accepted later.
    Failed(String),
}

/// Whether a host is this machine, so that unencrypted traffic cannot be intercepted.
fn is_loopback_host(host: &str) -> bool {
    let address = host.trim_matches(['[', ']']).parse::<IpAddr>();
    host == "localhost" || address.is_ok_and(|address| address.is_loopback())
}

/// Returns a builder for HTTPS clients: no redirects, no proxy, 5 seconds to connect and 15 seconds in total.
fn https() -> reqwest::ClientBuilder {
    // Fails if it is already installed, which is fine.
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
