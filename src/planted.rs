//! Bugs planted on purpose, so that the tests' checkers can be seen to find them, and points at
//! which the process can be made to crash.
//!
//! Guarantees that nothing is planted unless the feature `planted-bugs` was built in and
//! `PLANTED_BUG` names the bug (`FAULT_POINT` the point and how often it is passed first,
//! as in `after-commit:7`; `STOP_ORDER` a file with the point to stand still at); a build without the feature answers `false` at compile time.

use std::sync::atomic::{AtomicU32, Ordering};

/// What can be planted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Bug {
    /// The first event of every batch is sent twice.
    PublishTwice,
    /// The first event of every batch is not sent, and what was sent is believed to be there.
    LoseEvents,
    /// Money goes up to two years before its date.
    ReleaseEarly,
    /// A settlement says one release too many.
    MiscountSettlement,
    /// Every merchant's third journal line has no transfer.
    LoseTransfer,
    /// The events of a batch are sent last first.
    SwapEvents,
    /// What was sent counts as published, and a producer is kept whatever became of its
    /// transaction.
    BelieveKafka,
    /// The freshness gate is always open.
    ForgetGate,
    /// Blocked money goes like any other.
    IgnoreBlocks,
    /// A release is written down twice.
    DecideTwice,
    /// Every fiftieth message moves the position and has no effect.
    SkipInput,
    /// A dead letter loses its key.
    MangleLetters,
    /// The publisher stops at the first thing that goes wrong.
    GiveUp,
    /// Positions move in a transaction of their own, before the effects.
    PositionFirst,
    /// A topic that was made anew, or cut short, is read on as if it were the old one.
    TrustInput,
    /// What contradicts the journal in the output topics is overlooked.
    TrustOutput,
    /// A slow or doubtful Kafka transaction is taken for lost and sent again by a new producer, and
    /// nothing is read back.
    SendAgain,
    /// A publisher looks once whether it may be one, and fences nobody.
    IgnoreLease,
    /// A position that another process has moved is taken for lost input.
    HaltOvertaken,
    /// A worker that is told to stop moves its positions past what it has fetched and not applied.
    CloseAhead,
    /// A database without room is taken for a fault of the messages.
    BuryWithoutRoom,
    /// What the database refuses is refused with its whole batch.
    BuryBatch,
    /// Clocks that disagree are believed.
    TrustClocks,
    /// A fact that comes before what it belongs to is not kept.
    ForgetWaiting,
    /// Money that came back from the payout side stays paid.
    IgnoreReturns,
}

impl Bug {
    /// As `PLANTED_BUG` names it.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::PublishTwice => "publish-twice",
            Self::LoseEvents => "lose-events",
            Self::ReleaseEarly => "release-early",
            Self::MiscountSettlement => "miscount-settlement",
            Self::LoseTransfer => "lose-transfer",
            Self::SwapEvents => "swap-events",
            Self::BelieveKafka => "believe-kafka",
            Self::ForgetGate => "forget-gate",
            Self::IgnoreBlocks => "ignore-blocks",
            Self::DecideTwice => "decide-twice",
            Self::SkipInput => "skip-input",
            Self::MangleLetters => "mangle-letters",
            Self::GiveUp => "give-up",
            Self::PositionFirst => "position-first",
            Self::TrustInput => "trust-input",
            Self::TrustOutput => "trust-output",
            Self::SendAgain => "send-again",
            Self::IgnoreLease => "ignore-lease",
            Self::HaltOvertaken => "halt-overtaken",
            Self::CloseAhead => "close-ahead",
            Self::BuryWithoutRoom => "bury-without-room",
            Self::BuryBatch => "bury-batch",
            Self::TrustClocks => "trust-clocks",
            Self::ForgetWaiting => "forget-waiting",
            Self::IgnoreReturns => "ignore-returns",
        }
    }
}

/// Whether this process has the bug.
#[must_use]
#[expect(
    clippy::disallowed_methods,
    reason = "no setting: nothing of it is in a release build"
)]
pub fn is_planted(bug: Bug) -> bool {
    cfg!(feature = "planted-bugs")
        && std::env::var("PLANTED_BUG").is_ok_and(|name| name == bug.name())
}

/// Where a process can be made to crash.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Point {
    /// A batch was read; its transaction has not begun.
    BeforeApply,
    /// A database transaction has written everything and is not committed.
    BeforeCommit,
    /// A database transaction is committed; nobody has heard of it.
    AfterCommit,
    /// The group hears how far input was applied.
    BeforeOffsets,
    AfterOffsets,
    /// A batch of events is about to be sent.
    BeforeSend,
    /// The batch is acknowledged; its Kafka transaction is open.
    BeforeEndTransaction,
    /// The Kafka transaction has ended; nothing was read back.
    AfterEndTransaction,
    /// The batch was read back, which the database does not know yet.
    BeforeNote,
}

impl Point {
    /// All of them.
    pub const ALL: [Self; 9] = [
        Self::BeforeApply,
        Self::BeforeCommit,
        Self::AfterCommit,
        Self::BeforeOffsets,
        Self::AfterOffsets,
        Self::BeforeSend,
        Self::BeforeEndTransaction,
        Self::AfterEndTransaction,
        Self::BeforeNote,
    ];

    /// As `FAULT_POINT` names it.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::BeforeApply => "before-apply",
            Self::BeforeCommit => "before-commit",
            Self::AfterCommit => "after-commit",
            Self::BeforeOffsets => "before-offsets",
            Self::AfterOffsets => "after-offsets",
            Self::BeforeSend => "before-send",
            Self::BeforeEndTransaction => "before-end-transaction",
            Self::AfterEndTransaction => "after-end-transaction",
            Self::BeforeNote => "before-note",
        }
    }
}

/// Lets the process stand still, until somebody lets it go on, when the file that `STOP_ORDER` names
/// holds this point's name. Who finds the file gone knows that it was obeyed.
fn stand_still(point: Point, order: &str) {
    let ordered = std::fs::read_to_string(order).is_ok_and(|name| name == point.name());
    // Of two threads at the point one obeys.
    if ordered && std::fs::remove_file(order).is_ok() {
        tracing::info!(point = point.name(), "standing still");
        let pid = std::process::id().to_string();
        let stopped = std::process::Command::new("kill")
            .args(["-s", "STOP", &pid])
            .status();
        drop(stopped);
    }
}

/// Ends the process, without unwinding or flushing anything, when it was told to at this point.
#[expect(
    clippy::disallowed_methods,
    reason = "no setting: nothing of it is in a release build"
)]
pub fn reached(point: Point) {
    static PASSED: AtomicU32 = AtomicU32::new(0);
    if !cfg!(feature = "planted-bugs") {
        return;
    }
    if let Ok(order) = std::env::var("STOP_ORDER") {
        stand_still(point, &order);
    }
    let Ok(wanted) = std::env::var("FAULT_POINT") else {
        return;
    };
    let (name, times) = wanted.split_once(':').unwrap_or((&wanted, "0"));
    if name == point.name()
        && PASSED.fetch_add(1, Ordering::SeqCst) >= times.parse().unwrap_or_default()
    {
        tracing::error!(point = name, "a fault point was reached");
        std::process::abort();
    }
}
