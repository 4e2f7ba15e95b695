//! Bugs planted on purpose, so that the tests' checkers can be seen to find them.
//!
//! Guarantees that nothing is planted unless the feature `planted-bugs` was built in and
//! `PLANTED_BUG` names the bug; a build without the feature answers `false` at compile
//! time.

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
