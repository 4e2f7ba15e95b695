//! The loops of a running service, by name, and how they end: they are waited for, and one that does not
//! end in time is named.

use std::collections::{BTreeSet, HashMap};
use std::future::Future;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use anyhow::bail;
use tokio::task::{Id, JoinSet};

/// How often is looked whether they have ended.
const EVERY: Duration = Duration::from_millis(20);

/// Loops under way.
#[derive(Debug, Default)]
pub(super) struct Loops {
    tasks: JoinSet<()>,
    names: HashMap<Id, &'static str>,
    threads: Vec<(&'static str, JoinHandle<()>)>,
}

impl Loops {
    /// Begins one as a task.
    pub(super) fn spawn(
        &mut self,
        name: &'static str,
        task: impl Future<Output = ()> + Send + 'static,
    ) {
        let id = self.tasks.spawn(task).id();
        self.names.insert(id, name);
    }

    /// Begins one on a thread of its own.
    pub(super) fn thread(&mut self, name: &'static str, run: impl FnOnce() + Send + 'static) {
        self.threads.push((name, std::thread::spawn(run)));
    }

    /// Waits for all to end. Cancelling a task inside a transaction is what must not happen: they are
    /// only waited for.
    ///
    /// # Errors
    /// Which of them did not end within this time, or that one ended with a panic.
    pub(super) async fn ended(mut self, within: Duration) -> anyhow::Result<()> {
        let until = Instant::now() + within;
        loop {
            let left = self.left();
            if left.is_empty() {
                break;
            }
            if Instant::now() >= until {
                self.tasks.detach_all();
                let left = Vec::from_iter(left).join(", ");
                let seconds = within.as_secs();
                bail!(
                    "not everything ended within {seconds} s: {left} did not; nothing is lost, the next start goes on"
                );
            }
            tokio::time::sleep(EVERY).await;
        }
        for (name, thread) in self.threads {
            if thread.join().is_err() {
                bail!("the loop {name} ended with a panic; see the log");
            }
        }
        Ok(())
    }

    /// Those that have not ended.
    fn left(&mut self) -> BTreeSet<&'static str> {
        while let Some(ended) = self.tasks.try_join_next_with_id() {
            let id = ended.map_or_else(|error| error.id(), |(id, ())| id);
            self.names.remove(&id);
        }
        let threads = self.threads.iter();
        let threads = threads.filter(|(_, thread)| !thread.is_finished());
        let threads = threads.map(|(name, _)| *name);
        self.names.values().copied().chain(threads).collect()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;

    use tokio::sync::oneshot;

    use super::*;

    #[tokio::test]
    async fn those_that_do_not_end_in_time_are_named() {
        let (_keeps, waits) = oneshot::channel::<()>();
        let (_holds, blocks) = mpsc::channel::<()>();
        let mut loops = Loops::default();
        loops.spawn("followup", async move { drop(waits.await) });
        loops.spawn("release", async {});
        loops.thread("publish", move || blocks.recv().unwrap_or_default());
        loops.thread("ingest", || {});
        let told = loops.ended(Duration::from_millis(100)).await;
        let told = told.expect_err("two don't end").to_string();
        assert!(
            told.contains("within 0 s: followup, publish did not"),
            "{told}"
        );
    }

    #[tokio::test]
    async fn all_that_end_are_waited_for_and_a_panic_is_told() {
        let mut loops = Loops::default();
        loops.spawn("release", tokio::task::yield_now());
        loops.thread("ingest", || {});
        loops.ended(Duration::from_secs(30)).await.expect("ended");
        let mut loops = Loops::default();
        loops.thread("ingest", || panic!("on purpose"));
        let told = loops.ended(Duration::from_secs(30)).await;
        let told = told.expect_err("a panic").to_string();
        assert!(
            told.contains("the loop ingest ended with a panic"),
            "{told}"
        );
    }
}
