//! The rules of Coffer: one public function per thing a caller can do. Knows neither GraphQL nor HTTP.
//!
//! Areas use only areas before them in `AREAS`.

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
};

/// The areas, in the order in which they may use each other: each those before it. `kernel` has what every
/// operation needs, `providers` the outside world, `settings` what operators set; `app` puts everything
/// together.
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
