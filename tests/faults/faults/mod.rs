//! The faults: what can be asked for, and what ends each.

mod heal;
mod inject;

use std::time::Instant;

use sqlx::PgConnection;

use crate::disk::Filler;
use crate::slots::Slot;
use crate::twin::Twin;
use crate::upstream::Hanging;

/// Everything that can be asked for with `--fault`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Fault {
    Kill,
    Point,
    Pause,
    Sleep,
    Term,
    Storm,
    Cut,
    Hole,
    Slow,
    EndTxn,
    Produce,
    Init,
    Commit,
    Broker,
    Postgres,
    Backends,
    Connections,
    Lock,
    Disk,
    Clock,
    Twin,
    Hang,
    Lag,
    Recreated,
    Truncated,
    Restore,
}

impl Fault {
    pub const ALL: [Self; 26] = [
        Self::Kill,
        Self::Point,
        Self::Pause,
        Self::Sleep,
        Self::Term,
        Self::Storm,
        Self::Cut,
        Self::Hole,
        Self::Slow,
        Self::EndTxn,
        Self::Produce,
        Self::Init,
        Self::Commit,
        Self::Broker,
        Self::Postgres,
        Self::Backends,
        Self::Connections,
        Self::Lock,
        Self::Disk,
        Self::Clock,
        Self::Twin,
        Self::Hang,
        Self::Lag,
        Self::Recreated,
        Self::Truncated,
        Self::Restore,
    ];

    /// As `--fault` names it; the counters begin with it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Kill => "kill",
            Self::Point => "point",
            Self::Pause => "pause",
            Self::Sleep => "sleep",
            Self::Term => "sigterm",
            Self::Storm => "storm",
            Self::Cut => "cut",
            Self::Hole => "hole",
            Self::Slow => "slow",
            Self::EndTxn => "endtxn",
            Self::Produce => "produce",
            Self::Init => "init",
            Self::Commit => "commit",
            Self::Broker => "broker",
            Self::Postgres => "postgres",
            Self::Backends => "backends",
            Self::Connections => "connections",
            Self::Lock => "lock",
            Self::Disk => "disk",
            Self::Clock => "clock",
            Self::Twin => "twin",
            Self::Hang => "hang",
            Self::Lag => "lag",
            Self::Recreated => "recreated",
            Self::Truncated => "truncated",
            Self::Restore => "restore",
        }
    }

    /// Whether it belongs to the settlement instant rather than to any moment.
    pub fn waits_for_the_boundary(self) -> bool {
        matches!(self, Self::Hang | Self::Lag)
    }

    /// Whether it is what a history ends with.
    pub fn ends(self) -> bool {
        matches!(self, Self::Recreated | Self::Truncated | Self::Restore)
    }

    /// Whether Kafka's protocol itself can make repeats of it, which then must be counted.
    pub fn may_repeat(self) -> bool {
        matches!(
            self,
            Self::EndTxn
                | Self::Produce
                | Self::Init
                | Self::Cut
                | Self::Hole
                | Self::Slow
                | Self::Lag
        )
    }
}

/// What ends a fault.
pub enum Healing {
    /// Which process, and since when it stands still.
    Resume(usize, Instant),
    Weather(usize),
    /// A member that came for a moment only.
    Leave(Box<Slot>),
    Unlock(PgConnection),
    Close(Vec<PgConnection>),
    Abort(Hanging),
    Part(Box<Twin>),
    Room(Filler),
    Clock,
}

/// A fault under way, and when it ends.
pub struct Heal {
    pub at: Instant,
    pub what: Healing,
}
