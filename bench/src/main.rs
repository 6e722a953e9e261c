//! Measures Coffer beside the limit: a hand-written server over the same rows. Run it with `scripts/bench`.

#![expect(clippy::float_arithmetic, reason = "measurements are not money")]
#![expect(clippy::print_stdout, reason = "the table is the output")]

mod data;
mod database;
mod fanout;
mod figures;
mod fill;
mod http;
mod limit;
mod load;
mod operations;
mod postgres;
mod processes;
mod run;

use clap::{Args, Parser, Subcommand, ValueEnum};
use std::{error::Error, fmt, path::PathBuf, process::ExitCode};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

type Result<T, E = Box<dyn Error + Send + Sync>> = std::result::Result<T, E>;

#[derive(Parser)]
#[command(about = "Measures Coffer beside a hand-written server over the same rows")]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Fill databases, measure both servers and print a table
    Run(Run),
    /// Compare results that `run --out` wrote with committed figures
    Check {
        /// File with the figures
        figures: PathBuf,
        /// File with the results
        results: PathBuf,
    },
    /// Serve the hand-written server on a free port, which it prints
    Limit {
        /// Database that `run` has filled
        database_url: String,
    },
}

#[derive(Args)]
struct Run {
    /// The binary of Coffer
    #[arg(long)]
    coffer: PathBuf,
    /// A small database and short rounds
    #[arg(long)]
    short: bool,
    /// Only this database
    #[arg(long)]
    database: Option<Kind>,
    /// Number of rounds; the median counts
    #[arg(long, default_value_t = 5)]
    rounds: usize,
    /// Fail if a ratio is more than half worse than in this file
    #[arg(long, value_name = "FILE", num_args = 0..=1, default_missing_value = "bench/figures.json")]
    check: Option<PathBuf>,
    /// Write the ratios to this file, and keep the figures of other builds and sizes
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
}

/// Kind of database.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, ValueEnum)]
enum Kind {
    Postgres,
    Sqlite,
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Postgres => "PostgreSQL",
            Self::Sqlite => "SQLite",
        })
    }
}

fn main() -> ExitCode {
    match start(Cli::parse().command) {
        Ok(code) => code,
        Err(error) => {
            eprintln!("bench: {error}");
            ExitCode::FAILURE
        }
    }
}

fn start(command: Command) -> Result<ExitCode> {
    let runtime = tokio::runtime::Runtime::new()?;
    match command {
        Command::Run(options) => runtime.block_on(async {
            tokio::select! {
                outcome = run::run(&options) => outcome,
                _ = tokio::signal::ctrl_c() => Err("interrupted".into()),
            }
        }),
        Command::Check { figures, results } => {
            figures::check(&figures::read(&figures)?, &figures::read(&results)?)
        }
        Command::Limit { database_url } => {
            runtime.block_on(limit::serve(&database_url)).map(|()| ExitCode::SUCCESS)
        }
    }
}
