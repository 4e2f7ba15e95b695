//! The checkers of this folder, checked: each bug that is planted in the program must turn them red.
//! `cargo test --features planted-bugs --test it planted`.

use std::time::Duration;

use holdback::planted::Bug;

use super::books;
use super::traffic::Traffic;
use crate::harness::process::migrate;
use crate::harness::{Process, TestBed};

/// A quiet history, without a fault but the planted one, and its reckoning.
async fn history_with(bug: Option<Bug>) {
    let bed = TestBed::with_partitions("planted", 2).await;
    migrate(&bed);
    let mut traffic = Traffic::new(&bed, 7, 8);
    let name = bug.map_or("none", Bug::name);
    let more = [("PLANTED_BUG", name)];
    let mut process = Process::start(&bed, "ingest,release,publish,http", &more);
    traffic.orders(1_000);
    books::settled(&bed, Duration::from_secs(60)).await;
    assert_eq!(process.terminate().0, Some(0));
    books::are_right(&bed, &traffic).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_history_without_a_bug_is_right() {
    history_with(None).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[should_panic(expected = ": previous")]
async fn an_event_in_the_topic_twice_is_found() {
    history_with(Some(Bug::PublishTwice)).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[should_panic(expected = ": previous")]
async fn an_event_that_never_reached_the_topic_is_found() {
    history_with(Some(Bug::LoseEvents)).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[should_panic(expected = ": released ")]
async fn money_that_went_early_is_found() {
    history_with(Some(Bug::ReleaseEarly)).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[should_panic(expected = "settlement part ")]
async fn a_settlement_that_does_not_add_up_is_found() {
    history_with(Some(Bug::MiscountSettlement)).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[should_panic(expected = "held + payable - receivable")]
async fn a_journal_that_does_not_equal_the_holds_is_found() {
    history_with(Some(Bug::LoseTransfer)).await;
}
