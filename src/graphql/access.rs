//! Sign-up and sign-in, second factors, invitations and API keys.

pub mod credentials;
pub mod invitations;
pub mod keys;
pub mod logins;
pub mod partner_settings;
pub mod second_factors;
