//! What features are told besides what is in the database.

use crate::kernel::app::{App, Feature};

/// What operators set, for features.
#[derive(Clone, Debug, Default)]
pub struct Settings {
    /// The name of the partner for whom people sign up and in without a partner's key.
    pub default_partner: String,
    /// Where what a person has entered is mailed for her advisors; nowhere when none is set.
    pub advisors: Option<String>,
}

impl Feature for Settings {
    fn new(_: &App) -> Self {
        Self::default()
    }
}
