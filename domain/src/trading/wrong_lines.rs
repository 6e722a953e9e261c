//! Wrong lines of a file that is imported.

/// Maximum number of wrong lines that are named.
const MAX_NAMED: usize = 10;

/// Wrong lines, of which the first ones are named.
#[derive(Default)]
pub(super) struct WrongLines {
    named: Vec<String>,
    others: u64,
}

impl WrongLines {
    pub(super) fn add(&mut self, line: u64, what: &str) {
        if self.named.len() < MAX_NAMED {
            self.named.push(format!("line {line}: {what}"));
        } else {
            self.others += 1;
        }
    }

    /// Fails with all wrong lines, if there are any.
    pub(super) fn done(self) -> Result<(), String> {
        let others = match self.others {
            0 => None,
            1 => Some("1 more line is wrong".to_owned()),
            others => Some(format!("{others} more lines are wrong")),
        };
        let texts: Vec<String> = self.named.into_iter().chain(others).collect();
        if texts.is_empty() { Ok(()) } else { Err(texts.join("; ")) }
    }
}
