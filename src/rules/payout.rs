//! Payout results: what the payout system says of a release, and releases issued again after a payout
//! has failed.

use serde::Serialize;

use super::entry::{Account, Entry, Event, PayoutSettled, ReleaseIssued, Transfer};
use super::fact::PayoutResult;
use super::ids::{HoldId, MerchantId, OrderId, ReleaseId};
use super::money::{Amount, Currency};
use super::time::Instant;

/// A release as the payout side sees it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Payout {
    #[serde(rename = "merchant_id")]
    pub merchant: MerchantId,
    #[serde(rename = "release_id")]
    pub release: ReleaseId,
    #[serde(rename = "order_id")]
    pub order: Option<OrderId>,
    #[serde(rename = "hold_id")]
    pub hold: Option<HoldId>,
    pub currency: Currency,
    pub amount: Amount,
    /// The current attempt, from 1.
    pub attempt: u32,
    pub state: PayoutState,
    pub at: Option<Instant>,
}

/// Where the money is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
#[repr(u8)]
pub enum PayoutState {
    Issued = 1,
    Paid = 2,
    Failed = 3,
}

/// Applies a result to one release. Results of another attempt than the current, and results
/// that are not newer than a contrary one, change nothing.
pub fn apply(payout: &mut Payout, result: &PayoutResult) -> Vec<Entry> {
    if result.attempt != payout.attempt {
        return Vec::new();
    }
    let says = if result.paid {
        PayoutState::Paid
    } else {
        PayoutState::Failed
    };
    if payout.state == says {
        // A repetition by another message: it stands against contrary results up to its own time.
        payout.at = payout.at.max(Some(result.at));
        return Vec::new();
    }
    if payout.at.is_some_and(|at| result.at <= at) {
        return Vec::new();
    }
    let (outcome, movement) = match (payout.state, result.paid) {
        (_, true) => ("paid", Some((Account::Payable, Account::Paid))),
        (PayoutState::Paid, false) => ("returned", Some((Account::Paid, Account::Payable))),
        (PayoutState::Issued | PayoutState::Failed, false) => ("failed", None),
    };
    payout.state = says;
    payout.at = Some(result.at);
    vec![settled(payout, result, outcome, movement)]
}

/// Whether an attempt is said to be paid after another one was begun: the merchant may be paid twice.
#[must_use]
pub fn is_overtaken(payout: &Payout, result: &PayoutResult) -> bool {
    result.paid && result.attempt < payout.attempt
}

/// Why a release is not issued again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ReissueError {
    /// It is under way or paid: another attempt could pay it twice.
    #[error("its attempt {0} has not failed")]
    NotFailed(u32),
    #[error("it has had {0} attempts, all that payout.max_attempts allows")]
    UsedUp(u32),
}

/// Issues a failed release once more: what was decided `first`, under the next attempt. No money moves:
/// it has been payable since the first.
///
/// # Errors
/// [`ReissueError`] when the current attempt has not failed or was the last of `attempts_max`.
pub fn reissue(
    payout: &mut Payout,
    first: &ReleaseIssued,
    attempts_max: u32,
    now: Instant,
) -> Result<Entry, ReissueError> {
    if payout.state != PayoutState::Failed {
        return Err(ReissueError::NotFailed(payout.attempt));
    }
    if payout.attempt >= attempts_max {
        return Err(ReissueError::UsedUp(payout.attempt));
    }
    payout.attempt += 1;
    payout.state = PayoutState::Issued;
    payout.at = None;
    Ok(Entry {
        event: Event::ReleaseIssued(ReleaseIssued {
            attempt: payout.attempt,
            issued_at: now,
            ..first.clone()
        }),
        order: payout.order.clone(),
        hold: payout.hold,
        currency: Some(payout.currency),
        transfer: None,
        cause: payout.attempt.to_string(),
        traceparent: None,
    })
}

fn settled(
    payout: &Payout,
    result: &PayoutResult,
    outcome: &'static str,
    movement: Option<(Account, Account)>,
) -> Entry {
    let amount = payout.amount;
    let kind = if result.paid { "paid" } else { "failed" };
    Entry {
        event: Event::PayoutSettled(PayoutSettled {
            release_id: payout.release,
            attempt: result.attempt,
            result: outcome,
            amount,
            at: result.at,
        }),
        order: payout.order.clone(),
        hold: payout.hold,
        currency: Some(payout.currency),
        transfer: movement
            .filter(|_| !amount.is_zero())
            .map(|(debit, credit)| Transfer {
                debit,
                credit,
                amount,
            }),
        // The time tells a second paid, after the money had come back, from the first.
        cause: format!("attempt:{}:{kind}:{}", result.attempt, result.at),
        traceparent: result.traceparent.clone(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rules::entry::ReleaseReason;
    use crate::rules::fact::{ContentHash, PayoutSubject};
    use uuid::Uuid;

    fn issued(amount: &str, attempt: u32) -> Payout {
        let currency = Currency::from_code("EUR").unwrap();
        Payout {
            merchant: MerchantId::parse("M-1").unwrap(),
            release: ReleaseId(Uuid::nil()),
            order: Some(OrderId::parse("O-1").unwrap()),
            hold: Some(HoldId(Uuid::nil())),
            currency,
            amount: Amount::parse(amount, currency).unwrap(),
            attempt,
            state: PayoutState::Issued,
            at: None,
        }
    }

    /// `paid 10:00`, or `failed 10:00 #2` for another attempt than the first.
    fn result(line: &str) -> PayoutResult {
        let (what, attempt) = line.split_once(" #").unwrap_or((line, "1"));
        let (kind, clock) = what.split_once(' ').unwrap();
        let at = format!("2026-11-02T{clock}:00Z")
            .parse::<jiff::Timestamp>()
            .unwrap();
        PayoutResult {
            merchant: MerchantId::parse("M-1").unwrap(),
            subject: PayoutSubject::Release(ReleaseId(Uuid::nil())),
            attempt: attempt.parse().unwrap(),
            paid: kind == "paid",
            at: Instant::new(at),
            reason: None,
            content: ContentHash([0; 16]),
            traceparent: Some("00-1-2-01".to_owned()),
        }
    }

    /// What is told after each result: `-` for nothing, with the transfer if money moves.
    fn told(payout: &mut Payout, lines: &[&str]) -> Vec<String> {
        let mut told = Vec::new();
        for line in lines {
            let entries = apply(payout, &result(line));
            assert!(entries.len() <= 1);
            told.push(entries.first().map_or_else(
                || "-".to_owned(),
                |entry| {
                    let Event::PayoutSettled(event) = &entry.event else {
                        panic!("{entry:?}")
                    };
                    let movement = entry.transfer.map_or_else(String::new, |transfer| {
                        format!(
                            " {:?}→{:?} {}",
                            transfer.debit, transfer.credit, transfer.amount
                        )
                    });
                    format!("{}{movement}", event.result)
                },
            ));
        }
        told
    }

    #[test]
    fn the_newest_result_of_the_current_attempt_counts() {
        use PayoutState::{Failed, Issued, Paid};
        let [paid, back] = ["paid Payable→Paid 9.00", "returned Paid→Payable 9.00"];
        let table: &[(&[&str], &[&str], PayoutState)] = &[
            (&["paid 10:00"], &[paid], Paid),
            (&["failed 10:00"], &["failed"], Failed),
            (&["paid 10:00", "paid 11:00"], &[paid, "-"], Paid),
            (&["failed 10:00", "failed 11:00"], &["failed", "-"], Failed),
            // The money came back; and was paid after all.
            (&["paid 10:00", "failed 11:00"], &[paid, back], Failed),
            (
                &["paid 10:00", "failed 11:00", "paid 12:00"],
                &[paid, back, paid],
                Paid,
            ),
            (&["failed 10:00", "paid 11:00"], &["failed", paid], Paid),
            // Older than what counts, or as old.
            (&["paid 10:00", "failed 09:00"], &[paid, "-"], Paid),
            (&["paid 10:00", "failed 10:00"], &[paid, "-"], Paid),
            (&["failed 10:00", "paid 09:00"], &["failed", "-"], Failed),
            (
                &["paid 10:00", "paid 12:00", "failed 11:00"],
                &[paid, "-", "-"],
                Paid,
            ),
            // Another attempt.
            (&["paid 10:00 #2", "failed 10:00 #3"], &["-", "-"], Issued),
        ];
        for (lines, expected, state) in table {
            let mut payout = issued("9.00", 1);
            assert_eq!(told(&mut payout, lines), *expected, "{lines:?}");
            assert_eq!(payout.state, *state, "{lines:?}");
        }
        let mut again = issued("9.00", 2);
        assert_eq!(
            told(&mut again, &["paid 10:00", "paid 10:00 #2"]),
            ["-", paid]
        );
    }

    #[test]
    fn the_order_in_which_results_arrive_does_not_change_where_the_money_is() {
        let lines = ["paid 10:00", "failed 11:00", "paid 12:00"];
        for order in [
            [0, 1, 2],
            [0, 2, 1],
            [1, 0, 2],
            [1, 2, 0],
            [2, 0, 1],
            [2, 1, 0],
        ] {
            let mut payout = issued("9.00", 1);
            told(&mut payout, &order.map(|position| lines[position]));
            assert_eq!(payout.state, PayoutState::Paid, "{order:?}");
        }
    }

    #[test]
    fn an_entry_names_its_release_and_has_a_cause_of_its_own() {
        let mut payout = issued("9.00", 1);
        let mut causes = Vec::new();
        for line in ["paid 10:00", "failed 11:00", "paid 12:00"] {
            let entry = apply(&mut payout, &result(line)).remove(0);
            assert_eq!((&entry.order, entry.hold), (&payout.order, payout.hold));
            assert_eq!(entry.currency, Some(payout.currency));
            assert_eq!(entry.traceparent.as_deref(), Some("00-1-2-01"));
            causes.push(entry.cause);
        }
        assert_eq!(
            causes,
            [
                "attempt:1:paid:2026-11-02T10:00:00Z",
                "attempt:1:failed:2026-11-02T11:00:00Z",
                "attempt:1:paid:2026-11-02T12:00:00Z",
            ]
        );
    }

    /// What was decided first: 10.00, of which a debt took 1.00.
    fn first() -> ReleaseIssued {
        let amount = |text| Amount::parse(text, Currency::from_code("EUR").unwrap()).unwrap();
        ReleaseIssued {
            release_id: ReleaseId(Uuid::nil()),
            attempt: 1,
            gross: amount("10.00"),
            recovered: amount("1.00"),
            to_deposit: amount("0.00"),
            amount: amount("9.00"),
            settlement_id: None,
            settlement_part: None,
            settlement_date: None,
            reason: ReleaseReason::Due,
            issued_at: Instant::new(jiff::Timestamp::UNIX_EPOCH),
        }
    }

    #[test]
    fn a_failed_release_is_issued_again_with_what_was_decided_first_and_moves_no_money() {
        let now = Instant::new("2026-11-02T12:00:00Z".parse().unwrap());
        let mut payout = issued("9.00", 1);
        let refused = |payout: &mut Payout| reissue(payout, &first(), 3, now).unwrap_err();
        assert_eq!(refused(&mut payout), ReissueError::NotFailed(1));
        told(&mut payout, &["failed 10:00"]);
        let entry = reissue(&mut payout, &first(), 3, now).unwrap();
        let again = ReleaseIssued {
            attempt: 2,
            issued_at: now,
            ..first()
        };
        assert_eq!(entry.event, Event::ReleaseIssued(again));
        assert_eq!((entry.transfer, entry.cause.as_str()), (None, "2"));
        assert_eq!((&entry.order, entry.hold), (&payout.order, payout.hold));
        // Under way again; what the first attempt still says changes nothing.
        assert_eq!(refused(&mut payout), ReissueError::NotFailed(2));
        assert_eq!(
            told(&mut payout, &["failed 11:00", "paid 11:30"]),
            ["-", "-"]
        );
        assert!(is_overtaken(&payout, &result("paid 11:30")));
        assert!(!is_overtaken(&payout, &result("failed 11:00")));
        assert!(!is_overtaken(&payout, &result("paid 11:30 #2")));
        // An answer to the second may be older than the first one's.
        assert_eq!(told(&mut payout, &["failed 09:00 #2"]), ["failed"]);
        reissue(&mut payout, &first(), 3, now).unwrap();
        assert_eq!(
            told(&mut payout, &["paid 13:00 #3"]),
            ["paid Payable→Paid 9.00"]
        );
        assert_eq!(refused(&mut payout), ReissueError::NotFailed(3));
    }

    #[test]
    fn money_that_came_back_is_issued_again_until_the_attempts_are_used_up() {
        let now = Instant::new("2026-11-02T12:00:00Z".parse().unwrap());
        let mut payout = issued("9.00", 1);
        told(&mut payout, &["paid 10:00", "failed 11:00"]);
        reissue(&mut payout, &first(), 2, now).unwrap();
        told(&mut payout, &["failed 13:00 #2"]);
        let refused = reissue(&mut payout, &first(), 2, now).unwrap_err();
        assert_eq!(refused, ReissueError::UsedUp(2));
        assert_eq!((payout.state, payout.attempt), (PayoutState::Failed, 2));
    }

    #[test]
    fn a_release_of_nothing_moves_nothing() {
        assert_eq!(
            told(&mut issued("0.00", 1), &["paid 10:00", "failed 11:00"]),
            ["paid", "returned"]
        );
    }
}
