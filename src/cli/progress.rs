//! Progress of long-running commands.

use indicatif::{ProgressBar, ProgressStyle};
use std::io::{self, IsTerminal, Write};

/// Progress display on standard error: a bar per task on a terminal, otherwise a line per step.
#[derive(Default)]
pub struct ProgressDisplay {
    bar: Option<(&'static str, ProgressBar)>,
}

impl ProgressDisplay {
    /// Shows that `done` of `of` steps of a task are done.
    pub fn show(&mut self, what: &'static str, done: u64, of: u64) {
        if !io::stderr().is_terminal() {
            _ = writeln!(io::stderr(), "{what}: {done} of {of}");
            return;
        }
        if self.bar.as_ref().is_none_or(|(shown, _)| *shown != what) {
            self.end();
            let bar = ProgressBar::new(of).with_message(what);
            let style = ProgressStyle::with_template("{msg:30} {bar:40} {pos} of {len}, {eta} left");
            self.bar =
                Some((what, style.map_or_else(|_| bar.clone(), |style| bar.clone().with_style(style))));
        }
        if let Some((_, bar)) = &self.bar {
            bar.set_position(done);
        }
    }

    /// Ends the display.
    pub fn end(&mut self) {
        if let Some((_, bar)) = self.bar.take() {
            bar.finish();
        }
    }
}
