//! A purse's debts stand oldest first, in whatever order they are told.

#![expect(
    clippy::unwrap_used,
    reason = "what a test starts from is right by construction"
)]

use holdback::rules::ids::ReceivableId;
use holdback::rules::money::{Amount, Currency};
use holdback::rules::recovery::{Debt, Purse};
use holdback::rules::time::Instant;
use jiff::Timestamp;
use uuid::Uuid;

fn debt(id: u128, day: &str) -> Debt {
    let euro = Currency::from_code("EUR").unwrap();
    let at: Timestamp = format!("{day}T00:00:00Z").parse().unwrap();
    Debt {
        id: ReceivableId(Uuid::from_u128(id)),
        order: None,
        opened_at: Instant::new(at),
        left: Amount::parse("1", euro).unwrap(),
    }
}

#[test]
fn the_oldest_debt_comes_first_and_of_two_of_one_moment_the_smaller_id() {
    let told = [
        debt(5, "2026-11-03"),
        debt(4, "2026-11-01"),
        debt(3, "2026-11-02"),
        debt(1, "2026-11-02"),
        debt(2, "2026-11-04"),
    ];
    let mut purse = Purse::empty(Currency::from_code("EUR").unwrap());
    for debt in told {
        purse.owe(debt);
    }
    let order: Vec<u128> = purse.debts.iter().map(|it| it.id.0.as_u128()).collect();
    assert_eq!(order, [4, 1, 3, 5, 2]);
}
