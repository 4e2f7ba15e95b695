//! The same by what is typed.

use crate::harness::TestBed;
use crate::harness::process::{holdback, migrate, run_to_end};

const BY: [&str; 4] = ["--actor", "Ann", "--reason", "an audit"];

#[tokio::test(flavor = "multi_thread")]
async fn people_act_by_commands_that_say_what_happened() {
    let bed = TestBed::new("typed").await;
    migrate(&bed);
    let typed = |words: &[&str]| {
        let ended = run_to_end(holdback(&bed, words, &[]));
        (ended.code, ended.said)
    };
    let by = |words: &[&str]| typed(&[words, &BY].concat());
    let succeeds = |(code, said): (Option<i32>, String)| {
        assert_eq!(code, Some(0), "{said}");
        said
    };
    let fails = |(code, said): (Option<i32>, String), with: i32| {
        assert_eq!(code, Some(with), "{said}");
        said
    };
    assert!(succeeds(typed(&["pauses"])).contains("nothing is paused"));
    let said = succeeds(by(&["pause", "--currency", "EUR"]));
    assert!(said.starts_with("releases in EUR are paused"), "{said}");
    let said = fails(by(&["pause", "--currency", "EUR"]), 1);
    assert!(
        said.contains("releases in EUR are paused already"),
        "{said}"
    );
    let said = succeeds(typed(&["pauses"]));
    assert!(said.contains("by Ann: an audit"), "{said}");
    succeeds(by(&["resume", "--currency", "EUR"]));
    fails(by(&["pause", "--currency", "EUR", "--merchant", "M-1"]), 2);
    fails(typed(&["pause"]), 2);
    let order = ["--merchant", "M-1", "--order", "O-1"];
    let said = succeeds(by(&[&["block", "--kind", "manual"], &order[..]].concat()));
    let (_, rest) = said.split_once("reference ").expect("a reference");
    let (reference, _) = rest.split_once(' ').expect("and more");
    let clear = [&["unblock", "--reference", reference], &order[..]].concat();
    succeeds(by(&clear));
    assert!(fails(by(&clear), 1).contains("is cleared already"));
    let hold = [
        "--merchant",
        "M-1",
        "--hold",
        "170b4c9a-f6a0-5535-820e-ebfbb48f06d7",
    ];
    // Nothing reads the input here: the gate keeps it shut for as long as is waited.
    let shut = [&["release"], &hold[..], &BY].concat();
    let ended = run_to_end(holdback(
        &bed,
        &shut,
        &[("HOLDBACK_RELEASE_MAX_STALENESS_SECONDS", "1")],
    ));
    assert_eq!(ended.code, Some(1), "{}", ended.said);
    assert!(
        ended.said.contains("the freshness gate is closed"),
        "{}",
        ended.said
    );
    let all = ["release", "--merchant", "M-1", "--before-start"];
    let said = succeeds(by(&all));
    assert!(said.contains("0 holds and credits were due"), "{said}");
    fails(by(&["release", "--merchant", "M-1"]), 2);
    let until = ["--until", "2026-12-24T00:00:00+08:00"];
    let said = fails(by(&[&["extend"], &hold[..], &until].concat()), 1);
    assert!(said.contains("merchant M-1 has no hold"), "{said}");
    assert!(succeeds(typed(&["proposals"])).contains("nothing waits"));
    assert!(succeeds(typed(&["review", "list"])).contains("no review is open"));
    let listed = succeeds(typed(&["review", "list", "--merchant", "M-1", "--json"]));
    assert!(listed.lines().any(|line| line == "[]"), "{listed}");
    let decide = ["review", "decide", "--merchant", "M-1", "--review", "V-1"];
    let passed = [&decide[..], &["--decision", "passed"]].concat();
    assert!(fails(by(&passed), 1).contains("merchant M-1 has no review V-1"));
    fails(typed(&passed), 2);
    fails(by(&decide), 2);
    let unknown = [
        "approve",
        "170b4c9a-f6a0-5535-820e-ebfbb48f06d7",
        "--actor",
        "Bob",
    ];
    assert!(fails(typed(&unknown), 1).contains("nothing waits for approval"));
}
