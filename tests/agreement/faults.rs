//! Everything that is wrong with an agreement is told at once, by JSON pointer: by `agreement
//! check` and in the dead letter alike.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use holdback::message::incoming::{self, Limits};
use holdback::message::{Record, check};

fn file(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(path)
}

fn faults(path: &str) -> Vec<String> {
    check::agreement(&fs::read(file(path)).unwrap()).unwrap_err()
}

/// The pointer that a fault begins with.
fn pointer(fault: &str) -> &str {
    fault.split(':').next().unwrap()
}

const THROUGHOUT: &str = "tests/agreement/files/wrong-throughout.json";

#[test]
fn every_fault_of_an_agreement_is_listed_once_by_its_pointer() {
    let mut pointers: Vec<String> = faults(THROUGHOUT)
        .iter()
        .map(|it| pointer(it).to_owned())
        .collect();
    pointers.sort();
    let expected = [
        "/agreement_id",
        "/confirmation/auto_after_hours",
        "/confirmation/required",
        "/currency",
        "/effective_from",
        "/effective_until",
        "/refund/excess",
        "/refund/fees",
        "/refund/free",
        "/refund/source",
        "/settlement/cut_off",
        "/settlement/every",
        "/settlement/minimum",
        "/settlement/roll",
        "/settlement/weekdays",
        "/terms/0/basis",
        "/terms/0/days",
        "/terms/0/fixed",
        "/terms/0/minimum",
        "/terms/0/rate_bps",
        "/terms/1/day_kind",
        "/terms/1/name",
        "/terms/1/when/category",
        "/terms/2/limit_days",
        "/terms/2/name",
        "/terms/2/rate_bps",
        "/terms/3",
        "/time_zone",
        "/version",
    ];
    assert_eq!(pointers, expected);
}

#[test]
fn what_hangs_on_a_wrong_value_is_no_fault_of_its_own() {
    let expected = [
        "/settlement/cycle: must be one of daily weekly monthly",
        "/settlement/cut_off: must be a time from 00:00 to 23:59",
        "/terms/0/minimum: is above maximum",
    ];
    let mut found = faults("tests/agreement/files/cycle-unknown.json");
    found.sort_by_key(|it| expected.iter().position(|wanted| wanted == it));
    assert_eq!(found, expected);
}

/// Each published example of a wrong agreement has one fault, where its name says.
#[test]
fn each_kind_of_fault_is_found_alone_where_it_lies() {
    let places = [
        ("money--negative-fixed", "/terms/0/fixed"),
        ("schema--cut-off-at-24", "/settlement/cut_off"),
        ("schema--day-of-month-zero", "/settlement/days_of_month"),
        ("schema--no-terms", "/terms"),
        ("schema--rate-above-all", "/terms/0/rate_bps"),
        ("schema--term-without-days", "/terms/0/days"),
        ("schema--too-many-terms", "/terms"),
        ("schema--weekly-without-weekdays", "/settlement/weekdays"),
        ("value--business-days-without-calendar", "/terms/0/day_kind"),
        ("value--ends-before-it-begins", "/effective_until"),
        ("value--minimum-above-maximum", "/terms/0/minimum"),
        ("value--two-terms-of-one-name", "/terms/1/name"),
        ("value--unknown-zone", "/time_zone"),
        ("value--weekdays-of-a-daily-cycle", "/settlement/weekdays"),
    ];
    for (name, place) in places {
        let found = faults(&format!(
            "schemas/examples/invalid/agreement.published.v1--{name}.json"
        ));
        let pointers: Vec<&str> = found.iter().map(|it| pointer(it)).collect();
        assert_eq!(pointers, [place], "{name}: {found:?}");
    }
}

#[test]
fn the_dead_letter_of_a_refused_agreement_lists_the_same() {
    let record = Record {
        topic: "merchant".into(),
        partition: 0,
        offset: 0,
        timestamp: None,
        key: None,
        headers: vec![
            ("ce_specversion".to_owned(), Some(b"1.0".to_vec())),
            (
                "ce_type".to_owned(),
                Some(b"agreement.published.v1".to_vec()),
            ),
        ],
        value: Some(fs::read(file(THROUGHOUT)).unwrap()),
    };
    let rejection = incoming::parse(&record, None, &Limits::default()).unwrap_err();
    assert_eq!(rejection.detail, faults(THROUGHOUT).join("; "));
}

/// Exit code and standard output of `agreement check`.
fn checked(path: &str) -> (Option<i32>, String) {
    let output = Command::new(env!("CARGO_BIN_EXE_holdback"))
        .args(["agreement", "check", "--from", "2026-11-25"])
        .arg(file(path))
        .output()
        .unwrap();
    (
        output.status.code(),
        String::from_utf8(output.stdout).unwrap(),
    )
}

#[test]
fn the_command_lists_faults_and_fails_or_says_what_is_agreed() {
    let (code, said) = checked(THROUGHOUT);
    assert_eq!(code, Some(1));
    assert_eq!(said.lines().collect::<Vec<_>>(), faults(THROUGHOUT));

    let (code, said) = checked("tests/agreement/files/in-an-event.json");
    let expected = "\
AG-7 version 3 of M-1, any currency, from 2026-10-31T16:00:00Z: good
term sale: 100 % of amount, when category is phone or tablet; 7 days from completed, to the end of the last; after 180 days alert
term reserve: 12.50 % of amount less fees, at most 500.00; 90 days from delivered, to the end of the last; after 180 days alert
settled weekly on mon thu at 00:00 Asia/Shanghai
settlement dates: 2026-11-26 2026-11-30 2026-12-03 2026-12-07
";
    assert_eq!(said, expected);
    assert_eq!(code, Some(0));

    let (code, said) = checked("tests/agreement/files/missing.json");
    assert_eq!((code, said.as_str()), (Some(1), ""));
}
