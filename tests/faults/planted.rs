//! The checker, checked: each planted bug must turn it red, and for the reason that it was planted for.

use std::time::Duration;

use holdback::planted::Bug;
use tokio::runtime::Runtime;

use crate::harness::say;
use crate::history::{Script, play};
use crate::runs::{faults, folder};
use crate::servers::Servers;

/// A bug, the faults under which it shows, and the invariant that must complain (one of several).
const PLANTED: &[(Bug, &str, &str)] = &[
    (Bug::PublishTwice, "none", "once"),
    (Bug::LoseEvents, "none", "topic = journal"),
    (Bug::SwapEvents, "none", "order"),
    (Bug::MiscountSettlement, "none", "settlements"),
    (Bug::LoseTransfer, "none", "conservation"),
    (Bug::ReleaseEarly, "none", "early"),
    (Bug::IgnoreBlocks, "none", "blocked"),
    (Bug::DecideTwice, "none", "decided once"),
    (Bug::SkipInput, "none", "state"),
    (Bug::MangleLetters, "none", "dead letters"),
    (Bug::BuryBatch, "none", "dead letters"),
    (Bug::ForgetWaiting, "none", "state"),
    (Bug::IgnoreReturns, "none", "payouts"),
    (Bug::GiveUp, "broker", "drained"),
    (Bug::GiveUp, "cut", "drained"),
    (Bug::PositionFirst, "kill", "state"),
    (Bug::PositionFirst, "point", "state"),
    (Bug::PositionFirst, "postgres", "state"),
    (Bug::PositionFirst, "backends", "state"),
    (Bug::PositionFirst, "commit", "state"),
    (Bug::PositionFirst, "connections", "state"),
    (Bug::PositionFirst, "lock", "state"),
    (Bug::PositionFirst, "storm", "state"),
    (Bug::BelieveKafka, "hole", "drained|topic = journal"),
    (Bug::BelieveKafka, "slow", "drained|topic = journal"),
    (Bug::TrustOutput, "twin", "fail closed"),
    (Bug::TrustOutput, "restore", "fail closed"),
    (Bug::TrustInput, "recreated", "fail closed"),
    (Bug::TrustInput, "truncated", "fail closed"),
    (Bug::ForgetGate, "hang", "gate"),
    (Bug::ForgetGate, "lag", "blocked"),
    (Bug::SendAgain, "endtxn", "once"),
    (Bug::SendAgain, "produce", "once"),
    (Bug::SendAgain, "init", "once"),
    (Bug::IgnoreLease, "sleep", "once"),
    (Bug::HaltOvertaken, "pause", "drained"),
    (Bug::CloseAhead, "sigterm", "state"),
    (Bug::TrustClocks, "clock", "early"),
    (Bug::BuryWithoutRoom, "disk", "dead letters|state"),
];

/// How long facts flow: whoever sleeps past a lease sleeps long.
fn seconds(fault: &str) -> u64 {
    match fault {
        "none" => 4,
        "sleep" => 50,
        "pause" | "clock" => 40,
        "disk" => 25,
        "twin" => 20,
        _ => 10,
    }
}

/// Plays a history with each, or with those of these names.
pub fn all(only: Option<&str>) -> Result<(), String> {
    let runtime = Runtime::new().map_err(|error| error.to_string())?;
    let mut servers = None;
    let mut unseen = Vec::new();
    let wanted = |bug: Bug| only.is_none_or(|only| only.split(',').any(|name| name == bug.name()));
    let numbered = (1_u64..).zip(PLANTED);
    for (seed, (bug, names, invariant)) in numbered.filter(|(_, (bug, ..))| wanted(*bug)) {
        if *names == "disk" && !crate::disk::is_small() {
            say(
                "bury-without-room with disk: left out, it needs a small file system, see the README",
            );
            continue;
        }
        let mut running = match servers.take() {
            Some(servers) => servers,
            None => Servers::start()?,
        };
        let script = Script {
            seed,
            seconds: seconds(names),
            faults: faults(Some(names))?,
            bug: Some(bug.name().to_owned()),
            orders_per_second: 40,
            // A Kafka transaction that was left open ends after 30 s.
            drain: Duration::from_secs(if *bug == Bug::GiveUp { 15 } else { 50 }),
        };
        let outcome = play(&runtime, &mut running, &script, &folder(seed)?);
        let complaints = &outcome.complaints;
        let due: Vec<&str> = invariant.split('|').collect();
        let seen = complaints
            .iter()
            .find(|it| due.iter().any(|due| it.starts_with(due)));
        let name = bug.name();
        let counted = outcome.counters.those_of(names);
        match seen {
            Some(complaint) => say(&format!("{name} with {names}{counted}: found, {complaint}")),
            None => {
                say(&format!(
                    "{name} with {names}{counted}: NOT FOUND, only {complaints:#?}"
                ));
                unseen.push(name);
            }
        }
        // What two deployments have written into one topic stays there.
        servers = Some(running);
    }
    if unseen.is_empty() {
        return Ok(());
    }
    Err(format!("these bugs were not found: {unseen:?}"))
}
