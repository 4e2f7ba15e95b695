//! Days are summed up for whoever reconciles: once each, when they can't change any more, and with
//! the sums of the events that a reader of the topics has seen.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use holdback::control::Control;
use serde_json::{Value, json};
use tokio_util::sync::CancellationToken;

use crate::harness::Holdback;
use crate::harness::facts::{agreement, cancelled, failed, order, paid, refund};
use crate::harness::story::Event;

/// Sums in hundredths; the tests' yen have none, and are sums of hundredths too.
fn cents(text: &str) -> i64 {
    let (whole, decimals) = text.split_once('.').unwrap_or((text, "00"));
    format!("{whole}{decimals}").parse().expect("a sum")
}

/// What a reader of the topics adds up of a currency's day.
#[derive(Debug, Default, PartialEq, Eq)]
struct Tally {
    events: i64,
    /// By the field of `control.daily`: how many, and how much.
    sums: BTreeMap<&'static str, (i64, i64)>,
}

impl Tally {
    fn add(&mut self, event: &Event) {
        self.events += 1;
        let result = event.field("result");
        let (name, amount) = match (event.kind.as_str(), result.as_str()) {
            ("hold.created", _) => ("created", "original"),
            ("hold.consumed", _) => ("consumed", "amount"),
            ("hold.reversed", _) => ("reversed", "amount"),
            ("release.issued", _) => ("released", "amount"),
            ("payout.settled", "paid") => ("paid", "amount"),
            ("payout.settled", "returned") => ("returned", "amount"),
            _ => return,
        };
        let sum = self.sums.entry(name).or_default();
        sum.0 += 1;
        sum.1 += cents(&event.field(amount));
    }

    fn told(control: &Event) -> Self {
        let data = &control.data;
        let names = [
            "created", "consumed", "reversed", "released", "paid", "returned",
        ];
        let sums = names.map(|name| {
            let sum = &data[name];
            let count = sum["count"].as_i64().expect("a count");
            (name, (count, cents(sum["amount"].as_str().expect("a sum"))))
        });
        Self {
            events: data["events"].as_i64().expect("a count"),
            sums: sums.into_iter().filter(|(_, sum)| sum.0 > 0).collect(),
        }
    }
}

type Days<T> = BTreeMap<(String, String), T>;

/// The days' sums by currency and day; none twice.
fn controls(events: &[Event]) -> Days<&Event> {
    let mut days = Days::new();
    for event in events.iter().filter(|event| event.kind == "control.daily") {
        let key = (event.field("currency"), event.field("date"));
        assert_eq!(event.merchant, "*");
        assert!(days.insert(key, event).is_none(), "twice: {event:?}");
    }
    days
}

/// Opening and movements are closing, closing is the next day's opening, and all adds up to nothing.
fn the_accounts_lead_on(days: &Days<&Event>) {
    let mut standing: BTreeMap<&str, BTreeMap<String, i64>> = BTreeMap::new();
    for ((currency, day), control) in days {
        let balances = |name: &str| -> BTreeMap<String, i64> {
            let accounts = control.data[name].as_object().expect("accounts");
            let each = accounts.iter();
            each.map(|(account, sum)| (account.clone(), cents(sum.as_str().expect("a sum"))))
                .collect()
        };
        let mut sums = balances("opening");
        let before = standing.get(currency.as_str());
        match before {
            Some(before) => assert_eq!(&sums, before, "{currency} {day}"),
            None => assert!(sums.values().all(|sum| *sum == 0), "{currency} {day}"),
        }
        for movement in control.data["movements"].as_array().expect("movements") {
            let amount = cents(movement["amount"].as_str().expect("a sum"));
            let of = |side: &str| movement[side].as_str().expect("an account").to_owned();
            *sums.get_mut(&of("debit")).expect("known") -= amount;
            *sums.get_mut(&of("credit")).expect("known") += amount;
        }
        assert_eq!(sums, balances("closing"), "{currency} {day}");
        assert_eq!(sums.values().sum::<i64>(), 0, "{currency} {day}");
        standing.insert(currency, sums);
    }
}

/// Holds every day's sums against the events of that day.
fn are_right(events: &[Event]) {
    let days = controls(events);
    let mut tallies = Days::<Tally>::new();
    for event in events {
        let currency = event.field("currency");
        if event.kind != "control.daily" && currency != "-" {
            let day = event.field("occurred_at")[..10].to_owned();
            tallies.entry((currency, day)).or_default().add(event);
        }
    }
    for (key, control) in &days {
        let tally = tallies.remove(key).unwrap_or_default();
        assert_eq!(Tally::told(control), tally, "{key:?}");
    }
    the_accounts_lead_on(&days);
}

/// Orders in two currencies, a refund, a cancellation and payouts that fail and come back.
async fn a_fortnight(hb: &mut Holdback) {
    hb.send(agreement("*", "AG-1"));
    hb.applied().await;
    hb.send_all(["O-1", "O-2", "O-3"].map(|id| order("M-1", id, "100.10", "11-03")));
    hb.send(order("M-2", "O-1", "50", "11-03").with(json!({ "currency": "JPY" })));
    hb.pass_to("11-05 12:00").await;
    hb.send(refund("M-1", "O-1", "R-1", "30", "11-05"));
    hb.send(cancelled("M-1", "O-3", "11-05"));
    hb.send(order("M-2", "O-2", "70", "11-05"));
    hb.pass_to("11-10").await;
    let events = hb.events();
    let mut released = events.iter().filter(|event| event.kind == "release.issued");
    let release = released.next().expect("a release");
    let (merchant, id) = (&release.merchant, release.field("release_id"));
    hb.send(paid(merchant, "release_id", &id, "11-10"));
    hb.pass_to("11-11 12:00").await;
    hb.send(failed(merchant, "release_id", &id, "11-11"));
    hb.applied().await;
    // An outage over midnights, and over what falls due in it.
    hb.stop().await;
    hb.set("11-15 12:00");
    hb.run().await;
    hb.due_done().await;
    hb.summed_up().await;
}

/// Another process; answers how many days it summed up, or came too late to.
async fn keep_on(mut control: Control, stop: CancellationToken) -> usize {
    let mut days = 0;
    while !stop.is_cancelled() {
        days += usize::from(control.sum_up_once().await.expect("a step"));
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    days
}

#[tokio::test(flavor = "multi_thread")]
async fn each_day_is_summed_up_once_by_several_processes_and_after_an_outage() {
    let mut hb = Holdback::start("controls", "11-03 12:00").await;
    let stop = CancellationToken::new();
    let others = [0, 1].map(|_| tokio::spawn(keep_on(hb.control(), stop.clone())));
    a_fortnight(&mut hb).await;
    stop.cancel();
    let mut summed_up = 0;
    for other in others {
        summed_up += other.await.expect("no panic");
    }
    assert!(summed_up > 0, "only the service has summed up days");
    let events = hb.events();
    let told: BTreeSet<_> = controls(&events).into_keys().collect();
    let days = (3..15).flat_map(|day| {
        ["EUR", "JPY"].map(|currency| (currency.to_owned(), format!("2025-11-{day:02}")))
    });
    assert_eq!(told, days.collect());
    are_right(&events);
    let all = events.iter().filter(|event| event.kind == "control.daily");
    let paid: Vec<&Value> = all.map(|event| &event.data["returned"]["count"]).collect();
    assert!(paid.contains(&&json!(1)), "nothing came back: {paid:?}");
    hb.checked_end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_day_waits_for_whoever_is_still_booking_with_it() {
    let mut hb = Holdback::start("straggler", "2025-11-03T23:59:59Z").await;
    hb.send(agreement("*", "AG-1"));
    hb.applied().await;
    hb.send(order("M-1", "O-1", "100", "11-03"));
    hb.applied().await;
    let straggler = hb.store.begin().await.expect("a transaction");
    hb.set("2025-11-04T00:00:59Z");
    let mut control = hb.control();
    // Not yet: a clock may be set back by so much.
    assert!(!control.sum_up_once().await.expect("a step"));
    hb.set("2025-11-04T00:01:00Z");
    for _ in 0..3 {
        assert!(!control.sum_up_once().await.expect("a step"));
    }
    assert_eq!(hb.number("SELECT count(*) FROM controls").await, 0);
    straggler.rollback().await.expect("an end");
    hb.summed_up().await;
    assert_eq!(hb.number("SELECT count(*) FROM controls").await, 1);
    assert!(!control.sum_up_once().await.expect("a step"));
    are_right(&hb.events());
    hb.checked_end().await;
}
