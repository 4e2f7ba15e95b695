//! The rules' words under the numbers that columns keep of them. A number never changes its word.

use super::StoreError;
use crate::rules::fact::{DisputeKind, DisputeOutcome, FactKind};
use crate::rules::order::BlockKind;
use crate::rules::review::{ClosedBy, Decision};

pub(super) fn number_kind(number: i16) -> Result<DisputeKind, StoreError> {
    DISPUTE_KINDS
        .into_iter()
        .find(|kind| kind_number(*kind) == number)
        .ok_or_else(|| StoreError::Unreadable(format!("dispute kind {number}")))
}

const DISPUTE_KINDS: [DisputeKind; 5] = [
    DisputeKind::Complaint,
    DisputeKind::Return,
    DisputeKind::Exchange,
    DisputeKind::Chargeback,
    DisputeKind::Inquiry,
];

pub(super) fn kind_number(kind: DisputeKind) -> i16 {
    match kind {
        DisputeKind::Complaint => 1,
        DisputeKind::Return => 2,
        DisputeKind::Exchange => 3,
        DisputeKind::Chargeback => 4,
        DisputeKind::Inquiry => 5,
    }
}

pub(super) fn number_outcome(number: i16) -> Result<DisputeOutcome, StoreError> {
    DISPUTE_OUTCOMES
        .into_iter()
        .find(|outcome| outcome_number(*outcome) == number)
        .ok_or_else(|| StoreError::Unreadable(format!("dispute outcome {number}")))
}

const DISPUTE_OUTCOMES: [DisputeOutcome; 4] = [
    DisputeOutcome::Won,
    DisputeOutcome::Withdrawn,
    DisputeOutcome::Resolved,
    DisputeOutcome::Lost,
];

pub(super) fn outcome_number(outcome: DisputeOutcome) -> i16 {
    match outcome {
        DisputeOutcome::Won => 1,
        DisputeOutcome::Withdrawn => 2,
        DisputeOutcome::Resolved => 3,
        DisputeOutcome::Lost => 4,
    }
}

pub(super) fn number_block(number: i16) -> Result<BlockKind, StoreError> {
    match number {
        1 => Ok(BlockKind::Review),
        2 => Ok(BlockKind::Legal),
        3 => Ok(BlockKind::Manual),
        _ => Err(StoreError::Unreadable(format!("block kind {number}"))),
    }
}

pub(super) fn block_number(kind: BlockKind) -> i16 {
    match kind {
        BlockKind::Review => 1,
        BlockKind::Legal => 2,
        BlockKind::Manual => 3,
    }
}

pub(super) fn cause_kind(text: &str) -> Result<&'static str, StoreError> {
    [
        "refund",
        "chargeback",
        "dispute",
        "adjustment",
        "withdrawal",
        "import",
        "reconcile",
    ]
    .into_iter()
    .find(|kind| *kind == text)
    .ok_or_else(|| StoreError::Unreadable(format!("receivable cause {text}")))
}

pub(super) fn fact_number(kind: FactKind) -> i16 {
    match kind {
        FactKind::Completed => 1,
        FactKind::Confirmed => 2,
        FactKind::Delivered => 3,
        FactKind::Cancelled => 4,
        FactKind::Refunded => 5,
        FactKind::DisputeOpened => 6,
        FactKind::DisputeUpdated => 7,
        FactKind::DisputeClosed => 8,
        FactKind::ReviewRequested => 9,
        FactKind::ReviewAnswered => 10,
        FactKind::ReviewDecided => 11,
        FactKind::RefundReversed => 12,
    }
}

pub(super) fn number_fact(number: i16) -> Result<FactKind, StoreError> {
    FactKind::ALL
        .into_iter()
        .find(|kind| fact_number(*kind) == number)
        .ok_or_else(|| StoreError::Unreadable(format!("fact kind {number}")))
}

pub(super) fn number_decision(number: i16) -> Result<Decision, StoreError> {
    match number {
        1 => Ok(Decision::Passed),
        2 => Ok(Decision::Rejected),
        _ => Err(StoreError::Unreadable(format!("review decision {number}"))),
    }
}

pub(super) fn decision_number(decision: Decision) -> i16 {
    match decision {
        Decision::Passed => 1,
        Decision::Rejected => 2,
    }
}

pub(super) fn number_closed_by(number: i16) -> Result<ClosedBy, StoreError> {
    match number {
        1 => Ok(ClosedBy::Event),
        2 => Ok(ClosedBy::Silence),
        3 => Ok(ClosedBy::Person),
        _ => Err(StoreError::Unreadable(format!("review's end by {number}"))),
    }
}

pub(super) fn closed_by_number(by: ClosedBy) -> i16 {
    match by {
        ClosedBy::Event => 1,
        ClosedBy::Silence => 2,
        ClosedBy::Person => 3,
    }
}
