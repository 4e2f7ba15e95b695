//! Books without a database: names of accounts, statements that add up, forecasts that leave
//! nothing out.

#![expect(clippy::unwrap_used, reason = "a test that unwraps nothing has failed")]

mod samples;

use std::sync::Arc;

use holdback::books::component;
use holdback::rules::agreement::{Agreement, AtLimit};
use holdback::rules::balance::Balances;
use holdback::rules::entry::{Account, Transfer};
use holdback::rules::forecast::{CurrencyForecast, Forecaster};
use holdback::rules::hold::{Dates, Hold, Tail};
use holdback::rules::ids::{HoldId, MerchantId, OrderId};
use holdback::rules::money::{Amount, Currency};
use holdback::rules::release::Claim;
use holdback::rules::statement::{Collector, Movement, Statement, StatementError};
use holdback::rules::time::Instant;
use proptest::prelude::*;

use samples::{agreement, at};

fn euro() -> Currency {
    Currency::from_code("EUR").unwrap()
}

fn sum(text: &str) -> Amount {
    Amount::parse(text, euro()).unwrap()
}

fn merchant() -> MerchantId {
    MerchantId::parse("M-1").unwrap()
}

/// The id that a component was made of.
fn decoded(name: &str) -> String {
    let mut rest = name.strip_prefix("X-x").unwrap_or(name).chars();
    let mut bytes = Vec::new();
    while let Some(char) = rest.next() {
        if char != '-' {
            bytes.push(u8::try_from(char).unwrap());
            continue;
        }
        match (rest.next().unwrap(), rest.clone().next()) {
            ('-', _) => bytes.push(b'-'),
            (high, Some(low)) => {
                rest.next();
                bytes.push(u8::from_str_radix(&format!("{high}{low}"), 16).unwrap());
            }
            (_, None) => panic!("{name} ends inside an escape"),
        }
    }
    String::from_utf8(bytes).unwrap()
}

#[test]
fn a_plain_id_is_still_read_in_its_account() {
    for (id, name) in [
        ("M-1", "M--1"),
        ("shop_1", "X-xshop-5F1"),
        ("商户", "X-x-E5-95-86-E6-88-B7"),
        ("X-x", "X--x"),
    ] {
        assert_eq!(
            (component(id), decoded(name)),
            (name.to_owned(), id.to_owned())
        );
    }
}

const ACCOUNTS: [Account; 8] = Account::ALL;

/// A transfer at a moment, in minor units.
#[derive(Debug, Clone)]
struct Move {
    order: Option<u8>,
    second: i64,
    debit: usize,
    credit: usize,
    units: u32,
}

fn moves() -> impl Strategy<Value = Vec<Move>> {
    let one = (
        proptest::option::weighted(0.9, 0_u8..4),
        0_i64..100,
        0..ACCOUNTS.len(),
        1..ACCOUNTS.len(),
        1_u32..100_000,
    );
    let one = one.prop_map(|(order, second, debit, step, units)| Move {
        order,
        second,
        debit,
        credit: (debit + step) % ACCOUNTS.len(),
        units,
    });
    proptest::collection::vec(one, 0..40)
}

fn second(second: i64) -> Instant {
    Instant::new(jiff::Timestamp::from_second(1_700_000_000 + second).unwrap())
}

fn state(moves: &[Move], from: i64, to: i64) -> Statement {
    let mut collector = Collector::new(merchant(), euro(), second(from), second(to));
    for (sequence, it) in (1..).zip(moves) {
        let order = it.order.map(|n| OrderId::parse(&format!("O-{n}")).unwrap());
        let amount = rust_decimal::Decimal::new(i64::from(it.units), 2);
        let transfer = Transfer {
            debit: ACCOUNTS[it.debit],
            credit: ACCOUNTS[it.credit],
            amount: Amount::new(amount, euro()).unwrap(),
        };
        let movement = Movement {
            sequence,
            occurred_at: second(it.second),
            event: "holdback.hold.created.v1",
            order,
            transfer,
        };
        collector.add(movement).unwrap();
    }
    collector.finish().unwrap()
}

/// What moved in a statement, all orders together.
fn moved(statement: &Statement) -> Balances {
    let parts = statement.orders.iter();
    let mut lines = parts.flat_map(|part| &part.lines);
    let nothing = Balances::zero(euro());
    lines
        .try_fold(nothing, |sum, line| sum.plus(&line.change))
        .unwrap()
}

fn lines(statement: &Statement) -> usize {
    statement.orders.iter().map(|part| part.lines.len()).sum()
}

proptest! {
    #[test]
    fn any_id_makes_a_valid_component_that_leads_back_to_it(id in "\\PC{1,40}") {
        let name = component(&id);
        prop_assert!(name.starts_with(|c: char| c.is_ascii_uppercase() || c.is_ascii_digit()));
        prop_assert!(name.chars().all(|c| c.is_ascii_alphanumeric() || c == '-'), "{name}");
        prop_assert_eq!(decoded(&name), id);
    }

    #[test]
    fn any_cut_into_periods_adds_up(moves in moves(), cuts in proptest::collection::vec(0_i64..101, 0..4)) {
        let mut cuts = cuts;
        cuts.extend([0, 101]);
        cuts.sort_unstable();
        let whole = state(&moves, 0, 101);
        prop_assert!(whole.opening.is_zero());
        let mut before = whole.opening;
        let (mut count, mut sum) = (0, Balances::zero(euro()));
        for period in cuts.windows(2) {
            let part = state(&moves, period[0], period[1]);
            prop_assert_eq!(part.opening, before);
            prop_assert_eq!(part.opening.plus(&moved(&part)).unwrap(), part.closing);
            before = part.closing;
            count += lines(&part);
            sum = sum.plus(&moved(&part)).unwrap();
        }
        prop_assert_eq!(before, whole.closing);
        prop_assert_eq!(sum, whole.closing);
        prop_assert_eq!(count, lines(&whole));
    }
}

#[test]
fn a_statement_whose_sums_are_wrong_is_refused() {
    let one = Move {
        order: Some(1),
        second: 5,
        debit: 0,
        credit: 1,
        units: 100,
    };
    let right = state(&[one], 0, 10);
    assert_eq!(right.closing.held.to_string(), "1.00");
    let mut lines = right.clone();
    lines.orders[0].lines.clear();
    assert_eq!(lines.check(), Err(StatementError::DoesNotAddUp("lines")));
    let mut closing = right.clone();
    closing.closing = closing.opening;
    assert_eq!(
        closing.check(),
        Err(StatementError::DoesNotAddUp("closing"))
    );
    let mut opening = right;
    opening.opening = opening.closing;
    assert_eq!(
        opening.check(),
        Err(StatementError::DoesNotAddUp("opening"))
    );
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

/// A hold of 100 that is due on a day; the anchor is known when it has dates.
fn hold(day: Option<&str>) -> Hold {
    let nothing = sum("0");
    Hold {
        id: HoldId(uuid::Uuid::nil()),
        term_no: 0,
        term: agreement().terms[0].name.clone(),
        original: sum("100"),
        left: sum("100"),
        consumed: nothing,
        released: nothing,
        reversed: nothing,
        blocked: nothing,
        barred: false,
        anchor_at: day.map(|_| at("2026-11-01T00:00:00Z")),
        cleared_at: None,
        dates: day.map(dates),
        tails: Vec::new(),
        limit_at: None,
        limit_alerted_at: None,
        calendar_version: None,
        releases: 0,
    }
}

fn foretold(agreement: Agreement, holds: Vec<Hold>) -> CurrencyForecast {
    let (now, start) = (at("2026-11-10T12:00:00Z"), at("2026-11-05T00:00:00Z"));
    let mut forecaster = Forecaster::new(merchant(), now, start, 5);
    let agreement = Arc::new(agreement);
    for hold in holds {
        let claim = Claim {
            merchant: merchant(),
            order: OrderId::parse("O-1").unwrap(),
            currency: euro(),
            agreement: Arc::clone(&agreement),
            hold,
            traceparent: None,
        };
        forecaster.add(&claim).unwrap();
    }
    forecaster.finish().currencies.remove(0)
}

/// `2026-11-12 2 holds 160.00` for each day.
fn days(forecast: &CurrencyForecast) -> Vec<String> {
    let days = forecast.days.iter();
    days.map(|it| format!("{} {} {}", it.settlement_date, it.holds, it.amount))
        .collect()
}

fn adds_up(it: &CurrencyForecast) {
    let rest = [
        it.later,
        it.blocked,
        it.pending,
        it.undated,
        it.before_start,
    ];
    let days = it.days.iter().map(|day| day.amount);
    let all = Amount::sum(euro(), days.chain(rest)).unwrap();
    assert_eq!(all, it.held, "{it:?}");
}

#[test]
fn a_forecast_says_of_every_sum_when_it_goes_or_why_it_has_no_date() {
    let with = |day, change: &dyn Fn(&mut Hold)| {
        let mut hold = hold(day);
        change(&mut hold);
        hold
    };
    let undated = with(Some("2026-11-12"), &|it| it.dates = None);
    let partly = with(Some("2026-11-12"), &|it| it.blocked = sum("40"));
    let barred = with(Some("2026-11-12"), &|it| it.barred = true);
    let tailed = with(Some("2026-11-12"), &|it| {
        it.tails.push(Tail {
            amount: sum("25"),
            cleared_at: None,
            dates: Some(dates("2026-11-14")),
        });
    });
    let forecast = foretold(
        agreement(),
        vec![
            hold(Some("2026-11-09")),
            hold(Some("2026-11-12")),
            partly,
            tailed,
            hold(Some("2026-11-15")),
            hold(Some("2026-11-16")),
            hold(None),
            undated,
            barred,
            hold(Some("2026-11-04")),
        ],
    );
    assert_eq!(
        days(&forecast),
        [
            "2026-11-09 1 100.00",
            "2026-11-12 3 235.00",
            "2026-11-14 1 25.00",
            "2026-11-15 1 100.00"
        ]
    );
    let rest = [
        ("later", forecast.later, "100.00"),
        ("blocked", forecast.blocked, "140.00"),
        ("pending", forecast.pending, "100.00"),
        ("undated", forecast.undated, "100.00"),
        ("before the start", forecast.before_start, "100.00"),
        ("held", forecast.held, "1000.00"),
    ];
    for (what, amount, expected) in rest {
        assert_eq!(amount.to_string(), expected, "{what}");
    }
    adds_up(&forecast);
}

#[test]
fn where_the_limit_releases_it_dates_what_is_blocked_or_pending_but_never_a_review() {
    let mut releasing = agreement();
    releasing.terms[0].at_limit = AtLimit::Release;
    let limited = |day, blocked: &str, barred| Hold {
        // 2026-11-13 in Shanghai.
        limit_at: Some(at("2026-11-12T16:00:00Z")),
        blocked: sum(blocked),
        barred,
        ..hold(day)
    };
    let forecast = foretold(
        releasing,
        vec![
            limited(Some("2026-11-12"), "30", false),
            limited(Some("2026-11-15"), "0", false),
            limited(None, "0", false),
            limited(Some("2026-11-12"), "0", true),
        ],
    );
    assert_eq!(
        days(&forecast),
        ["2026-11-12 1 70.00", "2026-11-13 3 230.00"]
    );
    assert_eq!(forecast.blocked.to_string(), "100.00");
    adds_up(&forecast);
}
