//! Settings that the operator chooses.

use crate::kernel::app::{App, Feature};

/// Name of the partner that `coffer serve` and `coffer keys create` create if none is given.
pub const SANDBOX: &str = "sandbox";

/// Settings that the operator chooses.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Name of the partner to which users belong who sign up or sign in without a partner's API key.
    pub default_partner: String,
    /// E-mail address to which users' data is sent for their advisors.
    pub advisors: Option<String>,
}

impl Default for Settings {
    fn default() -> Self {
        Self { default_partner: SANDBOX.to_owned(), advisors: None }
    }
}

impl Feature for Settings {
    fn new(_: &App) -> Self {
        Self::default()
    }
}
