//! Bad input, and input that only looks bad: every message of the corpus comes to its verdict by the
//! parser that ingest uses, in bounded time.

#![expect(clippy::unwrap_used, reason = "a test's helpers fail as tests do")]

mod cases;
mod identity;

use cases::{Case, Keeps, Verdict};
use holdback::message::Rejection;
use holdback::message::incoming::{Limits, Parsed, parse};

/// Far more nanoseconds of one processor than any message of the corpus needs, also in a build without
/// optimisation.
const LONGEST: u64 = 5_000_000_000;

/// Nanoseconds that this thread has been running: a busy machine takes nothing from a message.
fn on_cpu() -> u64 {
    let told = std::fs::read_to_string("/proc/thread-self/schedstat").unwrap_or_default();
    let first = told.split(' ').next().unwrap_or_default();
    first.parse().unwrap_or_default()
}

/// What the case came to, in the words of the corpus.
fn came_to(case: &Case) -> (Verdict, Keeps) {
    match parse(&case.record, case.default_type, &Limits::default()) {
        Ok(Parsed::Tombstone) => (Verdict::Tombstone, Keeps::Nothing),
        Ok(Parsed::Fact(accepted)) => {
            let shown = format!("{:?}", accepted.fact);
            let verdict = if accepted.off_time {
                Verdict::OffTime(shown)
            } else {
                Verdict::Accepted(shown)
            };
            (verdict, Keeps::Nothing)
        }
        Err(rejection) => {
            let keeps = keeps(&rejection);
            let reason = rejection.reason.as_str().to_owned();
            (Verdict::DeadLetter(reason, rejection.detail), keeps)
        }
    }
}

fn keeps(rejection: &Rejection) -> Keeps {
    match &rejection.about {
        Some(about) => Keeps::Order(format!("{}/{}", about.merchant, about.order)),
        None if rejection.moves_money => Keeps::Unreadable,
        None => Keeps::Nothing,
    }
}

/// Whether what was found is what was expected: of texts, a part.
fn fits(found: &Verdict, expected: &Verdict) -> bool {
    match (found, expected) {
        (Verdict::Tombstone, Verdict::Tombstone) => true,
        (Verdict::Accepted(found), Verdict::Accepted(part))
        | (Verdict::OffTime(found), Verdict::OffTime(part)) => found.contains(part.as_str()),
        (Verdict::DeadLetter(one, found), Verdict::DeadLetter(other, part)) => {
            one == other && found.contains(part.as_str())
        }
        _ => false,
    }
}

#[test]
fn every_message_of_the_corpus_comes_to_its_verdict() {
    let mut wrong = Vec::new();
    let all = cases::all();
    for case in &all {
        let began = on_cpu();
        let (verdict, keeps) = came_to(case);
        let took = on_cpu() - began;
        if !fits(&verdict, &case.verdict) || took > LONGEST {
            let verdict: String = format!("{verdict:?}").chars().take(300).collect();
            wrong.push(format!("{} ({took} ns): {verdict}", case.name));
        }
        if case.keeps != Keeps::Unsaid && keeps != case.keeps {
            wrong.push(format!("{}: keeps {keeps:?}", case.name));
        }
    }
    assert!(wrong.is_empty(), "\n{}\n", wrong.join("\n"));
    assert!(all.len() >= 300, "only {} cases", all.len());
    let sampled = all.iter().filter(|case| case.sampled).count();
    assert!(sampled >= 40, "only {sampled} go through the database");
}
