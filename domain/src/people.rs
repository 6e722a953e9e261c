//! Personal data: checked fields, users, profiles, addresses and social security numbers.

pub mod applicants;
pub mod codes;
pub mod person;
pub mod profiles;
pub mod ssn;
pub mod user_changes;
pub mod users;
pub mod zips;
