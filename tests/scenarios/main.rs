//! Runs the scenarios in `tests/scenarios/*.txt`: small ledgers of what happens to orders and what
//! must follow. The rules alone, no database; the grammar is in `README.md` beside them.
//!
//! After every line, whatever it expects: each hold adds up, the journal's balances are those of
//! the holds, and no two entries have the same event id.

#![expect(clippy::unwrap_used, reason = "a test that unwraps nothing has failed")]

mod by_hand;
mod chinese;
mod explained;
mod foretold;
mod happenings;
mod ledger;
mod phrases;
mod purse;
mod setup;
mod situations;
mod states;

use std::fs;
use std::path::{Path, PathBuf};

use ledger::Ledger;

/// One scenario: its name, and its lines with their numbers.
struct Scenario {
    name: String,
    line: usize,
    lines: Vec<(usize, String)>,
}

#[test]
fn every_scenario_comes_out_as_written() {
    let mut run = 0;
    let mut failures = Vec::new();
    for path in files() {
        let text = fs::read_to_string(&path).expect("a scenario file can be read");
        let file = path.file_name().unwrap().to_string_lossy().into_owned();
        for scenario in scenarios(&text) {
            run += 1;
            if let Err((line, problem)) = play(&scenario) {
                let name = &scenario.name;
                failures.push(format!("tests/scenarios/{file}:{line}: {name}\n{problem}"));
            }
        }
    }
    assert!(run >= 80, "only {run} scenarios were found");
    assert!(
        failures.is_empty(),
        "{} of {run} scenarios fail\n\n{}",
        failures.len(),
        failures.join("\n\n")
    );
}

#[test]
fn a_scenario_that_expects_the_wrong_thing_fails_with_its_line() {
    let text = "## wrong\nagreement sale 100% 7d\n05-01 completed O1 100.00 CNY | held 99.00";
    let scenario = scenarios(text).remove(0);
    let (line, problem) = play(&scenario).unwrap_err();
    assert_eq!(line, 3);
    assert!(problem.contains("held 99.00"), "{problem}");
    assert!(problem.contains("held 100.00"), "{problem}");
}

fn files() -> Vec<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/scenarios");
    let entries = fs::read_dir(folder).expect("tests/scenarios is there");
    let mut files: Vec<PathBuf> = entries.map(|entry| entry.unwrap().path()).collect();
    files.retain(|path| path.extension().is_some_and(|extension| extension == "txt"));
    files.sort();
    files
}

fn scenarios(text: &str) -> Vec<Scenario> {
    let mut scenarios: Vec<Scenario> = Vec::new();
    for (number, line) in (1..).zip(text.lines()) {
        let line = line.trim();
        if let Some(name) = line.strip_prefix("## ") {
            scenarios.push(Scenario {
                name: name.to_owned(),
                line: number,
                lines: Vec::new(),
            });
        } else if !line.is_empty() && !line.starts_with('#') {
            let scenario = scenarios.last_mut().expect("a line belongs to a scenario");
            scenario.lines.push((number, line.to_owned()));
        }
    }
    scenarios
}

fn play(scenario: &Scenario) -> Result<(), (usize, String)> {
    let mut ledger = Ledger::default();
    let mut expected = 0;
    for (number, line) in &scenario.lines {
        let (action, expectations) = line.split_once('|').unwrap_or((line.as_str(), ""));
        let at = |problem: String| (*number, format!("  {line}\n  {problem}"));
        ledger.act(action.trim()).map_err(at)?;
        ledger.check_books().map_err(at)?;
        let phrases: Vec<&str> = expectations
            .split(',')
            .map(str::trim)
            .filter(|phrase| !phrase.is_empty())
            .collect();
        expected += phrases.len();
        phrases::check(&ledger, &phrases).map_err(at)?;
    }
    if expected == 0 {
        return Err((scenario.line, "  expects nothing".to_owned()));
    }
    Ok(())
}
