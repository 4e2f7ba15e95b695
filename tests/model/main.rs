//! The rules against an independent model of the contract: random histories go through both, and
//! after every step both must say the same.
//!
//! The model (`world`, `facts`, `sums`, `dates`) was written from the contract before the rules were
//! read. It keeps no state: each answer is reached anew from all facts and from what was released
//! before. Where the contract is silent it was made to follow the rules afterwards: updates and
//! refunds clear what they make free as a closing does; of a hold's parts the earliest is blocked
//! and consumed first; with returned fees a proportional refund takes its share of the charge.
//!
//! One situation is not compared from where it begins: money of a part of a hold is cleared twice.
//! Which of it the second time, the contract does not say; the test counts such orders.
//! `HOLDBACK_MODEL_CASES` says how many histories are tried, `HOLDBACK_MODEL_SEED` which; a
//! difference is shrunk and printed as a scenario.

#![expect(clippy::unwrap_used, reason = "a test that unwraps nothing has failed")]

mod agreements;
mod dates;
mod facts;
mod history;
mod machine;
mod merchant;
mod scenario;
mod sums;
mod world;

use std::cell::Cell;
use std::collections::BTreeSet;
use std::env;
use std::fmt::Write as _;

use proptest::test_runner::{Config, RngAlgorithm, RngSeed, TestCaseError, TestError, TestRunner};

use dates::Due;
use history::{Step, histories};
use machine::Machine;
use world::{HoldView, OrderView, Released};

/// As many as `cargo test` has time for.
const CASES: u32 = 2_000;
const SEED: u64 = 20_261_123;

fn setting<T: std::str::FromStr>(name: &str, default: T) -> T {
    #[expect(
        clippy::disallowed_methods,
        reason = "a test has no configuration of ours"
    )]
    let value = env::var(name);
    value
        .ok()
        .map_or(default, |it| it.parse().ok().expect("a number"))
}

/// So many histories, unless the environment says how many, and which.
fn config(cases: u32) -> Config {
    Config {
        cases: setting("HOLDBACK_MODEL_CASES", cases),
        max_shrink_iters: 4_000,
        failure_persistence: None,
        rng_algorithm: RngAlgorithm::ChaCha,
        rng_seed: RngSeed::Fixed(setting("HOLDBACK_MODEL_SEED", SEED)),
        ..Config::default()
    }
}

/// One order as it is compared. Dates count only where there is money that may go.
fn told(view: &OrderView) -> String {
    let mut text = format!("owes {}", view.owes);
    for hold in &view.holds {
        let HoldView {
            term,
            original,
            left,
            released,
            gone,
            blocked,
            ..
        } = hold;
        write!(
            text,
            "; {term}: {original} = left {left} + released {released} + gone {gone}, blocked {blocked}"
        )
        .unwrap();
        if *left > 0 {
            write!(text, ", limit {}", hold.limit_at).unwrap();
        }
        for (due, amount) in &hold.free {
            match due {
                None => write!(text, ", {amount} undated").unwrap(),
                Some(it) => {
                    let Due {
                        release_at,
                        settlement_date,
                    } = it;
                    let window = hold.window_ends_at.unwrap();
                    write!(
                        text,
                        ", {amount} at {release_at} of {settlement_date}, window {window}"
                    )
                    .unwrap();
                }
            }
        }
    }
    text
}

/// How many times orders were looked at, and how many of them compared.
#[derive(Default)]
struct Count {
    all: Cell<u64>,
    compared: Cell<u64>,
}

fn add(cell: &Cell<u64>, more: usize) {
    cell.set(cell.get() + u64::try_from(more).unwrap());
}

/// The first difference between the rules and the model, after how many steps.
fn difference(steps: &[Step], counted: &Count) -> Option<(usize, String)> {
    let mut machine = Machine::default();
    let mut silent = BTreeSet::new();
    for (count, step) in (1..).zip(steps) {
        machine.act(step);
        let ours = machine.world();
        let (theirs, releases) = world::after(&steps[..count]);
        let unsure = theirs.iter().filter(|it| it.1.unsure);
        silent.extend(unsure.map(|it| it.0.clone()));
        assert_eq!(ours.len(), theirs.len());
        let compared = theirs.keys().filter(|id| !silent.contains(*id));
        add(&counted.compared, compared.count());
        add(&counted.all, theirs.len());
        for (id, view) in theirs.iter().filter(|it| !silent.contains(it.0)) {
            let (by_rules, by_model) = (ours.get(id).map(told), told(view));
            if by_rules.as_ref() != Some(&by_model) {
                let by_rules = by_rules.unwrap_or_default();
                let text = format!("{id} by the rules: {by_rules}\n{id} by the model: {by_model}");
                return Some((count, text));
            }
        }
        let compared = |it: &Released| !silent.contains(&it.order);
        let went: BTreeSet<_> = machine.released.iter().filter(|it| compared(it)).collect();
        let should: BTreeSet<_> = releases.iter().map(|it| &it.1).collect();
        let should: BTreeSet<_> = should.into_iter().filter(|it| compared(it)).collect();
        if went != should {
            let text = format!("released by the rules: {went:?}\nby the model: {should:?}");
            return Some((count, text));
        }
    }
    None
}

#[test]
fn the_rules_and_the_model_agree_after_every_step_of_random_histories() {
    let counted = Count::default();
    let found = TestRunner::new(config(CASES)).run(&histories(), |steps| {
        match difference(&steps, &counted) {
            None => Ok(()),
            Some(_) => Err(TestCaseError::fail("the rules and the model differ")),
        }
    });
    if let Err(TestError::Fail(_, steps)) = &found {
        let (count, text) = difference(steps, &counted).expect("it was found");
        let scenario = scenario::written(&steps[..count]);
        panic!("after the last line of\n\n{scenario}\n{text}");
    }
    found.unwrap();
    let (all, compared) = (counted.all.get(), counted.compared.get());
    assert!(
        compared * 10 > all * 9,
        "{compared} of {all} orders compared"
    );
}
