//! What operators set, for features.

use crate::kernel::app::{App, Feature};

/// The name of the partner that `coffer serve` and `coffer keys create` create when none is named.
pub const SANDBOX: &str = "sandbox";

/// What operators set, for features.
#[derive(Clone, Debug)]
pub struct Settings {
    /// The name of the partner for users who sign up or in without a partner's key.
    pub default_partner: String,
    /// The e-mail address that users' data is mailed to for their advisors.
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
