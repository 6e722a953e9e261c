//! Coffer's business rules: one public function per operation. Independent of GraphQL and HTTP.
//!
//! A module uses only modules that come before it in `AREAS`.

pub mod access;
pub mod accounts;
pub mod app;
pub mod compliance;
pub mod delivery;
pub mod funding;
pub mod kernel;
pub mod people;
pub mod providers;
pub mod reporting;
pub mod sandbox;
pub mod settings;
pub mod trading;
pub mod wellness;

pub use kernel::{
    actor::{Actor, Scope, Who},
    error::{Checks, Code, Error, Refusal, Result, both},
    visible::Visible,
};

/// Modules in dependency order: each may use only those before it. `kernel` has the basics that every
/// operation needs, `providers` the external services, `settings` the operator's settings; `app` assembles
/// the `App`.
pub const AREAS: [&str; 14] = [
    "kernel",
    "providers",
    "settings",
    "people",
    "delivery",
    "access",
    "compliance",
    "accounts",
    "trading",
    "funding",
    "wellness",
    "reporting",
    "app",
    "sandbox",
];
