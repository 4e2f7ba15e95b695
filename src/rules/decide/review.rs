//! Reviews under way: asked for, answered, decided, and what their deadlines bring.

use super::super::entry::Event;
use super::super::fact::{ContentHash, ReviewAnswered, ReviewDecided, ReviewRequest};
use super::super::ids::ReviewId;
use super::super::order::{Block, BlockKind, Noted, Order};
use super::super::review::{
    Answer, Closed, ClosedBy, Decision, Moment, OnSilence, Review, Ruling, is_asked_by_amount,
};
use super::super::time::Instant;
use super::{Outcome, Refusal, Step, Terms, Verdict, World, block};

/// Asks for a review when the sale's amount does, from this moment on.
pub(super) fn by_amount(step: &mut Step<'_>, terms: &Terms, asked_at: Instant) {
    if step.order.holds.is_empty() || !is_asked_by_amount(&terms.agreement, &terms.sale) {
        return;
    }
    let id = ReviewId::by_amount(&step.order.merchant, &step.order.id);
    if step.order.review(&id).is_some() {
        return;
    }
    let hours = terms.agreement.review.respond_within_hours;
    let respond_by = asked_at.plus_hours(hours).unwrap_or(Instant::MAX);
    let review = Review {
        id,
        requested: None,
        reason: None,
        opened_at: terms.sale.at,
        asked_at,
        respond_by,
        reminded: false,
        overdue: false,
        answered: None,
        decided: None,
        decide_by: None,
        alerts: 0,
        closed: None,
    };
    open(step, terms, review);
}

pub(super) fn request(
    step: &mut Step<'_>,
    terms: &Terms,
    it: &ReviewRequest,
    content: ContentHash,
    asked_at: Instant,
) -> Result<(), Refusal> {
    if step.order.review(&it.review).is_some() {
        let text = format!("review {} was asked for by the order's amount", it.review);
        return Err(Refusal::Conflict(text));
    }
    let hours = terms.agreement.review.respond_within_hours;
    let by_agreement = || asked_at.plus_hours(hours).unwrap_or(Instant::MAX);
    let review = Review {
        id: it.review.clone(),
        requested: Some(content),
        reason: Some(it.reason.clone()),
        opened_at: it.at,
        asked_at,
        respond_by: it.respond_by.unwrap_or_else(by_agreement),
        reminded: false,
        overdue: false,
        answered: None,
        decided: None,
        decide_by: None,
        alerts: 0,
        closed: None,
    };
    open(step, terms, review);
    Ok(())
}

fn open(step: &mut Step<'_>, terms: &Terms, review: Review) {
    let requested = review.say_requested();
    let block = Block {
        reference: review.reference(),
        kind: BlockKind::Review,
        reason: requested.cause.to_owned(),
        hold: None,
        amount: None,
        opened_at: review.opened_at,
        cleared_at: None,
    };
    let before = step.before();
    let by = block::By::block(&block);
    step.order.reviews.push(review);
    step.order.blocks.push(block);
    step.say(None, Event::ReviewRequested(requested), None);
    block::renew(step, terms, &before, Some(by), None);
}

/// Puts the answer before a person; one that comes after the end is kept and changes nothing.
pub(super) fn answer(
    step: &mut Step<'_>,
    terms: &Terms,
    it: &ReviewAnswered,
    content: ContentHash,
    recorded_at: Instant,
) {
    let hours = terms.agreement.review.decide_within_hours;
    let review = find(step.order, &it.review);
    let value = Answer {
        at: it.at,
        text: it.answer.clone(),
        evidence: it.evidence.clone(),
    };
    review.answered = Some(Noted { value, content });
    if review.closed.is_none() {
        review.decide_by = Some(recorded_at.plus_hours(hours).unwrap_or(Instant::MAX));
        review.alerts = 0;
    }
}

/// A decision by message.
pub(super) fn decided(
    step: &mut Step<'_>,
    terms: &Terms,
    it: &ReviewDecided,
    content: ContentHash,
) -> Result<(), Refusal> {
    let sale = &terms.sale;
    if !step.world.approval.allows(sale.currency, sale.amount) {
        return Err(Refusal::NeedsApproval);
    }
    let review = find(step.order, &it.review);
    review.decided = Some(content);
    if review.closed.is_some() {
        // Money may have left since: a person looks.
        step.alarms.push("review_decided_after_its_end");
        return Ok(());
    }
    let closed = Closed {
        decision: it.decision,
        at: it.at,
        by: ClosedBy::Event,
        name: Some(it.decided_by.clone()),
        reason: it.reason.clone(),
    };
    close(step, terms, &it.review, closed);
    Ok(())
}

fn close(step: &mut Step<'_>, terms: &Terms, id: &ReviewId, closed: Closed) {
    let (decision, at, by) = (closed.decision, closed.at, closed.by);
    let review = find(step.order, id);
    review.closed = Some(closed);
    let result = match decision {
        Decision::Passed => "passed",
        Decision::Rejected => "rejected",
    };
    let (event, reference) = (review.say_closed(result, by), review.reference());
    step.say(None, Event::ReviewClosed(event), None);
    if decision == Decision::Passed {
        clear(step, terms, &reference, at);
    }
}

fn clear(step: &mut Step<'_>, terms: &Terms, reference: &str, at: Instant) {
    let before = step.before();
    let mut open = step.order.blocks.iter_mut();
    let open = open.find(|it| it.reference == reference && it.cleared_at.is_none());
    if let Some(block) = open {
        block.cleared_at = Some(at.max(block.opened_at));
        let by = block::By::block(block);
        block::renew(step, terms, &before, Some(by), None);
    }
}

/// A person decides an open review, or clears the block of a rejected one by passing it after all.
///
/// # Errors
/// [`Refusal::Conflict`] when there is no such review or it has ended otherwise.
pub fn rule(
    order: &mut Order,
    id: &ReviewId,
    ruling: &Ruling,
    world: World<'_>,
) -> Result<Outcome, Refusal> {
    let known = order.review(id).cloned().zip(order.settled());
    let Some((review, (sale, agreement))) = known else {
        return Err(Refusal::Conflict(format!("there is no review {id}")));
    };
    let terms = Terms { sale, agreement };
    let earlier = review.closed.as_ref().map(|closed| closed.decision);
    let cleared = earlier.is_some();
    let passes = ruling.decision == Decision::Passed;
    if cleared && !(earlier == Some(Decision::Rejected) && passes) {
        return Err(Refusal::Conflict(format!("review {id} has ended")));
    }
    let word = if cleared { "cleared" } else { "ruled" };
    let cause = format!("review.{word}:{id}");
    let traceparent = order.traceparent.clone();
    let mut step = Step::new(order, world, cause, traceparent);
    let closed = Closed {
        decision: ruling.decision,
        at: world.now,
        by: ClosedBy::Person,
        name: Some(ruling.actor.clone()),
        reason: Some(ruling.reason.clone()),
    };
    if cleared {
        find(step.order, id).closed = Some(closed);
        let event = review.say_closed("cleared", ClosedBy::Person);
        step.say(None, Event::ReviewClosed(event), None);
        clear(&mut step, &terms, &review.reference(), world.now);
    } else {
        close(&mut step, &terms, id, closed);
    }
    let mut outcome = Outcome::new(Verdict::Applied);
    outcome.entries = step.entries;
    outcome.alarms = step.alarms;
    Ok(outcome)
}

/// What the order's reviews come to by the clock: everything whose moment has come by `until`,
/// earliest first, each once.
pub fn watch(order: &mut Order, until: Instant, world: World<'_>) -> Outcome {
    let mut outcome = Outcome::new(Verdict::Applied);
    let Some((sale, agreement)) = order.settled() else {
        return outcome;
    };
    let terms = Terms { sale, agreement };
    while let Some((at, moment, id)) = order.next_moment(until) {
        let traceparent = order.traceparent.clone();
        let cause = match order.review(&id) {
            Some(review) if moment == Moment::Decision => {
                let after = if review.answered.is_some() {
                    "answer"
                } else {
                    "silence"
                };
                format!("review.decision:{after}:{}:{id}", review.alerts)
            }
            _ if moment == Moment::Reminder => format!("review.reminder:{id}"),
            _ => format!("review.silence:{id}"),
        };
        let mut step = Step::new(order, world, cause, traceparent);
        pass(&mut step, &terms, &id, (at, moment), until);
        outcome.entries.append(&mut step.entries);
        outcome.alarms.append(&mut step.alarms);
    }
    outcome
}

/// One moment of one review.
fn pass(
    step: &mut Step<'_>,
    terms: &Terms,
    id: &ReviewId,
    (at, moment): (Instant, Moment),
    until: Instant,
) {
    let policy = terms.agreement.review.clone();
    let review = find(step.order, id);
    match moment {
        Moment::Reminder => {
            review.reminded = true;
            let event = review.say_reminded();
            step.say(None, Event::ReviewReminded(event), None);
        }
        Moment::Decision => {
            let event = review.say_overdue(at, policy.on_silence);
            review.alert(until);
            step.say(None, Event::ReviewOverdue(event), None);
            step.alarms.push("review_undecided");
        }
        Moment::Silence => {
            review.overdue = true;
            let event = review.say_overdue(at, policy.on_silence);
            if policy.on_silence == OnSilence::Escalate {
                let by = at.plus_hours(policy.decide_within_hours);
                review.decide_by = Some(by.unwrap_or(Instant::MAX));
            }
            step.say(None, Event::ReviewOverdue(event), None);
            let decision = match policy.on_silence {
                OnSilence::Escalate => {
                    step.alarms.push("review_unanswered");
                    return;
                }
                OnSilence::Pass => Decision::Passed,
                OnSilence::Reject => Decision::Rejected,
            };
            let closed = Closed {
                decision,
                at,
                by: ClosedBy::Silence,
                name: None,
                reason: None,
            };
            close(step, terms, id, closed);
        }
    }
}

fn find<'a>(order: &'a mut Order, id: &ReviewId) -> &'a mut Review {
    let mut reviews = order.reviews.iter_mut();
    reviews
        .find(|review| review.id == *id)
        .expect("what belongs to a review is parked until that is asked for")
}
