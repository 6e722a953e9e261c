//! Users and their profiles.

pub mod users;
