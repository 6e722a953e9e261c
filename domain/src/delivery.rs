//! E-mail and text messages.

pub mod messages;
