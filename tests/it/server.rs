//! The server and the process.

pub mod availability;
pub mod fanout;
pub mod persisted;
pub mod process;
pub mod transport;
pub mod transport_security;
