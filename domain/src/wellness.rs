//! User profiles of the wellness API.

pub mod profiles;
