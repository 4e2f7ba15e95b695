//! What must hold of a hold after every step, shown by holds of which it does not; and which test
//! keeps money that lies exactly on the edge of one.

#![expect(
    clippy::unwrap_used,
    reason = "what a test starts from is right by construction"
)]

mod samples;

use std::sync::Arc;

use holdback::rules::hold::{Dates, Hold, Tail};
use holdback::rules::ids::{HoldId, MerchantId, OrderId};
use holdback::rules::money::{Amount, Currency};
use holdback::rules::release::{self, Claim, Clock, Obstacle};

use samples::{agreement, at};

fn eur(text: &str) -> Amount {
    Amount::parse(text, Currency::from_code("EUR").unwrap()).unwrap()
}

fn dates(day: &str) -> Dates {
    let instant = at(&format!("{day}T00:00:00Z"));
    Dates {
        window_ends_at: instant,
        eligible_at: instant,
        release_at: instant,
        settlement_on: day.parse().unwrap(),
    }
}

/// 100: 40 is left, of which 10 goes later, 30 was consumed, 20 released, 10 reversed; 40 is blocked.
fn hold() -> Hold {
    Hold {
        id: HoldId(uuid::Uuid::nil()),
        term_no: 0,
        term: agreement().terms[0].name.clone(),
        original: eur("100"),
        left: eur("40"),
        consumed: eur("30"),
        released: eur("20"),
        reversed: eur("10"),
        blocked: eur("40"),
        barred: false,
        anchor_at: Some(at("2026-11-01T00:00:00Z")),
        cleared_at: None,
        dates: Some(dates("2026-11-10")),
        tails: vec![tail("10", Some("2026-11-17"))],
        limit_at: None,
        limit_alerted_at: None,
        calendar_version: None,
        releases: 1,
    }
}

fn tail(amount: &str, day: Option<&str>) -> Tail {
    Tail {
        amount: eur(amount),
        cleared_at: Some(at("2026-11-12T00:00:00Z")),
        dates: day.map(dates),
    }
}

#[test]
fn a_hold_whose_parts_add_up_is_sound() {
    assert!(hold().check());
    let pending = Hold {
        dates: None,
        tails: Vec::new(),
        ..hold()
    };
    assert!(pending.check());
}

#[test]
fn a_hold_that_lost_or_won_money_is_not() {
    for wrong in ["39.99", "40.01"] {
        let hold = Hold {
            left: eur(wrong),
            blocked: eur("0"),
            ..hold()
        };
        assert!(!hold.check(), "{wrong} left");
    }
}

#[test]
fn no_more_is_blocked_than_is_left() {
    let hold = Hold {
        blocked: eur("40.01"),
        ..hold()
    };
    assert!(!hold.check());
}

#[test]
fn a_part_has_a_date_when_its_hold_has_one() {
    let undated = Hold {
        tails: vec![tail("10", None)],
        ..hold()
    };
    assert!(!undated.check());
    let pending = Hold {
        dates: None,
        ..hold()
    };
    assert!(!pending.check());
}

#[test]
fn something_of_what_is_left_goes_on_the_holds_own_date() {
    let hold = Hold {
        tails: vec![tail("40", Some("2026-11-17"))],
        ..hold()
    };
    assert!(!hold.check());
}

fn claim(hold: Hold) -> Claim {
    Claim {
        merchant: MerchantId::parse("M-1").unwrap(),
        order: OrderId::parse("O-1").unwrap(),
        currency: Currency::from_code("EUR").unwrap(),
        agreement: Arc::new(agreement()),
        hold,
        traceparent: None,
    }
}

/// What keeps 40 that are due on November 10, by the days of the gate and of going live.
fn obstacles(gate: &str, not_before: &str) -> Vec<Obstacle> {
    let day = |day: &str| at(&format!("2026-11-{day}T00:00:00Z"));
    let claim = claim(Hold {
        blocked: eur("0"),
        tails: Vec::new(),
        ..hold()
    });
    let clock = Clock {
        now: day("20"),
        gate: Some(day(gate)),
        not_before: day(not_before),
    };
    release::judge(&claim, clock).obstacles
}

#[test]
fn input_that_is_fresh_to_the_release_date_and_a_start_on_it_keep_nothing() {
    assert_eq!(obstacles("10", "10"), [Obstacle::Finished]);
    assert_eq!(obstacles("09", "10"), [Obstacle::Gate]);
    assert_eq!(obstacles("10", "11"), [Obstacle::BeforeStart]);
    assert_eq!(
        obstacles("09", "11"),
        [Obstacle::Gate, Obstacle::BeforeStart]
    );
}

/// When 40 are looked at again, by the days of now, of their date, of going live, of their limit and
/// of its last alert.
fn looked_at(days: [&str; 3], limit: Option<&str>, alerted: Option<&str>) -> [String; 2] {
    let day = |day: &str| at(&format!("2026-11-{day}T00:00:00Z"));
    let [now, due, not_before] = days;
    let hold = Hold {
        blocked: eur("0"),
        tails: Vec::new(),
        dates: Some(dates(&format!("2026-11-{due}"))),
        limit_at: limit.map(day),
        limit_alerted_at: alerted.map(day),
        ..hold()
    };
    let clock = Clock {
        now: day(now),
        gate: None,
        not_before: day(not_before),
    };
    let first = release::wake_at(&hold);
    let again = release::judge(&claim(hold), clock).wake_at;
    [first, again]
        .map(|at| at.map_or_else(|| "never".to_owned(), |at| at.to_string()[8..10].to_owned()))
}

#[test]
fn a_hold_is_looked_at_again_when_it_falls_due_passes_its_limit_or_a_day_later() {
    // Now, due, start; limit, last alert: when first, when again.
    let table = [
        (["05", "10", "01"], None, None, ["10", "10"]),
        // Only the gate keeps it: at once.
        (["12", "10", "01"], None, None, ["10", "10"]),
        // Due before the start: a person decides, so tomorrow is soon enough.
        (["12", "10", "11"], None, None, ["10", "13"]),
        (["12", "10", "10"], None, None, ["10", "10"]),
        // Not due yet, whatever the start.
        (["05", "10", "11"], None, None, ["10", "10"]),
        (["10", "10", "11"], None, None, ["10", "11"]),
        (["05", "20", "01"], Some("15"), None, ["15", "15"]),
        (["15", "20", "01"], Some("15"), Some("15"), ["16", "16"]),
        (["16", "20", "01"], Some("15"), Some("15"), ["16", "17"]),
        (["05", "20", "01"], Some("15"), Some("04"), ["15", "15"]),
        (["17", "20", "01"], Some("15"), None, ["15", "18"]),
    ];
    for (days, limit, alerted, expected) in table {
        assert_eq!(
            looked_at(days, limit, alerted),
            expected,
            "{days:?} {limit:?} {alerted:?}"
        );
    }
}
