//! Results are compared with figures by their ratios.

#![cfg(test)]

use std::{
    fs,
    path::Path,
    process::{Command, Output},
};

/// Compares results with figures, both for one build, SQLite, and these operations.
fn check(test: &str, figures: &str, results: &str) -> Output {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR"));
    let file = |name: &str, ratios: &str| {
        let path = folder.join(format!("{test}-{name}.json"));
        fs::write(&path, format!(r#"{{"debug, short":{{"SQLite":{{{ratios}}}}}}}"#)).unwrap();
        path
    };
    let (figures, results) = (file("figures", figures), file("results", results));
    Command::new(env!("CARGO_BIN_EXE_bench")).arg("check").args([figures, results]).output().unwrap()
}

#[track_caller]
fn assert_printed(output: &Output, is_success: bool, stdout: &str, stderr: &str) {
    assert_eq!(output.status.success(), is_success, "{output:?}");
    assert_eq!(String::from_utf8_lossy(&output.stdout), stdout);
    assert_eq!(String::from_utf8_lossy(&output.stderr), stderr);
}

#[test]
fn a_ratio_may_be_half_worse_than_its_figure() {
    let output = check("half", r#""Q1":2.0,"Q2":3.0"#, r#""Q1":3.0,"Q2":1.0"#);
    assert_printed(&output, true, "No ratio is more than half worse than its figure.\n", "");
}

#[test]
fn a_ratio_that_is_more_than_half_worse_is_named() {
    let output = check("worse", r#""Q1":2.0,"Q2":3.0"#, r#""Q1":3.01,"Q2":4.0"#);
    let expected = "More than half worse than the figure:\n  SQLite, Q1: 3.01 instead of 2.00\n";
    assert_printed(&output, false, expected, "");
}

#[test]
fn every_figure_must_be_measured() {
    let output = check("missing", r#""Q1":2.0,"Q2":3.0"#, r#""Q1":2.0"#);
    assert_printed(&output, false, "", "bench: SQLite, Q2 was not measured\n");
}

#[test]
fn every_measured_operation_must_have_a_figure() {
    let output = check("unknown", r#""Q1":2.0"#, r#""Q1":2.0,"Q2":3.0"#);
    assert_printed(&output, false, "", "bench: there is no figure for SQLite, Q2\n");
}
