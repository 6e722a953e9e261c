//! What every area needs: limits, loaders, connections, scalars, errors, events.

pub mod answer;
pub mod breadth;
pub mod complete;
pub mod context;
pub mod engine;
pub mod errors;
pub mod event_types;
pub mod events;
pub mod guard;
pub mod ids;
pub mod levels;
pub mod loaders;
pub mod mutations;
pub mod nodes;
pub mod ordered;
pub mod pages;
pub mod scalars;
pub mod sorts;
#[cfg(test)]
mod test_schema;
