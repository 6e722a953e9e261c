//! The documented answers about a customer's work and worth. They are taken in any case and spacing and kept
//! as given.

use crate::{Refusal, Result};

pub const MARITAL_STATUS: &[&str] = &["single", "divorced", "married", "widowed"];
pub const EMPLOYMENT: &[&str] = &["employed / self-employed", "retired", "student", "not employed"];
pub const INCOME: &[&str] = &["$0 - $24,999", "$25,000 - $99,999", "$100,000 - $199,999", "$200,000+"];
pub const OBJECTIVE: &[&str] = &["capital preservation", "growth", "income", "speculation"];
pub const EXPERIENCE: &[&str] = &["none", "limited", "good", "extensive"];
/// The third is no documented option but stands in a documented request.
pub const LIQUID_WORTH: &[&str] =
    &["$0 - $4,999", "$5,000 - $99,999", "$25,000 - $99,999", "$100,000 - $199,999", "$200,000+"];
pub const RISK: &[&str] = &["conservative", "moderate", "aggressive"];

/// A text without its case and spacing.
pub fn folded(text: &str) -> String {
    text.chars().filter(|character| !character.is_whitespace()).flat_map(char::to_lowercase).collect()
}

/// Refuses an answer that is none of the options.
pub fn check(field: &str, answer: &str, options: &[&str]) -> Result<()> {
    if answer.chars().count() > 100 {
        return Err(Refusal::invalid(field, "must have at most 100 characters").into());
    }
    if folded(answer).is_empty() {
        return Err(Refusal::required(field).into());
    }
    if options.iter().any(|option| folded(option) == folded(answer)) {
        return Ok(());
    }
    Err(Refusal::invalid(field, format!("must be one of: {}", options.join("; "))).into())
}
