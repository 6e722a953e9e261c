//! The rules of Coffer: one public function per thing a caller can do. Knows neither GraphQL nor HTTP.
//!
//! Areas use only areas above them in this list; `delivery`, `reporting` and `sandbox` may use all.

pub mod kernel;

pub mod providers;

pub mod people;

pub mod access;

pub mod compliance;

pub mod accounts;

pub mod trading;

pub mod funding;

pub mod delivery;

pub mod reporting;

pub mod sandbox;

pub mod app;

pub use kernel::{
    actor::{Actor, Scope, Who},
    error::{Checks, Code, Error, Refusal, Result, both},
};
