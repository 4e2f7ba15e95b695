//! The state diagrams of `schemas/README.md` against the rules: from every order that a few dozen
//! happenings lead to, in any order of arrival, every happening is tried, and each change of a state
//! is noted with what tells it. What is noted and what is drawn must be the same.

use std::collections::{BTreeMap, BTreeSet, HashSet};

use holdback::message::outgoing::EventType;
use holdback::rules::entry::{Entry, Event, ReleaseIssued, ReleaseReason};
use holdback::rules::explain::{Circumstances, explain};
use holdback::rules::fact::{ContentHash, PayoutResult, PayoutSubject};
use holdback::rules::ids::{MerchantId, ReleaseId};
use holdback::rules::money::{Amount, Currency};
use holdback::rules::order::Order;
use holdback::rules::payout::{self, Payout, PayoutState};
use holdback::rules::release::Clock;
use holdback::rules::review::{Decision, Review};
use holdback::rules::time::Instant;
use uuid::Uuid;

use super::ledger::Ledger;
use super::setup;

const DOCUMENT: &str = include_str!("../../schemas/README.md");

/// From a state, to a state, told by an event: `""` before the beginning.
type Change = (String, String, String);

/// Where holds and reviews of an order stand, by their ids.
type States = BTreeMap<String, &'static str>;

/// What happens besides the agreement and the sale. Times are fixed, so that facts come late and in any
/// order, and what has been tried is known again.
const OF_HOLDS: &[&str] = &[
    "05-01 completed O1 100.00 CNY",
    "05-02 delivered O1",
    "05-02 disputed O1 D1 chargeback",
    "05-03 updated O1 D1 v1 70.00",
    "05-04 closed O1 D1 lost",
    "05-04 closed O1 D1 won",
    "05-02 disputed O1 D2 return 40.00",
    "05-05 closed O1 D2 withdrawn",
    "05-03 refunded O1 R1 100.00 CNY",
    "05-03 refunded O1 R2 60.00 CNY",
    "05-04 reversed O1 R2",
    "05-06 cancelled O1",
    "05-02 blocked O1 B1 legal",
    "05-03 unblocked O1 B1",
    "05-03 let O1 sale 60.00",
    "05-03 let O1 sale",
    "05-03 extended O1 sale 06-20",
    "calendar CN v1 holidays 05-04",
    "watch 05-12",
    "clock 05-12",
    "clock 05-12 carry",
    "clock 07-12",
];

/// What has happened before. What a lost chargeback can still bring about takes many happenings.
const UNDER: &[&[&str]] = &[
    &["agreement sale 100% 7d limit 30d at_limit release"],
    &["agreement sale 100% 7d from delivered"],
    &["agreement sale 100% 7d business; calendar CN"],
];
const LOST: &[&[&str]] = &[
    &[
        "agreement sale 100% 7d",
        OF_HOLDS[0],
        OF_HOLDS[2],
        OF_HOLDS[4],
    ],
    &[
        "agreement sale 100% 7d from delivered",
        OF_HOLDS[0],
        OF_HOLDS[2],
        OF_HOLDS[4],
    ],
];

const OF_REVIEWS: &[&str] = &[
    "05-01 completed O1 100.00 CNY",
    "05-01 reviewed O1 V1 by 05-03",
    "05-02 answered O1 V1",
    "05-04 answered O1 V1",
    "05-03 decided O1 V1 passed",
    "05-03 decided O1 V1 rejected",
    "05-05 ruled O1 V1 passed",
    "05-05 ruled O1 V1 rejected",
    "watch 05-02T20:00",
    "watch 05-04",
    "watch 05-12",
];

const REVIEWED: &[&[&str]] = &[
    &["agreement sale 100% 7d; review silence escalate"],
    &["agreement sale 100% 7d; review silence pass"],
    &["agreement sale 100% 7d; review silence reject"],
];

/// Which of the events of one step tells a change: money before blocks before dates.
const TELLING: &[EventType] = &[
    EventType::ReleaseIssued,
    EventType::HoldReversed,
    EventType::HoldRestored,
    EventType::HoldConsumed,
    EventType::HoldBlocked,
    EventType::HoldUnblocked,
    EventType::HoldRescheduled,
    EventType::HoldCreated,
    EventType::ReviewClosed,
    EventType::ReviewOverdue,
    EventType::ReviewReminded,
    EventType::ReviewRequested,
];

fn holds(ledger: &Ledger) -> States {
    let Some((order, now)) = ledger.orders.get("O1").zip(ledger.now()) else {
        return States::new();
    };
    let clock = Clock {
        now,
        gate: Some(now),
        not_before: setup::instant("2020-01-01", setup::ZONE, "00:00").unwrap(),
    };
    let told = explain(order, clock, &Circumstances::default());
    let holds = told.holds.iter();
    holds
        .map(|hold| (hold.hold_id.to_string(), hold.state))
        .collect()
}

fn reviews(ledger: &Ledger) -> States {
    let reviews = ledger.orders.get("O1").into_iter();
    let reviews = reviews.flat_map(|order| &order.reviews);
    reviews.map(|it| (it.id.to_string(), review(it))).collect()
}

/// By what is awaited, and how it ended.
fn review(it: &Review) -> &'static str {
    match &it.closed {
        Some(closed) if closed.decision == Decision::Passed => "passed",
        Some(_) => "rejected",
        None if it.answered.is_some() => "answered",
        None if it.overdue => "unanswered",
        None => "asked",
    }
}

/// Every change that the happenings bring about from these beginnings, up to so many of them.
fn changes(
    beginnings: &[&[&str]],
    happenings: &[&'static str],
    depth: usize,
    states: fn(&Ledger) -> States,
) -> BTreeSet<Change> {
    let mut changes = BTreeSet::new();
    for beginning in beginnings {
        let mut start = Ledger::default();
        for line in *beginning {
            start.act(line).unwrap();
        }
        let mut known = HashSet::new();
        let mut front = vec![start];
        for happened in 1..=depth {
            let mut next = Vec::new();
            for ledger in &front {
                let before = states(ledger);
                for happening in happenings {
                    let mut after = ledger.clone();
                    let refused = after.act(happening).is_err();
                    // No clock goes back.
                    if refused || after.now() < ledger.now() {
                        continue;
                    }
                    let by = quiet(happening);
                    note(&mut changes, &before, &states(&after), &after.step, by);
                    if happened < depth && known.insert(essence(&after)) {
                        next.push(after);
                    }
                }
            }
            front = next;
        }
    }
    changes
}

/// By what two ledgers are the same for all that can still happen.
fn essence(ledger: &Ledger) -> String {
    let order: Option<&Order> = ledger.orders.get("O1");
    format!("{order:?} {:?} {:?}", ledger.now(), ledger.purse)
}

/// What is said of a change that no event tells: time, or the fact.
fn quiet(happening: &'static str) -> &'static str {
    let mut words = happening.split(' ');
    match words.next() {
        Some("watch" | "clock") => "time",
        _ => words.next().unwrap_or_default(),
    }
}

fn note(
    changes: &mut BTreeSet<Change>,
    before: &States,
    after: &States,
    step: &[Entry],
    quiet: &str,
) {
    for (id, to) in after {
        let from = before.get(id).copied().unwrap_or_default();
        if from == *to {
            continue;
        }
        let own = step.iter().filter(|entry| {
            let subject = match &entry.event {
                Event::ReleaseIssued(_) => entry.hold.map(|hold| hold.to_string()),
                _ => Some(entry.subject()),
            };
            subject.as_ref() == Some(id)
        });
        let kinds: Vec<EventType> = own.map(|entry| EventType::of(&entry.event)).collect();
        let told = TELLING.iter().find(|kind| kinds.contains(kind));
        let told = told.map_or(quiet, |kind| short(*kind));
        changes.insert((from.to_owned(), (*to).to_owned(), told.to_owned()));
    }
}

/// `hold.created`
fn short(kind: EventType) -> &'static str {
    let name = kind.as_str().strip_prefix("holdback.").unwrap();
    name.strip_suffix(".v1").unwrap()
}

/// Every change of a release that an answer of the payout system brings about, or another attempt.
fn of_payouts() -> BTreeSet<Change> {
    let name = |state: PayoutState| match state {
        PayoutState::Issued => "issued",
        PayoutState::Paid => "paid",
        PayoutState::Failed => "failed",
    };
    let mut changes = BTreeSet::new();
    changes.insert((
        String::new(),
        "issued".to_owned(),
        "release.issued".to_owned(),
    ));
    let currency = Currency::from_code("EUR").unwrap();
    let merchant = || MerchantId::parse("M1").unwrap();
    let at = |hour: i64| Instant::new(jiff::Timestamp::from_second(hour * 3600).unwrap());
    for state in [PayoutState::Issued, PayoutState::Paid, PayoutState::Failed] {
        for (paid, hour, attempt) in [true, false]
            .into_iter()
            .flat_map(|paid| [9, 10, 11].map(|hour| (paid, hour)))
            .flat_map(|(paid, hour)| [1, 2].map(|attempt| (paid, hour, attempt)))
        {
            let mut payout = Payout {
                merchant: merchant(),
                release: ReleaseId(Uuid::nil()),
                order: None,
                hold: None,
                currency,
                amount: Amount::parse("1.00", currency).unwrap(),
                attempt: 1,
                state,
                at: (state != PayoutState::Issued).then(|| at(10)),
            };
            let result = PayoutResult {
                merchant: merchant(),
                subject: PayoutSubject::Release(payout.release),
                attempt,
                paid,
                at: at(hour),
                reason: None,
                content: ContentHash([0; 16]),
                traceparent: None,
            };
            if payout::reissue(&mut payout.clone(), &issue(&payout), 2, at(12)).is_ok() {
                let again = (name(state), name(PayoutState::Issued), "release.issued");
                changes.insert((again.0.to_owned(), again.1.to_owned(), again.2.to_owned()));
            }
            let entries = payout::apply(&mut payout, &result);
            assert_eq!(
                entries.is_empty(),
                payout.state == state,
                "{state:?} {result:?}"
            );
            for entry in entries {
                let Event::PayoutSettled(told) = &entry.event else {
                    panic!("{entry:?}")
                };
                let told = format!("payout.settled {}", told.result);
                changes.insert((name(state).to_owned(), name(payout.state).to_owned(), told));
            }
        }
    }
    changes
}

/// The first issue of a release.
fn issue(of: &Payout) -> ReleaseIssued {
    ReleaseIssued {
        release_id: of.release,
        attempt: 1,
        gross: of.amount,
        recovered: Amount::zero(of.currency),
        to_deposit: Amount::zero(of.currency),
        amount: of.amount,
        settlement_id: None,
        settlement_part: None,
        settlement_date: None,
        reason: ReleaseReason::Early,
        issued_at: Instant::MAX,
    }
}

/// What the diagram under a heading draws: `a --> b: x, y`.
fn drawn(heading: &str) -> BTreeSet<Change> {
    let (_, after) = DOCUMENT.split_once(&format!("\n### {heading}\n")).unwrap();
    let (_, diagram) = after.split_once("```mermaid\nstateDiagram-v2\n").unwrap();
    let (diagram, _) = diagram.split_once("```").unwrap();
    let mut changes = BTreeSet::new();
    for line in diagram.lines().filter(|line| line.contains("-->")) {
        let (from, rest) = line.split_once("-->").unwrap();
        let (to, told) = rest.split_once(':').unwrap_or((rest, ""));
        // The end of a diagram is no change.
        if to.trim() == "[*]" {
            continue;
        }
        for told in told.split(',') {
            let from = from.trim().replace("[*]", "");
            changes.insert((from, to.trim().to_owned(), told.trim().to_owned()));
        }
    }
    changes
}

/// What is done and not drawn, and what is drawn and not done.
fn differences(drawn: &BTreeSet<Change>, possible: &BTreeSet<Change>) -> [String; 2] {
    let lines = |changes: Vec<&Change>| -> String {
        let mut told: BTreeMap<(&str, &str), Vec<&str>> = BTreeMap::new();
        for (from, to, by) in changes {
            told.entry((from, to)).or_default().push(by);
        }
        let lines = told.iter().map(|((from, to), by)| {
            let from = if from.is_empty() { "[*]" } else { from };
            format!("    {from} --> {to}: {}\n", by.join(", "))
        });
        lines.collect()
    };
    [
        lines(possible.difference(drawn).collect()),
        lines(drawn.difference(possible).collect()),
    ]
}

fn is_drawn(heading: &str, possible: &BTreeSet<Change>) {
    let [missing, impossible] = differences(&drawn(heading), possible);
    assert!(
        missing.is_empty() && impossible.is_empty(),
        "schemas/README.md, {heading}: the rules do this and it is not drawn\n{missing}and this is \
         drawn and the rules don't do it\n{impossible}"
    );
}

#[test]
fn what_is_drawn_too_much_or_too_little_is_found() {
    let mut possible = of_payouts();
    let paid = ("issued", "paid", "payout.settled paid");
    let paid = (paid.0.to_owned(), paid.1.to_owned(), paid.2.to_owned());
    assert!(possible.remove(&paid));
    let found = differences(&drawn("A release"), &possible);
    assert_eq!(found, ["", "    issued --> paid: payout.settled paid\n"]);
    let all = of_payouts();
    let found = differences(&possible, &all);
    assert_eq!(found, ["    issued --> paid: payout.settled paid\n", ""]);
}

#[test]
fn the_diagram_of_holds_draws_what_the_rules_do_and_nothing_else() {
    let mut possible = changes(UNDER, OF_HOLDS, 4, holds);
    possible.extend(changes(LOST, OF_HOLDS, 2, holds));
    is_drawn("A hold", &possible);
}

#[test]
fn the_diagram_of_reviews_draws_what_the_rules_do_and_nothing_else() {
    is_drawn("A review", &changes(REVIEWED, OF_REVIEWS, 5, reviews));
}

#[test]
fn the_diagram_of_releases_draws_what_the_rules_do_and_nothing_else() {
    is_drawn("A release", &of_payouts());
}
