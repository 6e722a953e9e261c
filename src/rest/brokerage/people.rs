//! Users.

pub mod users;
