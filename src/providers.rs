//! The outside world behind traits. Each provider has a built-in one, which is what a sandbox runs on.

pub mod ach;
pub mod identity;
pub mod mail;
pub mod market;
pub mod prices;
pub mod sms;

use std::{fmt, sync::Arc};

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
    /// Who carries a live partner's mail; none until a server is configured. A sandbox's mail stays in the house.
    pub live_mail: Option<Arc<dyn mail::MailProvider>>,
    /// Who carries a live partner's text messages; none until a gateway is configured.
    pub live_sms: Option<Arc<dyn sms::SmsProvider>>,
}

/// Why a message was not taken by whoever carries it; without a word of the message or of the person.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SendError {
    /// It will never be taken.
    Refused(&'static str),
    /// It may be taken later.
    Failed(&'static str),
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
        }
    }
}

impl fmt::Debug for Providers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Providers")
    }
}
