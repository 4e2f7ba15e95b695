//! What people do between the facts: blocked money never leaves, dates only move later.

use std::collections::BTreeMap;

use holdback::rules::by_hand;
use holdback::rules::calendar::Calendars;
use holdback::rules::decide::{self, World};
use holdback::rules::money::Amount;
use holdback::rules::order::{Block, BlockKind};
use holdback::rules::release::{self, Claim};
use proptest::prelude::*;

use super::cases::{DAY, at, cents, cny, shuffled, units};
use super::model::Run;

/// One thing that a person does; holds by their position.
#[derive(Debug, Clone)]
enum Act {
    Block {
        hold: Option<usize>,
        amount: Option<i64>,
        legal: bool,
    },
    /// The block that was put up as the nth.
    Unblock(usize),
    Early {
        hold: usize,
        amount: Option<i64>,
    },
    Extend {
        hold: usize,
        day: i64,
    },
}

fn acts() -> impl Strategy<Value = Act> {
    let amount = || prop::option::of(prop::sample::select(vec![1_i64, 50, 700, 4000]));
    prop_oneof![
        (prop::option::of(0..3_usize), amount(), any::<bool>()).prop_map(
            |(hold, amount, legal)| Act::Block {
                hold,
                amount,
                legal
            }
        ),
        (0..4_usize).prop_map(Act::Unblock),
        (0..3_usize, amount()).prop_map(|(hold, amount)| Act::Early { hold, amount }),
        (0..3_usize, 0..60_i64).prop_map(|(hold, day)| Act::Extend { hold, day }),
    ]
}

/// Does it on that day; answers what went, and notes until when which hold must stay.
fn act(run: &mut Run, number: usize, day: i64, act: &Act, until: &mut BTreeMap<usize, i64>) -> i64 {
    let calendars = Calendars::default();
    let agreements = run.agreements.clone();
    let world = World {
        agreements: &agreements,
        calendars: &calendars,
        now: at(day * DAY),
    };
    let claim = |run: &Run, hold: usize| {
        let found = run.order.holds.get(hold)?;
        Some(Claim {
            merchant: run.order.merchant.clone(),
            order: run.order.id.clone(),
            currency: cny(),
            agreement: run.order.agreement.clone()?,
            hold: found.clone(),
            traceparent: None,
        })
    };
    match act {
        Act::Block {
            hold,
            amount,
            legal,
        } => {
            let block = Block {
                reference: format!("B{number}"),
                kind: if *legal {
                    BlockKind::Legal
                } else {
                    BlockKind::Manual
                },
                reason: "because".to_owned(),
                hold: hold.and_then(|hold| Some(run.order.holds.get(hold)?.id)),
                amount: amount.map(cents),
                opened_at: world.now,
                cleared_at: None,
            };
            let entries = decide::block(&mut run.order, block, world);
            run.journal.extend(entries);
        }
        Act::Unblock(nth) => {
            let reference = run.order.blocks.get(*nth).map(|it| it.reference.clone());
            let reference = reference.unwrap_or_default();
            let entries = decide::unblock(&mut run.order, &reference, world.now, world);
            run.journal.extend(entries);
        }
        Act::Early { hold, amount } => {
            let Some(mut claim) = claim(run, *hold) else {
                return 0;
            };
            let before = claim.hold.clone();
            if let Ok(portion) = by_hand::early(&before, amount.map(cents)) {
                assert!(portion.amount <= before.free(), "blocked money goes early");
                let entry = release::issue(&mut claim, &portion, None, world.now);
                assert_eq!(
                    claim.hold.blocked, before.blocked,
                    "what is blocked stays so"
                );
                run.journal.push(entry);
                run.order.holds[*hold] = claim.hold;
                return units(portion.amount);
            }
        }
        Act::Extend { hold, day } => {
            let Some(mut claim) = claim(run, *hold) else {
                return 0;
            };
            let before = claim.hold.parts();
            let cause = format!("operation:{number}");
            if let Ok(entry) = by_hand::extend(&mut claim, at(day * DAY), &calendars, cause) {
                let first = |hold: &[holdback::rules::hold::Part]| {
                    let parts = hold.iter().filter(|part| !part.amount.is_zero());
                    parts
                        .filter_map(|part| part.dates)
                        .map(|it| it.release_at)
                        .min()
                };
                assert!(
                    first(&before) <= first(&claim.hold.parts()),
                    "a date moves forward"
                );
                run.journal.push(entry);
                run.order.holds[*hold] = claim.hold;
                let known = until.entry(*hold).or_insert(*day);
                *known = (*known).max(*day);
            }
        }
    }
    0
}

/// What the blocks of people ask for is there, as far as money is.
fn kept(run: &Run) {
    let open = || run.order.blocks.iter().filter(|it| it.cleared_at.is_none());
    let sum = |amounts: Vec<Amount>| amounts.into_iter().map(units).sum::<i64>();
    for hold in &run.order.holds {
        let on_it = open().filter(|it| it.lies_on(hold.id));
        let whole = on_it.clone().any(|it| it.amount.is_none());
        let own = on_it
            .filter(|it| it.hold.is_some())
            .filter_map(|it| it.amount);
        let asked = if whole { i64::MAX } else { sum(own.collect()) };
        assert!(
            units(hold.blocked) >= asked.min(units(hold.left)),
            "{hold:?}"
        );
    }
    let left = sum(run.order.holds.iter().map(|it| it.left).collect());
    let blocked = sum(run.order.holds.iter().map(|it| it.blocked).collect());
    let asked = sum(open()
        .filter(|it| it.hold.is_none())
        .filter_map(|it| it.amount)
        .collect());
    assert!(
        blocked >= asked.min(left),
        "{asked} of {left} asked for, {blocked} blocked"
    );
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 1000, failure_persistence: None, ..ProptestConfig::default() })]

    /// Nothing is made or lost, nothing blocked leaves, nothing goes before it was put off to, and
    /// with all blocks gone and all dates past nothing free is left.
    #[test]
    fn nothing_blocked_or_put_off_leaves(
        (case, facts) in shuffled(40 * DAY),
        acts in prop::collection::vec((acts(), 0..6_i64), 15),
    ) {
        let mut run = Run::new(&case);
        let mut until = BTreeMap::new();
        let (mut day, mut went) = (0, 0);
        for (number, (it, step)) in acts.iter().enumerate() {
            if let Some(fact) = facts.get(number) {
                run.apply(fact);
                run.check();
                kept(&run);
            }
            went += act(&mut run, number, day, it, &mut until);
            run.check();
            kept(&run);
            day += step;
            let before: Vec<Amount> = run.order.holds.iter().map(|it| it.released).collect();
            went += run.release(at(day * DAY));
            run.check();
            kept(&run);
            for (hold, put_off) in until.iter().filter(|(_, until)| **until > day) {
                let same = run.order.holds[*hold].released == before[*hold];
                prop_assert!(same, "put off to {put_off} and gone on {day}");
            }
        }
        let payable: i64 = run.order.holds.iter().map(|it| units(it.released)).sum();
        prop_assert_eq!(payable, went);
        run.release(at(400 * DAY));
        for hold in &run.order.holds {
            prop_assert!(hold.dates.is_none() || hold.free().is_zero(), "free money stays: {:?}", hold);
        }
    }
}
