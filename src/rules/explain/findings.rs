//! The tests of a release, in the order of the contract's section 6: what each finds about a hold.

use serde::Serialize;

use super::Circumstances;
use crate::rules::agreement::{Anchor, AtLimit};
use crate::rules::hold::Hold;
use crate::rules::money::Amount;
use crate::rules::pause::Pause;
use crate::rules::release::{Claim, Clock, Judgement, Obstacle};
use crate::rules::time::Instant;

/// One test of section 6 of the contract.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Test {
    pub name: &'static str,
    pub passes: bool,
    pub finding: Finding,
}

/// What a test found.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(tag = "is", rename_all = "snake_case")]
pub enum Finding {
    Left {
        amount: Amount,
    },
    /// Why, or null: not paused.
    Paused {
        why: Option<Pause>,
    },
    /// Releases up to that instant may go; null: closed. And the partition that is furthest behind.
    Gate {
        open_up_to: Option<Instant>,
        behind: Option<String>,
    },
    /// A legal or review block, or one from a bad message.
    Barred {
        barred: bool,
    },
    /// When the hold gets too old and what happens then; null: unknown.
    Limit {
        at: Option<Instant>,
        passed: bool,
        releases: bool,
    },
    Blocked {
        blocked: Amount,
        left: Amount,
    },
    NotBefore {
        at: Instant,
    },
    ClockNotStarted {
        anchor: Anchor,
    },
    CalendarUnknown {
        calendar: Option<String>,
    },
    BeforeGoingLive {
        not_before: Instant,
    },
    DateReached,
    /// The least that a settlement pays, null: no minimum; and what is due with this hold.
    Minimum {
        minimum: Option<Amount>,
        due: Option<Amount>,
    },
}

/// All of them for one hold.
pub(super) fn tests(
    claim: &Claim,
    judgement: &Judgement,
    clock: Clock,
    circumstances: &Circumstances,
) -> Vec<Test> {
    let hold = &claim.hold;
    let stands = |obstacle: &Obstacle| judgement.obstacles.contains(obstacle);
    let test = |name, passes, finding| Test {
        name,
        passes,
        finding,
    };
    let date = date(claim, judgement, clock);
    let minimum = minimum(claim, circumstances);
    vec![
        test(
            "left",
            !hold.left.is_zero(),
            Finding::Left { amount: hold.left },
        ),
        test(
            "pause",
            circumstances.paused.is_none(),
            Finding::Paused {
                why: circumstances.paused.clone(),
            },
        ),
        test(
            "gate",
            !stands(&Obstacle::Gate),
            Finding::Gate {
                open_up_to: clock.gate,
                behind: circumstances.behind.clone(),
            },
        ),
        test(
            "legal or review block",
            !stands(&Obstacle::Barred),
            Finding::Barred {
                barred: hold.barred,
            },
        ),
        test("limit", true, limit(claim, clock)),
        test(
            "other blocks",
            !stands(&Obstacle::Blocked),
            Finding::Blocked {
                blocked: hold.blocked,
                left: hold.left,
            },
        ),
        test("release date", date == Finding::DateReached, date),
        test("settlement minimum", minimum.0, minimum.1),
    ]
}

fn limit(claim: &Claim, clock: Clock) -> Finding {
    let at = claim.hold.limit_at;
    Finding::Limit {
        at,
        passed: at.is_some_and(|at| at <= clock.now),
        releases: claim
            .term()
            .is_some_and(|term| term.at_limit == AtLimit::Release),
    }
}

fn date(claim: &Claim, judgement: &Judgement, clock: Clock) -> Finding {
    let mut obstacles = judgement.obstacles.iter();
    let found = obstacles.find_map(|obstacle| match obstacle {
        Obstacle::NotYet(at) => Some(Finding::NotBefore { at: *at }),
        Obstacle::Pending => Some(Finding::ClockNotStarted {
            anchor: claim.term().map_or(Anchor::Completed, |term| term.anchor),
        }),
        Obstacle::NoCalendar => Some(Finding::CalendarUnknown {
            calendar: claim.agreement.calendar.as_ref().map(ToString::to_string),
        }),
        Obstacle::BeforeStart => Some(Finding::BeforeGoingLive {
            not_before: clock.not_before,
        }),
        _ => None,
    });
    found.unwrap_or(Finding::DateReached)
}

/// Whether the hold's next settlement pays as much as its agreement asks for, as far as is known
/// now: more may become due with it.
fn minimum(claim: &Claim, circumstances: &Circumstances) -> (bool, Finding) {
    let agreed = claim.agreement.settlement.minimum;
    let minimum = Amount::from_plain(agreed, claim.currency).ok();
    let minimum = minimum.filter(|it| !it.is_zero());
    let next = next_free(&claim.hold).and_then(|part| part.dates);
    let due = next.and_then(|dates| circumstances.due.get(&dates.settlement_on));
    let due = due.copied();
    let short = minimum.zip(due).is_some_and(|(minimum, due)| due < minimum);
    (!short, Finding::Minimum { minimum, due })
}

/// The part that goes next: the first of which something is not blocked.
pub(super) fn next_free(hold: &Hold) -> Option<crate::rules::hold::Part> {
    let mut parts = hold.parts();
    parts.find(|part| part.blocked < part.amount)
}
