//! Coffer: brokerage accounts and savings plans behind one GraphQL schema.
//!
//! The crate `domain` holds every rule; `graphql` and `rest` are the two APIs; `workers` run timers and other background work.

pub mod config;
pub mod graphql;
pub mod http;
pub mod rest;
pub mod wire;
pub mod workers;
