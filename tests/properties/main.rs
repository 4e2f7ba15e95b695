//! What must be true of any order, whatever happens to it and in whatever order it arrives.
//!
//! Facts are generated from small numbers, so that amounts meet and times collide. The net position
//! is compared with a model that is written down independently of the rules.

#![expect(clippy::unwrap_used, reason = "a test that unwraps nothing has failed")]

mod by_hand;
mod cases;
mod model;

use std::sync::Arc;

use holdback::rules::agreement::Cycle;
use holdback::rules::decide::Verdict;
use holdback::rules::entry::Account;
use holdback::rules::fact::{OrderEvent, OrderFact, RefundReversed};
use holdback::rules::money::Amount;
use proptest::prelude::*;

use cases::{Case, DAY, at, cases, cents, cny, shuffled, units};
use model::{Run, model, shape};

const CASES: u32 = 1000;

proptest! {
    #![proptest_config(ProptestConfig { cases: CASES, failure_persistence: None, ..ProptestConfig::default() })]

    /// Conservation, and the model's net position after each fact that could be applied.
    #[test]
    fn money_is_conserved_and_the_net_position_is_the_model_s(case in cases(40 * DAY)) {
        let mut run = Run::new(&case);
        for (count, fact) in (1..).zip(&case.facts) {
            run.apply(fact);
            run.check();
            let so_far = Case { facts: case.facts[..count].to_vec(), ..case.clone() };
            prop_assert_eq!(run.net(), model(&so_far, 0), "after {:?}", fact.key());
        }
        // What was reversed and not refunded is back where it came from.
        let proceeds = run.balance(Account::Proceeds) + run.balance(Account::Refunded);
        prop_assert_eq!(proceeds + run.net(), 0);
    }

    /// Promise 4, first half: the net position, whatever falls due in between.
    #[test]
    fn arrival_changes_no_net_position((case, facts) in shuffled(40 * DAY)) {
        let one = Run::all(&case, &case.facts);
        let other = Run::all(&case, &facts);
        other.check();
        prop_assert_eq!(one.net(), model(&case, 0));
        prop_assert_eq!(other.net(), model(&case, 0));
        let of_another = |fact: &OrderFact| {
            matches!(
                fact.what,
                OrderEvent::DisputeUpdated(_)
                    | OrderEvent::DisputeClosed(_)
                    | OrderEvent::ReviewAnswered(_)
                    | OrderEvent::ReviewDecided(_)
            )
        };
        prop_assert!(other.order.parked.iter().all(of_another), "only what has no opening waits");
    }

    /// Promise 4 with deposits: whenever they come, and whatever releases pay of debts in between.
    #[test]
    fn arrival_of_deposits_changes_no_net_position(
        (case, facts) in shuffled(40 * DAY),
        moves in prop::collection::vec((-4000..6000_i64, 0..15_usize, 0..15_usize), 0..6),
        paid in prop::collection::vec((0..15_usize, 1..3000_i64), 0..4),
    ) {
        let moves: Vec<_> = moves.into_iter().filter(|(units, ..)| *units != 0).collect();
        let sum: i64 = moves.iter().map(|(units, ..)| units).sum();
        let play = |facts: &[OrderFact], place: fn(&(i64, usize, usize)) -> usize| {
            let mut run = Run::new(&case);
            for step in 0..15 {
                for (number, it) in moves.iter().enumerate().filter(|(_, it)| place(it) == step) {
                    run.move_deposit(number, it.0);
                    run.check();
                }
                if let Some(fact) = facts.get(step) {
                    run.apply(fact);
                    run.check();
                }
                for (number, (_, units)) in (100..).zip(&paid).filter(|(_, it)| it.0 == step) {
                    run.pay_elsewhere(*units, number);
                    run.check();
                }
            }
            run.net()
        };
        prop_assert_eq!(play(&case.facts, |it| it.1), model(&case, 0) + sum);
        prop_assert_eq!(play(&facts, |it| it.2), model(&case, 0) + sum);
    }

    /// Promise 4, second half: with one settlement on the 28th nothing is due before, though
    /// windows end and blocks are cleared.
    #[test]
    fn arrival_changes_no_hold_while_nothing_is_due((case, facts) in shuffled(25 * DAY)) {
        let mut agreement = (*case.agreement).clone();
        agreement.settlement.cycle = Cycle::Monthly { days_of_month: vec![28] };
        let case = Case { agreement: Arc::new(agreement), ..case };
        let one = Run::all(&case, &case.facts);
        let other = Run::all(&case, &facts);
        prop_assert_eq!(shape(&one.order), shape(&other.order));
    }

    /// A refund that did not go through leaves everything as if it had never come, while nothing was
    /// released and the order is not cancelled.
    #[test]
    fn a_reversed_refund_is_as_if_it_had_never_come(
        (case, facts) in shuffled(25 * DAY),
        which in any::<prop::sample::Index>(),
        when in any::<prop::sample::Index>(),
        deposit in 0..5000_i64,
    ) {
        let mut agreement = (*case.agreement).clone();
        agreement.settlement.cycle = Cycle::Monthly { days_of_month: vec![28] };
        let case = Case { agreement: Arc::new(agreement), ..case };
        let stays = |fact: &&OrderFact| !matches!(fact.what, OrderEvent::Cancelled { .. });
        let facts: Vec<OrderFact> = facts.iter().filter(stays).cloned().collect();
        let refunds: Vec<&OrderFact> =
            facts.iter().filter(|fact| matches!(fact.what, OrderEvent::Refunded(_))).collect();
        prop_assume!(!refunds.is_empty());
        let gone = refunds[which.index(refunds.len())].clone();
        let OrderEvent::Refunded(refund) = &gone.what else { unreachable!() };
        let reversal = RefundReversed { refund: refund.refund.clone(), at: at(26 * DAY) };
        let without: Vec<OrderFact> = facts.iter().filter(|it| **it != gone).cloned().collect();
        let mut with = facts.clone();
        with.insert(when.index(facts.len() + 1), cases::fact(OrderEvent::RefundReversed(reversal)));
        let play = |facts: &[OrderFact]| {
            let mut run = Run::new(&case);
            run.move_deposit(0, deposit + 1);
            for fact in facts {
                run.apply(fact);
                run.check();
            }
            run
        };
        let (with, without) = (play(&with), play(&without));
        prop_assert_eq!(with.net(), without.net());
        let sums = |run: &Run| -> Vec<(i64, i64, i64)> {
            let holds = run.order.holds.iter();
            holds.map(|it| (units(it.left), units(it.blocked), units(it.consumed))).collect()
        };
        prop_assert_eq!(sums(&with), sums(&without));
        prop_assert_eq!(with.deposit, without.deposit);
    }

    /// Each fact twice is each fact once, at once or later.
    #[test]
    fn twice_is_once((case, again) in shuffled(40 * DAY)) {
        let once = Run::all(&case, &case.facts);
        let mut twice = Run::new(&case);
        for fact in &case.facts {
            twice.apply(fact);
            prop_assert_eq!(twice.apply(fact), Verdict::Duplicate);
        }
        for fact in &again {
            prop_assert_eq!(twice.apply(fact), Verdict::Duplicate);
        }
        prop_assert_eq!(&once.order, &twice.order);
        prop_assert_eq!(&once.journal, &twice.journal);
    }

    /// With releases between the facts: never early, never blocked money, nothing made or lost;
    /// at the end, with all blocks gone and all dates past, nothing free is left.
    #[test]
    fn releases_are_never_early_and_lose_nothing((case, facts) in shuffled(40 * DAY), steps in prop::collection::vec(0..6_i64, 15)) {
        let mut run = Run::new(&case);
        let mut day = 0;
        let mut released_before_cancel = 0;
        for (fact, step) in facts.iter().zip(&steps) {
            run.apply(fact);
            run.check();
            day += step;
            if step % 2 == 1 {
                run.pay_elsewhere(step * 700, day);
                run.check();
            }
            let went = run.release(at(day * DAY));
            run.check();
            prop_assert!(went == 0 || run.order.cancelled.is_none(), "a cancelled order has nothing to go");
            released_before_cancel += went;
        }
        prop_assert_eq!(run.net(), model(&case, released_before_cancel));
        run.release(at(400 * DAY));
        run.check();
        for hold in &run.order.holds {
            prop_assert!(hold.dates.is_none() || hold.free().is_zero(), "free money stays: {:?}", hold);
        }
        prop_assert_eq!(run.net(), model(&case, released_before_cancel));
    }

    /// Both ways of splitting add up; the steady one never takes back when the sum grows.
    #[test]
    fn splits_add_up_and_the_steady_one_never_falls(
        total in 0..5000_i64,
        weights in prop::collection::vec(0..3000_i64, 1..6),
    ) {
        let weights: Vec<Amount> = weights.into_iter().map(cents).collect();
        prop_assume!(weights.iter().any(|weight| !weight.is_zero()));
        let sum = |parts: &[Amount]| parts.iter().map(|part| units(*part)).sum::<i64>();
        let hamilton = cents(total).split(&weights).unwrap();
        let steady = cents(total).split_steadily(&weights).unwrap();
        prop_assert_eq!(sum(&hamilton), total);
        prop_assert_eq!(sum(&steady), total);
        let more = cents(total + 1).split_steadily(&weights).unwrap();
        prop_assert!(steady.iter().zip(&more).all(|(less, more)| less <= more));
        if weights.len() < 3 {
            prop_assert_eq!(&hamilton, &steady);
        }
        let whole = Amount::sum(cny(), weights.iter().copied()).unwrap();
        prop_assert_eq!(&whole.split_steadily(&weights).unwrap(), &weights);
    }
}
