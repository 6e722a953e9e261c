//! Identity checks, their documents and reviews, and watch-list screening.

pub mod kyc;
pub mod kyc_documents;
pub mod kyc_reviews;
pub mod screening;
