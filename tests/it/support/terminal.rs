//! A shell that blocks of a document are pasted into, one after the other, as a reader does.

use super::process;
use std::{
    io::{BufRead, BufReader, Write},
    path::Path,
    process::{Child, ChildStdin, ChildStdout, Command, Stdio},
};

/// Line that the shell prints after each block.
const END: &str = "--- end of the block ---";

pub struct Terminal {
    child: Child,
    input: ChildStdin,
    output: BufReader<ChildStdout>,
}

impl Terminal {
    /// Opens a shell in a folder, without settings in its environment. `coffer` and `cargo run --quiet --` are the
    /// binary under test. The shell ends at the first command that fails.
    pub fn open(folder: &Path) -> Self {
        let mut shell = Command::new("sh");
        process::without_settings(&mut shell);
        let mut child =
            shell.current_dir(folder).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
        let (input, output) = (child.stdin.take().unwrap(), BufReader::new(child.stdout.take().unwrap()));
        let mut terminal = Self { child, input, output };
        terminal.paste(&format!(
            "set -eu; exec 2>&1\n\
            coffer() {{ '{}' \"$@\" </dev/null; }}\n\
            cargo() {{ [ \"$1 $2 $3\" = 'run --quiet --' ]; shift 3; '{0}' \"$@\" </dev/null; }}\n\
            curl() {{ command curl --noproxy '*' \"$@\" || [ $? -eq 28 ]; }}",
            env!("CARGO_BIN_EXE_coffer")
        ));
        terminal
    }

    /// Runs a block and returns what it prints.
    #[track_caller]
    pub fn paste(&mut self, block: &str) -> String {
        writeln!(self.input, "{block}\nprintf '%s\\n' '{END}'").unwrap();
        let mut printed = String::new();
        while !printed.ends_with(&format!("{END}\n")) {
            let read = self.output.read_line(&mut printed).unwrap();
            assert_ne!(read, 0, "a command has failed:\n{block}\n{printed}");
        }
        printed.truncate(printed.len() - END.len() - 1);
        printed
    }

    /// Returns the settings that the blocks have exported.
    pub fn settings(&mut self) -> Vec<(String, String)> {
        let names = |name: &str| name.starts_with("COFFER_") || name == "DATABASE_URL";
        let lines = self.paste("env");
        let pairs = lines.lines().filter_map(|line| line.split_once('='));
        pairs
            .filter(|(name, _)| names(name))
            .map(|(name, value)| (name.to_owned(), value.to_owned()))
            .collect()
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
