//! Identity checks, their documents and reviews, and screening against watch lists.

pub mod kyc;
pub mod registration;
pub mod rescreening;
pub mod screening;
