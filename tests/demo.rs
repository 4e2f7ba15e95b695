//! The demo as a stranger meets it: one command, no settings, nothing to prepare.

use std::process::{Command, Output};

fn demo(arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_holdback"))
        .arg("demo")
        .args(arguments)
        .output()
        .expect("the binary runs")
}

/// The number before or after a word in the demo's summary.
fn count(said: &str, what: &str) -> u32 {
    let line = said.lines().find_map(|line| line.strip_prefix(what));
    let number = line.unwrap_or_else(|| panic!("no line about {what}:\n{said}"));
    number.trim().replace(',', "").parse().expect("a number")
}

#[test]
fn three_days_end_with_a_summary_and_a_clean_audit() {
    let output = demo(&["--days", "3", "--plain", "--speed", "1"]);
    let said = String::from_utf8(output.stdout).expect("UTF-8");
    let complained = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{said}\n{complained}");
    for told in [
        "stand-in",
        "kcat -b 127.0.0.1:",
        "psql postgres://",
        "audit clean",
    ] {
        assert!(said.contains(told), "{told} is missing:\n{said}");
    }
    assert!(said.contains(" 0 not published"), "{said}");
    for day in ["Mon  2 Mar", "Wed  4 Mar"] {
        assert!(said.contains(day), "{day} is missing:\n{said}");
    }
    for what in ["orders ", "refunds ", "releases ", "dead letters "] {
        assert!(count(&said, what) > 0, "no {what}:\n{said}");
    }
}
