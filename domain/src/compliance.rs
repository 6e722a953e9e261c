//! Identity checks with their documents and reviews, and watch-list screening.

pub mod kyc;
pub mod registration;
pub mod rescreening;
pub mod screening;
