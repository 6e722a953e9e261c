//! How far a long piece of work is, for whoever waits for it.

use indicatif::{ProgressBar, ProgressStyle};
use std::io::{self, IsTerminal, Write};

/// A bar for each part of the work on a terminal, a line for each step elsewhere.
#[derive(Default)]
pub struct Shown {
    bar: Option<(&'static str, ProgressBar)>,
}

impl Shown {
    /// So much of a part of the work is done.
    pub fn tell(&mut self, what: &'static str, done: u64, of: u64) {
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

    /// Nothing more will be told.
    pub fn end(&mut self) {
        if let Some((_, bar)) = self.bar.take() {
            bar.finish();
        }
    }
}
