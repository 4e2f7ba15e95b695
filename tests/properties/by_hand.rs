//! What people do between the facts: blocked money never leaves, dates only move later.

use std::collections::BTreeMap;

use holdback::rules::by_hand;
use holdback::rules::calendar::Calendars;
use holdback::rules::decide::{self, World};
use holdback::rules::hold::Hold;
use holdback::rules::money::Amount;
use holdback::rules::order::{Block, BlockKind};
use holdback::rules::recovery::Purse;
use holdback::rules::release::{self, Claim};
use holdback::rules::review::Approval;
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
    match act {
        Act::Block { .. } | Act::Unblock(_) => block(run, number, day, act),
        Act::Early { hold, amount } => return let_go(run, day, *hold, amount.map(cents)),
        Act::Extend { hold, day } => put_off(run, number, *hold, *day, until),
    }
    0
}

fn block(run: &mut Run, number: usize, day: i64, act: &Act) {
    let agreements = run.agreements.clone();
    let world = World {
        agreements: &agreements,
        calendars: &Calendars::default(),
        now: at(day * DAY),
        approval: &Approval::default(),
    };
    let entries = match act {
        Act::Block {
            hold,
            amount,
            legal,
        } => {
            let kinds = [BlockKind::Manual, BlockKind::Legal];
            let block = Block {
                reference: format!("B{number}"),
                kind: kinds[usize::from(*legal)],
                reason: "because".to_owned(),
                hold: hold.and_then(|hold| Some(run.order.holds.get(hold)?.id)),
                amount: amount.map(cents),
                opened_at: world.now,
                cleared_at: None,
            };
            decide::block(&mut run.order, block, world)
        }
        Act::Unblock(nth) => {
            let reference = run.order.blocks.get(*nth).map(|it| it.reference.clone());
            decide::unblock(
                &mut run.order,
                &reference.unwrap_or_default(),
                world.now,
                world,
            )
        }
        Act::Early { .. } | Act::Extend { .. } => Vec::new(),
    };
    run.journal.extend(entries);
}

fn claim(run: &Run, hold: usize) -> Option<Claim> {
    let found = run.order.holds.get(hold)?;
    Some(Claim {
        merchant: run.order.merchant.clone(),
        order: run.order.id.clone(),
        currency: cny(),
        agreement: run.order.agreement.clone()?,
        hold: found.clone(),
        traceparent: None,
    })
}

fn let_go(run: &mut Run, day: i64, hold: usize, amount: Option<Amount>) -> i64 {
    let Some(mut claim) = claim(run, hold) else {
        return 0;
    };
    let before = claim.hold.clone();
    let Ok(portion) = by_hand::early(&before, amount) else {
        return 0;
    };
    assert!(portion.amount <= before.free(), "blocked money goes early");
    let mut purse = Purse::empty(cny());
    let issued = release::issue(&mut claim, &portion, None, &mut purse, at(day * DAY));
    assert_eq!(
        claim.hold.blocked, before.blocked,
        "what is blocked stays so"
    );
    run.journal.extend(issued);
    run.order.holds[hold] = claim.hold;
    units(portion.amount)
}

fn put_off(run: &mut Run, number: usize, hold: usize, day: i64, until: &mut BTreeMap<usize, i64>) {
    let Some(mut claim) = claim(run, hold) else {
        return;
    };
    let first = |hold: &Hold| {
        let parts = hold.parts().filter(|part| !part.amount.is_zero());
        let dates = parts.filter_map(|part| part.dates);
        dates.map(|it| it.release_at).min()
    };
    let before = first(&claim.hold);
    let cause = format!("operation:{number}");
    if let Ok(entry) = by_hand::extend(&mut claim, at(day * DAY), &Calendars::default(), cause) {
        let after = first(&claim.hold);
        assert!(before <= after, "a date moves forward");
        run.journal.push(entry);
        run.order.holds[hold] = claim.hold;
        let known = until.entry(hold).or_insert(day);
        *known = (*known).max(day);
    }
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
