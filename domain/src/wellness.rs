//! What the wellness API shows and changes of a user.

pub mod profiles;
