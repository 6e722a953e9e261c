//! Shared parts of both REST APIs: routes, bodies, lists, errors and the OpenAPI document.

pub mod answers;
pub mod bodies;
pub mod described;
pub mod deserializer;
pub mod document_body;
pub mod errors;
pub mod forms;
pub mod large_body;
pub mod lists;
pub mod openapi;
pub mod requests;
pub mod routes;
