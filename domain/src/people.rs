//! Personal data: the fields of a person, users, profiles, addresses, social security numbers.

pub mod applicants;
pub mod codes;
pub mod person;
pub mod profiles;
pub mod ssn;
pub mod users;
pub mod zips;
