//! What several messages come to together, by the rules as `holdback simulate` runs them.

use std::io::Write as _;
use std::process::{Command, Stdio};

use crate::cases::event;

const AGREEMENT: &str = r#"agreement agreement_id="AG-0" & merchant_id="*""#;

/// What is refused of these messages: number, reason, detail.
fn refused(messages: &[&str]) -> Vec<String> {
    let mut child = Command::new(env!("CARGO_BIN_EXE_holdback"))
        .args(["simulate", "--events", "-"])
        .current_dir(env!("CARGO_TARGET_TMPDIR"))
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut input = child.stdin.take().unwrap();
    for message in std::iter::once(&AGREEMENT).chain(messages) {
        let line = event(message).unwrap_or_else(|| panic!("{message}"));
        writeln!(input, "{line}").unwrap();
    }
    drop(input);
    let said = child.wait_with_output().unwrap();
    assert!(said.status.success());
    let complaints = String::from_utf8(said.stderr).unwrap();
    let told = complaints.lines().map(|line| {
        let (number, why) = line
            .strip_prefix("line ")
            .and_then(|it| it.split_once(": "))
            .unwrap();
        let number = number.parse::<usize>().unwrap() - 1;
        format!("{number} {}", why.replacen(": ", " ", 1))
    });
    told.collect()
}

#[test]
fn what_repeats_conflicts_or_belongs_elsewhere_is_told_apart() {
    let text = include_str!("identity.stories");
    let stories = text.split("\n\n").filter(|story| !story.starts_with('#'));
    let mut wrong = Vec::new();
    let mut count = 0;
    for story in stories {
        count += 1;
        let mut lines: Vec<&str> = story.lines().collect();
        let verdict = lines.pop().and_then(|it| it.strip_prefix("→ "));
        let verdict = verdict.unwrap_or_else(|| panic!("no verdict: {story}"));
        let found = refused(&lines[1..]);
        let fits = match verdict {
            "nothing" => found.is_empty(),
            _ => {
                let mut words = verdict.splitn(3, ' ');
                let start = format!("{} {}", words.next().unwrap(), words.next().unwrap());
                let detail = words.next().unwrap_or_default();
                found.len() == 1 && found[0].starts_with(&start) && found[0].contains(detail)
            }
        };
        if !fits {
            wrong.push(format!("{}: {found:?}", lines[0]));
        }
    }
    assert!(wrong.is_empty(), "\n{}\n", wrong.join("\n"));
    assert!(count >= 50, "only {count} stories");
}
