//! What a line of a scenario says happened, as the rules take it.

use holdback::rules::fact::{
    Completed, ConfirmedBy, DisputeClosed, DisputeOpened, DisputeUpdated, OrderEvent,
    RefundReversed, Refunded, ReviewAnswered, ReviewDecided, ReviewRequest,
};
use holdback::rules::ids::{DisputeId, MerchantId, OrderId, RefundId, ReviewId};
use holdback::rules::money::{Amount, Currency};
use holdback::rules::time::Instant;

use super::setup::{ZONE, instant, read, word};

/// A review's id; `amount` is the one that the order's amount asks for.
pub fn review_id(text: &str, words: &[&str]) -> ReviewId {
    if text == "amount" {
        let order = OrderId::parse(words[1]).unwrap();
        return ReviewId::by_amount(&MerchantId::parse("M1").unwrap(), &order);
    }
    ReviewId::parse(text).unwrap()
}

/// A fact of this time.
pub fn fact(at: Instant, words: &[&str]) -> Result<OrderEvent, String> {
    let dispute = |id: &str| DisputeId::parse(id).unwrap();
    Ok(match words {
        ["completed", _, amount, currency, rest @ ..] => {
            let currency = Currency::from_code(currency).ok_or("unknown currency")?;
            let money =
                |text: &str| Amount::parse(text, currency).map_err(|error| error.to_string());
            let (fees, rest) = match rest {
                ["fees", fees, rest @ ..] => (money(fees)?, rest),
                rest => (Amount::zero(currency), rest),
            };
            let pairs = rest.iter().filter_map(|word| word.split_once('='));
            OrderEvent::Completed(Completed {
                amount: money(amount)?,
                fees,
                currency,
                at,
                attributes: pairs.map(|(k, v)| (k.to_owned(), v.to_owned())).collect(),
            })
        }
        ["confirmed", _] => OrderEvent::Confirmed {
            at,
            by: ConfirmedBy::Buyer,
        },
        ["delivered", _] => OrderEvent::Delivered { at },
        ["cancelled", _] => OrderEvent::Cancelled { at, reason: None },
        ["refunded", _, id, amount, currency, rest @ ..] => {
            let currency = Currency::from_code(currency).ok_or("unknown currency")?;
            OrderEvent::Refunded(Refunded {
                refund: RefundId::parse(id).unwrap(),
                amount: Amount::parse(amount, currency).map_err(|error| error.to_string())?,
                currency,
                at,
                reason: None,
                dispute: rest.get(1).map(|id| dispute(id)),
            })
        }
        ["reversed", _, id] => OrderEvent::RefundReversed(RefundReversed {
            refund: RefundId::parse(id).unwrap(),
            at,
        }),
        ["disputed", _, id, kind, rest @ ..] => OrderEvent::DisputeOpened(DisputeOpened {
            dispute: dispute(id),
            kind: word(kind)?,
            amount: rest.first().map(|it| read(it)).transpose()?,
            at,
        }),
        ["updated", _, id, version, rest @ ..] => OrderEvent::DisputeUpdated(DisputeUpdated {
            dispute: dispute(id),
            version: read(version.trim_start_matches('v'))?,
            kind: rest.iter().find_map(|it| word(it).ok()),
            amount: rest.iter().find_map(|it| read(it).ok()),
            at,
        }),
        ["closed", _, id, outcome, rest @ ..] => OrderEvent::DisputeClosed(DisputeClosed {
            dispute: dispute(id),
            outcome: word(outcome)?,
            at,
            refund_expected: rest.get(1).map(|it| read(it)).transpose()?,
        }),
        other => return reviewing(at, other),
    })
}

/// What is said of a review.
fn reviewing(at: Instant, words: &[&str]) -> Result<OrderEvent, String> {
    Ok(match words {
        ["reviewed", _, review, rest @ ..] => OrderEvent::ReviewRequested(ReviewRequest {
            review: review_id(review, words),
            reason: "looks odd".to_owned(),
            respond_by: match rest {
                ["by", when] => Some(instant(when, ZONE, "12:00")?),
                _ => None,
            },
            at,
        }),
        ["answered", _, review] => OrderEvent::ReviewAnswered(ReviewAnswered {
            review: review_id(review, words),
            answer: "it is not".to_owned(),
            evidence: Vec::new(),
            at,
        }),
        ["decided", _, review, decision] => OrderEvent::ReviewDecided(ReviewDecided {
            review: review_id(review, words),
            decision: word(decision)?,
            decided_by: "Ann".to_owned(),
            reason: None,
            at,
        }),
        other => return Err(format!("`{}` is nothing that happens", other.join(" "))),
    })
}
