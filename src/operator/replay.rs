//! Dead letters replayed: each in a transaction of its own, by the way of a fresh message, and kept as
//! an operation with its actor and reason. What is refused again changes nothing but what its dead
//! letter says.

use uuid::Uuid;

use super::{By, Operator, OperatorError, refuse};
use crate::ingest::replay::replay;
use crate::store::operations::{About, Operation};
use crate::store::replays::{Ended, Kept, Listed};
use crate::store::{StoreError, Tx};

impl Operator {
    /// Replays one dead letter. Without `by` nothing is changed: the answer is what would happen.
    ///
    /// # Errors
    /// [`OperatorError::Refused`] when a replay has brought it in already.
    pub async fn replay(&self, letter: &Listed, by: Option<&By>) -> Result<Ended, OperatorError> {
        let patience = self.patience();
        loop {
            let ended = self.try_replay(letter, by).await;
            match &ended {
                Err(OperatorError::Store(error)) if error.passes() && patience.lasts() => {
                    patience.pause().await;
                }
                _ => return ended,
            }
        }
    }

    async fn try_replay(&self, letter: &Listed, by: Option<&By>) -> Result<Ended, OperatorError> {
        let mut tx = self.store.begin().await?;
        let operation = tx.operation_id().await?;
        let kept = open(&mut tx, letter).await?;
        let ended = match replay(&mut tx, &self.rules, &kept, operation).await {
            Ok(ended) => ended,
            Err(StoreError::Data { what, source }) => Ended::Refused {
                reason: "value".to_owned(),
                detail: format!("the database refused to {what}: {source}"),
            },
            Err(error) => return Err(error.into()),
        };
        let Some(by) = by else {
            tx.rollback().await?;
            return Ok(ended);
        };
        if matches!(ended, Ended::Refused { .. }) {
            tx.rollback().await?;
            tx = self.store.begin().await?;
            open(&mut tx, letter).await?;
        }
        tx.note_replay(letter, operation, &ended).await?;
        tx.keep_operation(&kept_as(letter, &kept, operation, by))
            .await?;
        tx.commit().await?;
        Ok(ended)
    }
}

async fn open(tx: &mut Tx, letter: &Listed) -> Result<Kept, OperatorError> {
    let place = letter.place();
    match tx.dead_letter(letter).await? {
        Some(kept) if kept.accepted_at.is_none() => Ok(kept),
        Some(_) => refuse(format!("a replay has brought {place} in already")),
        None => refuse(format!("there is no dead letter {place}")),
    }
}

fn kept_as<'a>(letter: &Listed, kept: &Kept, id: Uuid, by: &'a By) -> Operation<'a> {
    let (merchant, order) = kept.about.clone().unzip();
    Operation {
        id,
        kind: "replay",
        actor: &by.actor,
        reason: &by.reason,
        request: serde_json::json!({ "kind": "replay", "dead_letter": letter.place().to_string() }),
        about: About {
            merchant,
            order,
            ..About::default()
        },
        needs_approval: false,
        approves: None,
    }
}
