//! Coffer: brokerage accounts and savings plans behind one GraphQL schema.
//!
//! `domain` holds every rule; `graphql` and `rest` are two doors onto it; `workers` carry out what is due later.

pub mod config;
pub mod graphql;
pub mod http;
pub mod rest;
pub mod wire;
pub mod workers;
