//! The outside world behind traits. Each provider has a built-in one, which is what a sandbox runs on.

pub mod ach;
pub mod identity;
pub mod market;
pub mod prices;

use std::{fmt, sync::Arc};

/// The providers this server works with.
#[derive(Clone)]
pub struct Providers {
    pub identity: Arc<dyn identity::IdentityProvider>,
    /// Where a sandbox's deposits go.
    pub sandbox_ach: Arc<dyn ach::AchRail>,
    /// Where a live partner's deposits go; none until one is configured.
    pub live_ach: Option<Arc<dyn ach::AchRail>>,
    /// Where a sandbox's orders go.
    pub sandbox_market: Arc<dyn market::Market>,
    /// Where a live partner's orders go; none until one is configured.
    pub live_market: Option<Arc<dyn market::Market>>,
}

impl Default for Providers {
    fn default() -> Self {
        Self {
            identity: Arc::new(identity::BuiltIn),
            sandbox_ach: Arc::new(ach::SandboxRail),
            live_ach: None,
            sandbox_market: Arc::new(market::BuiltIn),
            live_market: None,
        }
    }
}

impl fmt::Debug for Providers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Providers")
    }
}
