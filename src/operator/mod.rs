//! What people do: pauses of releases.
//!
//! Guarantees that each act is one transaction, that it is kept with its actor and reason in a table
//! that is only appended to, and that it races with nothing: rows and the pauses' table are locked as
//! by everybody else.

pub mod commands;
mod request;

use crate::rules::pause::Pause;
use crate::store::operations::Operation;
use crate::store::{Store, StoreError, Tx};
use uuid::Uuid;

pub use request::{By, Request};

/// Carries out what people ask for.
#[derive(Debug, Clone)]
pub struct Operator {
    store: Store,
}

/// What became of a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer {
    /// The operation under which it is kept.
    pub operation: Uuid,
    /// What happened, for people.
    pub says: String,
}

/// Why a request was not carried out; nothing has changed then.
#[derive(Debug, thiserror::Error)]
pub enum OperatorError {
    /// It can't be done as things stand.
    #[error("{0}")]
    Refused(String),
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// One operation under way.
struct Act<'a> {
    id: Uuid,
    by: &'a By,
}

impl Operator {
    /// Over this store.
    #[must_use]
    pub fn new(store: Store) -> Self {
        Self { store }
    }

    /// Carries out a request.
    ///
    /// # Errors
    /// [`OperatorError::Refused`] when it can't be done as things stand.
    pub async fn submit(&self, request: &Request, by: &By) -> Result<Answer, OperatorError> {
        let mut tx = self.store.begin().await?;
        let id = tx.operation_id().await?;
        let says = self.carry_out(&mut tx, request, &Act { id, by }).await;
        match says {
            Ok(says) => {
                tx.commit().await?;
                let operation = id;
                Ok(Answer { operation, says })
            }
            Err(error) => {
                tx.rollback().await?;
                Err(error)
            }
        }
    }

    async fn carry_out(
        &self,
        tx: &mut Tx,
        request: &Request,
        act: &Act<'_>,
    ) -> Result<String, OperatorError> {
        let says = match request {
            Request::Pause { scope } => {
                let pause = Pause {
                    scope: scope.clone(),
                    actor: act.by.actor.clone(),
                    reason: act.by.reason.clone(),
                    since: tx.now,
                };
                if !tx.begin_pause(&pause, act.id).await? {
                    return refuse(format!("{scope} are paused already"));
                }
                format!(
                    "{scope} are paused: nothing is decided any more, what was decided goes out"
                )
            }
            Request::Resume { scope } => {
                if !tx.end_pause(scope, act.id).await? {
                    return refuse(format!("there is no pause of {scope}"));
                }
                format!("{scope} are no longer paused by this")
            }
        };
        let operation = act.operation(request)?;
        tx.keep_operation(&operation).await?;
        Ok(says)
    }
}

impl<'a> Act<'a> {
    fn operation(&self, request: &Request) -> Result<Operation<'a>, StoreError> {
        let body = serde_json::to_value(request);
        Ok(Operation {
            id: self.id,
            kind: request.kind(),
            actor: &self.by.actor,
            reason: &self.by.reason,
            request: body.map_err(|error| StoreError::Unreadable(error.to_string()))?,
            about: request.about(),
            needs_approval: false,
            approves: None,
        })
    }
}

fn refuse<T>(why: String) -> Result<T, OperatorError> {
    Err(OperatorError::Refused(why))
}
