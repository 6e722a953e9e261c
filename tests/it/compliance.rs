//! Identity checks, documents, reviews and watch-list screening.

pub mod kyc;
pub mod kyc_documents;
pub mod kyc_reviews;
pub mod matching;
pub mod screening;
