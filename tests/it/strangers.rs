//! Facts that name an order under the wrong merchant, whichever of the two comes first.

use crate::harness::Holdback;
use crate::harness::facts::{agreement, opened, order, refund};

#[tokio::test(flavor = "multi_thread")]
async fn a_kept_fact_whose_order_is_anothers_puts_that_order_under_review() {
    let mut hb = Holdback::start("strangers", "11-03 12:00").await;
    hb.send(agreement("*", "AG-1"));
    // The fact first, or the order first.
    hb.send(refund("M-wrong", "O-1", "R-1", "30", "11-03"));
    hb.send(order("M-2", "O-2", "100", "11-03"));
    hb.applied().await;
    hb.send(order("M-1", "O-1", "100", "11-03"));
    hb.stop().await;
    // Two in one batch.
    hb.send(opened("M-wrong", "O-2", "D-1", "chargeback", "11-03"));
    hb.send(refund("M-worse", "O-2", "R-1", "30", "11-03"));
    hb.set("11-03 13:00");
    hb.run().await;
    hb.pass_to("11-10").await;
    hb.tells(
        "M-1",
        "
        O-1 sale holds 100.00 until 11-10
        O-1 blocked 100.00 of 100.00 by review of M-wrong
    ",
    )
    .await;
    hb.tells(
        "M-2",
        "
        O-2 sale holds 100.00 until 11-10
        O-2 blocked 100.00 of 100.00 by review of M-worse
    ",
    )
    .await;
    assert_eq!(
        hb.number("SELECT count(*) FROM blocks WHERE order_id = 'O-2'")
            .await,
        2
    );
    hb.tells("M-wrong", "").await;
    hb.checked_end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn merchants_who_number_their_orders_alike_get_their_money() {
    let mut hb = Holdback::start("alike", "11-03 12:00").await;
    hb.send(agreement("*", "AG-1"));
    hb.applied().await;
    hb.send(order("M-1", "O-1", "100", "11-03"));
    hb.applied().await;
    hb.send(refund("M-2", "O-1", "R-1", "30", "11-03"));
    hb.applied().await;
    // The fact had a right to its order, only earlier than that.
    hb.set("11-03 13:00");
    hb.send(order("M-2", "O-1", "100", "11-03"));
    hb.pass_to("11-10").await;
    hb.tells(
        "M-1",
        "
        O-1 sale holds 100.00 until 11-10
        O-1 blocked 100.00 of 100.00 by review of M-2
        O-1 unblocked 0.00 of 100.00 by review of M-2
        O-1 releases 100.00 due 11-10/1
        closed 11-10/1: 1 with 100.00
    ",
    )
    .await;
    hb.tells(
        "M-2",
        "
        O-1 sale holds 100.00 until 11-10
        O-1 gives 30.00 to R-1, left 70.00
        O-1 R-1 takes hold 30.00
        O-1 releases 70.00 due 11-10/1
        closed 11-10/1: 1 with 70.00
    ",
    )
    .await;
    hb.checked_end().await;
}
