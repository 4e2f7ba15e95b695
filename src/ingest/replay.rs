//! A refused message taken in again, by the way that a fresh one goes.
//!
//! It counts as a message that comes now: its business time is judged against the database's time,
//! and so are deadlines that begin with it; repeats are recognised as ever. Where it lies in Kafka
//! stays what people find it by.

use uuid::Uuid;

use super::work::Work;
use super::{Batch, Rules};
use crate::message::Record;
use crate::store::agreements::Catalogue;
use crate::store::replays::{Ended, Kept};
use crate::store::{StoreError, Tx};
use crate::telemetry::Outcome;

/// Takes the message in, inside the transaction; when it is accepted, the review block that it put
/// on its order is lifted. After [`Ended::Refused`] the transaction must be rolled back.
///
/// # Errors
/// When the database fails.
pub(crate) async fn replay(
    tx: &mut Tx,
    rules: &Rules,
    letter: &Kept,
    operation: Uuid,
) -> Result<Ended, StoreError> {
    let place = letter.record.place();
    let record = Record {
        timestamp: Some(tx.now),
        ..letter.record.clone()
    };
    let batch = Batch::read(vec![record], rules);
    let mut work = Work::on(batch.records(), rules);
    work.operation = Some(operation);
    let about = letter.about.iter().cloned();
    work.trusted = about.map(|order| (order, place.clone())).collect();
    batch.work(&mut work, tx, &mut Catalogue::default()).await?;
    if let Some(again) = work.letters.iter().find(|it| it.record.place() == place) {
        return Ok(Ended::Refused {
            reason: again.reason.to_owned(),
            detail: again.detail.clone(),
        });
    }
    let applied = work.finish(tx).await?;
    let came_to = [Outcome::Kept, Outcome::Duplicate];
    let mut came_to = came_to.into_iter().filter(|it| applied.count(*it) > 0);
    Ok(Ended::Accepted(came_to.next().unwrap_or(Outcome::Applied)))
}
