//! Ratios of Coffer to the limit: the table, the file, and the comparison with committed figures.

use crate::Result;
use std::{collections::BTreeMap, fs, path::Path, process::ExitCode};

/// A ratio may be this many times the committed one.
const TOLERANCE: f64 = 1.5;

/// Ratios by build and size, by database and by operation.
pub type Figures = BTreeMap<String, BTreeMap<String, BTreeMap<String, f64>>>;

/// One operation on one database: CPU milliseconds of the limit and of Coffer, each round.
pub struct Row {
    pub database: String,
    pub operation: String,
    /// What is measured, for example CPU milliseconds.
    pub limit: Vec<Measured>,
    pub coffer: Vec<Measured>,
    /// Whether the ratio is compared with the figures.
    pub is_checked: bool,
}

/// A value, with its parts in the server and in the database.
#[derive(Clone, Copy)]
pub struct Measured {
    pub total: f64,
    pub parts: Option<(f64, f64)>,
}

impl Row {
    /// Returns the median of the rounds' ratios, with two decimals.
    pub fn ratio(&self) -> f64 {
        let rounds = self.limit.iter().zip(&self.coffer);
        let ratio = median(rounds.map(|(limit, coffer)| coffer.total / limit.total.max(0.001)).collect());
        (ratio * 100.0).round() / 100.0
    }
}

pub fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    let upper = values.get(values.len() / 2).copied().unwrap_or_default();
    if values.len().is_multiple_of(2) {
        let lower = values.get((values.len() / 2).saturating_sub(1)).copied().unwrap_or_default();
        return f64::midpoint(lower, upper);
    }
    upper
}

fn shown(rounds: &[Measured]) -> String {
    let total = median(rounds.iter().map(|one| one.total).collect());
    let (server, database): (Vec<f64>, Vec<f64>) = rounds.iter().filter_map(|one| one.parts).unzip();
    let number = |value: f64| if value < 10.0 { format!("{value:.2}") } else { format!("{value:.1}") };
    if database.iter().all(|one| *one <= 0.0) {
        return number(total);
    }
    format!("{} ({} + {})", number(total), number(median(server)), number(median(database)))
}

/// Returns the table in Markdown.
pub fn table(rows: &[Row]) -> String {
    let mut text = String::from("| database | work | limit | Coffer | ratio |\n|---|---|---:|---:|---:|\n");
    for row in rows {
        let (limit, coffer) = (shown(&row.limit), shown(&row.coffer));
        text +=
            &format!("| {} | {} | {limit} | {coffer} | {:.2} |\n", row.database, row.operation, row.ratio());
    }
    text
}

/// Returns the ratios as figures of this build and size.
pub fn of(rows: &[Row], name: &str) -> Figures {
    let mut databases: BTreeMap<String, BTreeMap<String, f64>> = BTreeMap::new();
    for row in rows.iter().filter(|row| row.is_checked) {
        databases.entry(row.database.clone()).or_default().insert(row.operation.clone(), row.ratio());
    }
    BTreeMap::from([(name.to_owned(), databases)])
}

pub fn read(file: &Path) -> Result<Figures> {
    let text = fs::read_to_string(file).map_err(|error| format!("{}: {error}", file.display()))?;
    serde_json::from_str(&text).map_err(|error| format!("{}: {error}", file.display()).into())
}

/// Writes figures to a file, which keeps those of other builds, sizes and databases.
pub fn write(file: &Path, measured: Figures) -> Result<()> {
    let mut figures = if file.exists() { read(file)? } else { Figures::new() };
    for (name, databases) in measured {
        figures.entry(name).or_default().extend(databases);
    }
    fs::write(file, serde_json::to_string_pretty(&figures)? + "\n")?;
    Ok(())
}

/// Compares measured ratios with figures and prints what is worse. Every database that was measured must have
/// figures, and every figure of such a database must have been measured.
pub fn check(figures: &Figures, measured: &Figures) -> Result<ExitCode> {
    let mut worse = Vec::new();
    for (name, databases) in measured {
        for (database, ratios) in databases {
            let known = figures.get(name).and_then(|databases| databases.get(database));
            let known = known.ok_or_else(|| format!("there are no figures for {name}, {database}"))?;
            for (operation, figure) in known {
                let ratio = ratios
                    .get(operation)
                    .ok_or_else(|| format!("{database}, {operation} was not measured"))?;
                if *ratio > figure * TOLERANCE {
                    worse.push(format!("{database}, {operation}: {ratio:.2} instead of {figure:.2}"));
                }
            }
            if let Some(operation) = ratios.keys().find(|operation| !known.contains_key(*operation)) {
                return Err(format!("there is no figure for {database}, {operation}").into());
            }
        }
    }
    if worse.is_empty() {
        println!("No ratio is more than half worse than its figure.");
        return Ok(ExitCode::SUCCESS);
    }
    println!("More than half worse than the figure:");
    for line in worse {
        println!("  {line}");
    }
    Ok(ExitCode::FAILURE)
}
