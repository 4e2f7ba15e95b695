//! Agreements: which one is in force for an order, what contradicts itself in one, and what its
//! terms hold.

#![expect(
    clippy::unwrap_used,
    reason = "what a test starts from is right by construction"
)]

mod faults;
#[path = "../samples/mod.rs"]
mod samples;
mod terms;

use std::sync::Arc;

use holdback::rules::agreement::{Agreement, AtLimit, Cycle, DayKind, in_force};
use holdback::rules::ids::{AgreementId, CalendarId, MerchantId};
use holdback::rules::money::Currency;
use proptest::prelude::*;
use rust_decimal::Decimal;
use samples::{agreement, at, term};

/// `AG-7/2 M-1 EUR 2026-11-01`, with `..2026-12-01` for one that ends; `any` for every currency.
fn version(line: &str) -> Arc<Agreement> {
    let words: Vec<&str> = line.split_whitespace().collect();
    let [name, merchant, currency, period] = words[..] else {
        panic!("{line}")
    };
    let (id, number) = name.split_once('/').unwrap();
    let (from, until) = period.split_once("..").unwrap_or((period, ""));
    let midnight = |day: &str| at(&format!("{day}T00:00:00Z"));
    Arc::new(Agreement {
        agreement_id: AgreementId::parse(id).unwrap(),
        version: number.parse().unwrap(),
        merchant_id: MerchantId::parse(merchant).unwrap(),
        currency: Currency::from_code(currency),
        effective_from: midnight(from),
        effective_until: (!until.is_empty()).then(|| midnight(until)),
        ..agreement()
    })
}

/// Which version is in force for an order of M-1 in euros.
fn ruling(agreements: &[Arc<Agreement>], completed_at: &str) -> String {
    let merchant = MerchantId::parse("M-1").unwrap();
    let euro = Currency::from_code("EUR").unwrap();
    in_force(agreements, &merchant, euro, at(completed_at)).map_or_else(
        || "none".to_owned(),
        |found| format!("{}/{}", found.agreement_id, found.version),
    )
}

#[test]
fn the_agreement_in_force_is_the_nearest_then_the_latest_then_the_highest() {
    let noon = "2026-11-10T12:00:00Z";
    let table: &[(&[&str], &str, &str)] = &[
        (&[], noon, "none"),
        (
            &["A/1 M-2 any 2026-01-01", "B/1 M-1 USD 2026-01-01"],
            noon,
            "none",
        ),
        (&["A/1 * any 2026-01-01"], noon, "A/1"),
        // The merchant's own before the platform's, even an older one without a currency.
        (
            &["A/9 * EUR 2026-11-01", "B/1 M-1 any 2026-01-01"],
            noon,
            "B/1",
        ),
        (
            &["A/9 M-1 any 2026-11-01", "B/1 M-1 EUR 2026-01-01"],
            noon,
            "B/1",
        ),
        (
            &["A/9 * any 2026-11-01", "B/1 * EUR 2026-01-01"],
            noon,
            "B/1",
        ),
        (
            &["A/9 M-1 any 2026-01-01", "B/1 M-1 any 2026-11-01"],
            noon,
            "B/1",
        ),
        (
            &["A/2 M-1 any 2026-11-01", "B/3 M-1 any 2026-11-01"],
            noon,
            "B/3",
        ),
        (
            &["A/3 M-1 any 2026-11-01", "B/3 M-1 any 2026-11-01"],
            noon,
            "B/3",
        ),
        // A later version from later on leaves what was before to the earlier one.
        (
            &["A/1 M-1 any 2026-01-01", "A/2 M-1 any 2026-11-11"],
            noon,
            "A/1",
        ),
        (&["A/1 M-1 any 2026-11-11"], noon, "none"),
        (&["A/1 M-1 any 2026-11-10"], "2026-11-10T00:00:00Z", "A/1"),
        (
            &["A/1 M-1 any 2026-01-01..2026-11-10"],
            "2026-11-10T00:00:00Z",
            "A/1",
        ),
        (
            &["A/1 M-1 any 2026-01-01..2026-11-10"],
            "2026-11-10T00:00:00.000001Z",
            "none",
        ),
        // After the merchant's own has ended the platform's rules.
        (
            &["A/1 M-1 any 2026-01-01..2026-11-10", "P/1 * any 2020-01-01"],
            noon,
            "P/1",
        ),
    ];
    for (lines, completed_at, expected) in table {
        let agreements: Vec<_> = lines.iter().map(|line| version(line)).collect();
        assert_eq!(
            ruling(&agreements, completed_at),
            *expected,
            "{lines:?} at {completed_at}"
        );
    }
}

proptest! {
    #[test]
    fn the_order_in_which_agreements_came_changes_nothing(
        mut lines in prop::collection::vec(
            ("[AB]/[123]", "M-1|M-2|\\*", "EUR|USD|any", "2026-11-0[1-4]")
                .prop_map(|(name, merchant, currency, from)| {
                    format!("{name} {merchant} {currency} {from}")
                }),
            1..6,
        ),
        rotation in 0..6_usize,
    ) {
        let noon = "2026-11-03T12:00:00Z";
        let agreements: Vec<_> = lines.iter().map(|line| version(line)).collect();
        let rotation = rotation % lines.len();
        lines.rotate_left(rotation);
        let rotated: Vec<_> = lines.iter().map(|line| version(line)).collect();
        prop_assert_eq!(ruling(&agreements, noon), ruling(&rotated, noon));
    }
}

/// What is wrong with the default agreement after a change to it.
fn faults(change: impl FnOnce(&mut Agreement)) -> Vec<String> {
    let mut agreement = agreement();
    change(&mut agreement);
    agreement.check().iter().map(ToString::to_string).collect()
}

fn decimal(text: &str) -> Decimal {
    text.parse().unwrap()
}

#[test]
fn a_sound_agreement_has_no_faults() {
    assert_eq!(faults(|_| {}), [""; 0]);
    let rich = faults(|agreement| {
        agreement.calendar = Some(CalendarId::parse("CN").unwrap());
        agreement.currency = Currency::from_code("EUR");
        agreement.effective_until = Some(at("2030-01-01T00:00:00Z"));
        agreement.terms.push(term("reserve"));
        let reserve = &mut agreement.terms[1];
        (reserve.days, reserve.day_kind, reserve.limit_days) = (3660, DayKind::Business, 3660);
        (reserve.minimum, reserve.maximum) = (decimal("1.50"), Some(decimal("1.5")));
        agreement.settlement.cycle = Cycle::Monthly {
            days_of_month: vec![-1, 1, 31],
        };
    });
    assert_eq!(rich, [""; 0]);
}

#[test]
fn every_contradiction_is_listed_with_its_place() {
    let all = faults(|agreement| {
        agreement.time_zone = "Mars/Olympus".to_owned();
        agreement.effective_until = Some(agreement.effective_from);
        agreement.terms.push(term("sale"));
        agreement.terms[0].rate_bps = 10_001;
        agreement.terms[0].fixed = decimal("-0.01");
        agreement.terms[0].minimum = decimal("2");
        agreement.terms[0].maximum = Some(decimal("1"));
        agreement.terms[0]
            .when
            .insert("a/b~c".to_owned(), Vec::new());
        agreement.terms[1].days = 3661;
        agreement.terms[1].limit_days = 3661;
        agreement.terms[1].day_kind = DayKind::Business;
        agreement.confirmation.auto_after_hours = 3660 * 24 + 1;
        agreement.settlement.cycle = Cycle::Weekly {
            weekdays: vec![1, 8],
            every: 0,
        };
        agreement.settlement.minimum = decimal("-1");
        agreement.settlement.minimum_max_days = 3661;
    });
    let expected = [
        "/time_zone is no IANA time zone",
        "/effective_until is not after effective_from",
        "/terms/0/rate_bps is over 10000",
        "/terms/0/fixed is no amount: below zero",
        "/terms/0/minimum is above maximum",
        "/terms/0/when/a~1b~0c allows no value",
        "/terms/1/name is the name of an earlier term",
        "/terms/1/days is over 3660",
        "/terms/1/limit_days is over 3660",
        "/terms/1/day_kind needs a calendar",
        "/confirmation/auto_after_hours is over ten years",
        "/settlement/weekdays/1 is no day of the week",
        "/settlement/every is not within 1 to 52",
        "/settlement/minimum is no amount: below zero",
        "/settlement/minimum_max_days is over 3660",
    ];
    assert_eq!(all, expected);
}

#[test]
fn a_cycle_has_days_and_they_exist() {
    let of = |cycle| faults(|agreement| agreement.settlement.cycle = cycle);
    let weekly = |weekdays: &[u8], every| {
        of(Cycle::Weekly {
            weekdays: weekdays.to_vec(),
            every,
        })
    };
    let monthly = |days: &[i8]| {
        of(Cycle::Monthly {
            days_of_month: days.to_vec(),
        })
    };
    assert_eq!(weekly(&[], 1), ["/settlement/weekdays has no day"]);
    assert_eq!(
        weekly(&[0], 1),
        ["/settlement/weekdays/0 is no day of the week"]
    );
    assert_eq!(
        weekly(&[7], 53),
        ["/settlement/every is not within 1 to 52"]
    );
    assert_eq!(weekly(&[7], 52), [""; 0]);
    assert_eq!(monthly(&[]), ["/settlement/days_of_month has no day"]);
    for day in [0, 32, -2] {
        let expected = "/settlement/days_of_month/1 is neither within 1 to 31 nor -1";
        assert_eq!(monthly(&[1, day]), [expected]);
    }
}

#[test]
fn a_limit_that_releases_is_not_before_the_end_of_the_days() {
    let with = |days, limit_days, at_limit| {
        faults(|agreement| {
            let term = &mut agreement.terms[0];
            (term.days, term.limit_days, term.at_limit) = (days, limit_days, at_limit);
        })
    };
    let expected = "/terms/0/limit_days releases before the days of the term are over";
    assert_eq!(with(31, 30, AtLimit::Release), [expected]);
    assert_eq!(with(30, 30, AtLimit::Release), [""; 0]);
    // A reminder, not a release.
    assert_eq!(with(365, 180, AtLimit::Alert), [""; 0]);
}

#[test]
fn an_agreement_of_one_currency_writes_amounts_of_that_currency() {
    let fixed = |currency: &str, value: &str| {
        faults(|agreement| {
            agreement.currency = Currency::from_code(currency);
            agreement.terms[0].fixed = decimal(value);
        })
    };
    let too_fine = "/terms/0/fixed is no amount: more decimals than the currency's minor unit";
    assert_eq!(fixed("JPY", "0.5"), [too_fine]);
    assert_eq!(fixed("JPY", "5.0"), [""; 0]);
    assert_eq!(fixed("any", "0.5"), [""; 0]);
    let none = faults(|agreement| agreement.terms.clear());
    assert_eq!(none, ["/terms has no term"]);
}
