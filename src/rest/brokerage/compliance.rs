//! Identity checks and their documents.

pub mod kyc;
pub mod kyc_documents;
