//! Accounts of people who sign in, and their second factor.

pub mod accounts;
pub mod passcodes;
