//! Authentication: partners, API keys, logins, sessions, tokens, passwords, second factors, password
//! recovery, invitations.

pub mod invitations;
pub mod keys;
pub mod links;
pub mod logins;
pub mod partner_settings;
pub mod partners;
pub mod passcodes;
pub mod passwords;
pub mod recoveries;
pub mod second_factors;
pub mod sessions;
pub mod tokens;
pub mod totp;
