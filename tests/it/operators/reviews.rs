//! A person decides a review: once, with a name and a reason, and above a sum only with another.

use holdback::operator::Request;
use holdback::rules::ids::ReviewId;
use holdback::rules::review::Decision;

use super::{merchant, unblock, why};
use crate::harness::Holdback;
use crate::harness::facts::{agreement, answered, order, requested};

const ABOVE: [(&str, &str); 1] = [("APPROVAL_ABOVE_EUR", "50.00")];

fn decide(of: &str, review: &str, decision: Decision) -> Request {
    Request::Decide {
        merchant: merchant(of),
        review: ReviewId::parse(review).expect("an id"),
        decision,
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_review_is_listed_and_decided_above_a_sum_by_two() {
    let mut hb = Holdback::start_with("decides", "11-03 12:00", &ABOVE).await;
    hb.send(agreement("*", "AG-1"));
    hb.applied().await;
    hb.send(order("M-1", "O-1", "50", "11-03"));
    hb.send(order("M-2", "O-1", "50.01", "11-03"));
    hb.applied().await;
    hb.send(requested("M-1", "O-1", "V-1", "11-03 12:00"));
    hb.send(requested("M-2", "O-1", "V-2", "11-03 12:00"));
    hb.applied().await;
    hb.send(answered("M-2", "V-2", "11-04"));
    hb.pass_to("11-05 12:00").await;
    let open = hb.store.open_reviews(None).await.expect("reviews");
    let lines: Vec<String> = open.iter().map(ToString::to_string).collect();
    assert_eq!(
        lines,
        [
            "V-1  of order O-1 of merchant M-1 over 50.00 EUR, asked for because of: looks odd; to be \
             answered by 2025-11-05T12:00:00Z; to be decided by 2025-11-08T12:00:00Z; LATE",
            "V-2  of order O-1 of merchant M-2 over 50.01 EUR, asked for because of: looks odd; answered \
             at 2025-11-04T00:00:00Z: it is not https://m.example/1; to be decided by \
             2025-11-06T12:00:00Z",
        ]
    );
    // Its block goes with its decision, and not behind its back.
    let around = hb.refused(&unblock("M-1", "O-1", "review/V-1")).await;
    assert_eq!(around, "this is review V-1's: decide that");
    let done = hb.done(&decide("M-1", "V-1", Decision::Rejected)).await;
    assert!(!done.proposed);
    let rejects = "review V-1 of order O-1 is rejected: its money stays until a refund takes it or it is passed";
    assert_eq!(done.says, rejects);
    let asked = hb.done(&decide("M-2", "V-2", Decision::Passed)).await;
    assert!(asked.proposed);
    let waiting = hb.store.proposals().await.expect("proposals");
    let text = waiting[0].to_string();
    assert!(
        text.contains("decide 50.01 EUR of order O-1 of merchant M-2"),
        "{text}"
    );
    let open = hb
        .store
        .open_reviews(Some(&merchant("M-2")))
        .await
        .expect("reviews");
    assert_eq!(open.len(), 1, "nothing has happened yet");
    let operator = hb.operator();
    let same = why(operator.approve(asked.operation, "Ann").await);
    assert!(same.contains("another must approve it"), "{same}");
    operator
        .approve(asked.operation, "Bob")
        .await
        .expect("approved");
    assert_eq!(hb.store.open_reviews(None).await.expect("reviews"), []);
    let again = hb.refused(&decide("M-2", "V-2", Decision::Passed)).await;
    assert!(again.contains("has ended"), "{again}");
    let story = hb.story("M-2").await;
    assert_eq!(
        story[3..],
        [
            "O-1 review passed by person",
            "O-1 unblocked 0.00 of 50.01 by review",
        ]
    );
    let by = hb
        .number(
            "SELECT count(*) FROM journal j JOIN operations o USING (operation_id)
             WHERE o.kind = 'decide' AND o.actor = 'Ann'",
        )
        .await;
    assert_eq!(by, 3, "the lines name the operation");
    hb.pass_to("11-10").await;
    let rest = hb.story("M-1").await;
    assert_eq!(
        rest.last().map(String::as_str),
        Some("O-1 review rejected by person")
    );
    hb.checked_end().await;
}
