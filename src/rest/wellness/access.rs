//! User accounts and two-factor authentication.

pub mod accounts;
pub mod passcodes;
