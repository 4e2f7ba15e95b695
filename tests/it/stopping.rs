//! Being told to stop: it ends in time and without an error, whatever its group is about.

use std::time::{Duration, Instant};

use rdkafka::config::ClientConfig;
use rdkafka::consumer::{BaseConsumer, Consumer};
use tokio::task::block_in_place;

use crate::harness::{Holdback, INPUTS, eventually};

const PATIENCE: Duration = Duration::from_secs(30);

/// A member of the same group that has been given all partitions and is asked no more: it can't give
/// them back, so that whoever joins is let wait for it.
fn idle_member(hb: &Holdback) -> BaseConsumer {
    let member: BaseConsumer = ClientConfig::new()
        .set("bootstrap.servers", &hb.bed.brokers)
        .set("group.id", &hb.bed.name)
        .set("partition.assignment.strategy", "range")
        .create()
        .expect("a consumer");
    let topics = INPUTS.map(|topic| hb.bed.topic(topic));
    member.subscribe(&topics).expect("subscribed");
    let until = Instant::now() + PATIENCE;
    while member.assignment().expect("an assignment").count() < 2 * INPUTS.len() {
        assert!(Instant::now() < until, "it was not given the partitions");
        drop(member.poll(Duration::from_millis(100)));
    }
    member
}

#[tokio::test(flavor = "multi_thread")]
async fn a_member_that_is_let_wait_for_another_ends_in_time() {
    let settings = [("SHUTDOWN_DEADLINE_SECONDS", "3")];
    let mut hb = Holdback::stopped("letwait", "11-03 12:00", &settings).await;
    let idle = block_in_place(|| idle_member(&hb));
    hb.run().await;
    // From then on it waits for the answer to its joining, and would wait for that to its leaving.
    eventually("the group waits for the other member", async || {
        let asked = block_in_place(|| idle.fetch_group_list(Some(&hb.bed.name), PATIENCE));
        let groups = asked.map_err(|error| error.to_string())?;
        let mut groups = groups.groups().iter();
        let state = groups.next().map_or("none", |group| group.state());
        (state == "PreparingRebalance")
            .then_some(())
            .ok_or_else(|| state.to_owned())
    })
    .await;
    let asked = Instant::now();
    hb.stop().await;
    assert!(
        asked.elapsed() < Duration::from_secs(3),
        "{:?}",
        asked.elapsed()
    );
    block_in_place(|| drop(idle));
}
