//! Mail and text messages.

pub mod messages;
