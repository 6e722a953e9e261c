//! Coffer: brokerage accounts behind one GraphQL schema.
//!
//! The crate `domain` holds every rule; `graphql` and `rest` are the two APIs; `server` serves them over HTTP
//! and runs timers and other background work.

pub mod config;
pub mod graphql;
pub mod rest;
pub mod server;
pub mod wire;
