//! A day of the books: what its sums are of, where it begins and ends, and that the accounts go on
//! from one day to the next.

#![expect(
    clippy::unwrap_used,
    reason = "what a test starts from is right by construction"
)]

use holdback::rules::balance::Balance;
use holdback::rules::control::{self, Accounts, ControlDaily, Day, Movement, Released, Sum};
use holdback::rules::entry::{Account, Event};
use holdback::rules::money::{Amount, Currency};
use holdback::rules::time::Instant;
use jiff::Timestamp;
use jiff::civil::{Date, date};

fn euro() -> Currency {
    Currency::from_code("EUR").unwrap()
}

fn eur(text: &str) -> Balance {
    Balance::of(Amount::parse(text, euro()).unwrap())
}

fn at(text: &str) -> Instant {
    Instant::new(text.parse::<Timestamp>().unwrap())
}

fn movement(
    name: &'static str,
    debit: Account,
    credit: Account,
    count: u64,
    sum: &str,
) -> Movement {
    Movement {
        type_name: name,
        debit,
        credit,
        count,
        amount: eur(sum),
    }
}

fn closed(day: Day, opening: Accounts) -> (ControlDaily, Accounts) {
    let (entry, closing) = day.close(opening).unwrap();
    let Event::ControlDaily(event) = entry.event else {
        panic!("a day closes with its own event");
    };
    (*event, closing)
}

fn sum(count: u64, amount: &str) -> Sum {
    Sum {
        count,
        amount: eur(amount),
    }
}

const DAY: Date = date(2026, 11, 23);

/// A day with something of everything that is summed.
fn busy() -> Day {
    use Account::{Held, Paid, Payable, Proceeds, Refunded};
    Day {
        events: 21,
        movements: vec![
            movement("holdback.hold.created.v1", Proceeds, Held, 3, "300"),
            movement("holdback.hold.consumed.v1", Held, Refunded, 2, "40"),
            movement("holdback.hold.consumed.v1", Held, Payable, 1, "5"),
            movement("holdback.hold.restored.v1", Refunded, Held, 1, "15"),
            movement("holdback.hold.reversed.v1", Held, Proceeds, 1, "60"),
            movement("holdback.release.issued.v1", Held, Payable, 2, "100"),
            movement("holdback.payout.settled.v1", Payable, Paid, 4, "90"),
            movement("holdback.payout.settled.v1", Paid, Payable, 1, "20"),
        ],
        ..Day::quiet(euro(), DAY)
    }
}

#[test]
fn each_sum_is_of_the_events_of_its_type() {
    let (day, _) = closed(busy(), Accounts::zero(euro()));
    assert_eq!((day.events, day.date), (21, DAY));
    assert_eq!(day.created, sum(3, "300"));
    assert_eq!(day.consumed, sum(3, "45"));
    assert_eq!(day.restored, sum(1, "15"));
    assert_eq!(day.reversed, sum(1, "60"));
    assert_eq!(day.paid, sum(4, "90"));
    assert_eq!(day.returned, sum(1, "20"));
}

#[test]
fn a_day_closes_where_the_next_one_opens_and_the_accounts_add_up_to_nothing() {
    let (_, evening) = closed(busy(), Accounts::zero(euro()));
    let names = Account::ALL.map(Account::name);
    let balances = evening.balances().map(|it| it.to_string());
    let balances: Vec<String> = names
        .iter()
        .zip(balances)
        .map(|(a, b)| format!("{a} {b}"))
        .collect();
    assert_eq!(
        balances.join(", "),
        "proceeds -240.00, held 110.00, payable 35.00, refunded 25.00, deposit 0.00, \
         receivable 0.00, paid 70.00, platform 0.00"
    );
    let nothing = evening
        .balances()
        .iter()
        .try_fold(eur("0"), |sum, it| sum.plus(*it));
    assert_eq!(nothing, Ok(eur("0")));
    let (next, unchanged) = closed(Day::quiet(euro(), date(2026, 11, 24)), evening);
    assert_eq!(
        (next.opening, next.closing, unchanged),
        (evening, evening, evening)
    );
}

#[test]
fn days_are_of_utc_and_begin_at_midnight() {
    let (day, _) = closed(busy(), Accounts::zero(euro()));
    assert_eq!(day.from, at("2026-11-23T00:00:00Z"));
    assert_eq!(day.until, at("2026-11-24T00:00:00Z"));
    assert_eq!(control::day_of(day.from), DAY);
    assert_eq!(control::day_of(at("2026-11-23T23:59:59.999999Z")), DAY);
    assert_eq!(control::day_of(day.until), date(2026, 11, 24));
    assert_eq!(control::begin(Date::MAX), None);
}

#[test]
fn releases_of_two_days_add_up_part_by_part() {
    let released = |count, sums: [&str; 4]| {
        let [gross, recovered, to_deposit, amount] = sums.map(eur);
        Released {
            count,
            gross,
            recovered,
            to_deposit,
            amount,
        }
    };
    let one = released(2, ["100", "10", "5", "85"]);
    let two = released(3, ["50", "1", "2", "47"]);
    assert_eq!(one.plus(&two), Ok(released(5, ["150", "11", "7", "132"])));
    assert_eq!(one.plus(&Released::none(euro())), Ok(one));
}
