//! Documented answers about a user's work and finances. They are accepted in any case and spacing and stored
//! as entered.

use crate::{Refusal, Result};

pub const MARITAL_STATUS: &[&str] = &["single", "divorced", "married", "widowed"];
pub const EMPLOYMENT: &[&str] = &["employed / self-employed", "retired", "student", "not employed"];
pub const INCOME: &[&str] = &["$0 - $24,999", "$25,000 - $99,999", "$100,000 - $199,999", "$200,000+"];
pub const OBJECTIVE: &[&str] = &["capital preservation", "growth", "income", "speculation"];
pub const EXPERIENCE: &[&str] = &["none", "limited", "good", "extensive"];
/// The third value is not a documented option, but a documented example request uses it.
pub const LIQUID_WORTH: &[&str] =
    &["$0 - $4,999", "$5,000 - $99,999", "$25,000 - $99,999", "$100,000 - $199,999", "$200,000+"];
pub const RISK: &[&str] = &["conservative", "moderate", "aggressive"];

/// Returns a text in lower case and without white space.
pub fn normalized(text: &str) -> String {
    text.chars().filter(|character| !character.is_whitespace()).flat_map(char::to_lowercase).collect()
}

/// Refuses an answer that is not one of the options.
pub fn check(field: &str, answer: &str, options: &[&str]) -> Result<()> {
    if answer.chars().count() > 100 {
        return Err(Refusal::invalid(field, "must have at most 100 characters").into());
    }
    if normalized(answer).is_empty() {
        return Err(Refusal::required(field).into());
    }
    if options.iter().any(|option| normalized(option) == normalized(answer)) {
        return Ok(());
    }
    Err(Refusal::invalid(field, format!("must be one of: {}", options.join("; "))).into())
}
