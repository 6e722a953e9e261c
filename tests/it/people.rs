//! Users.

mod users;
