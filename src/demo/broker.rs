//! The demo's stand-in for a broker: librdkafka's in-process mock. Guarantees what a demo needs
//! (topics, groups, idempotent writes, other clients may connect), and no more: it has no
//! transactions, keeps records in memory (5 MiB or 100,000 a partition) and proves nothing.

use std::sync::mpsc;
use std::thread::JoinHandle;

use rdkafka::mocking::MockCluster;

use crate::kafka::Error;

/// A running stand-in; dropping it ends it.
#[derive(Debug)]
pub struct DemoBroker {
    bootstrap_servers: String,
    /// Its end is the thread's sign to stop.
    stop: Option<mpsc::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl DemoBroker {
    /// Starts one broker with these topics (name, partitions). It has no admin interface: other
    /// topics can't be made later. Its clients need `session.timeout.ms` of 6 s or a second member
    /// of a group waits for long (see [`crate::kafka::KafkaSettings::transactional`]).
    ///
    /// # Errors
    /// [`Error::Setting`] when librdkafka refuses.
    pub fn start(topics: &[(&str, i32)]) -> Result<Self, Error> {
        let topics: Vec<(String, i32)> = topics
            .iter()
            .map(|(name, partitions)| ((*name).to_owned(), *partitions))
            .collect();
        let (started, outcome) = mpsc::channel();
        let (stop, stopped) = mpsc::channel::<()>();
        // The mock can't move between threads, so it lives on its own.
        let thread = std::thread::spawn(move || {
            let running = run(&topics);
            let told = match &running {
                Ok(cluster) => started.send(Ok(cluster.bootstrap_servers())),
                Err(why) => started.send(Err(why.clone())),
            };
            if told.is_ok() && running.is_ok() {
                // Returns an error when the sender is dropped: the sign to stop.
                stopped.recv().unwrap_or_default();
            }
        });
        let answer = outcome
            .recv()
            .unwrap_or_else(|_| Err("its thread panicked".into()));
        let bootstrap_servers =
            answer.map_err(|why| Error::Setting(format!("the demo's broker: {why}")))?;
        Ok(Self {
            bootstrap_servers,
            stop: Some(stop),
            thread: Some(thread),
        })
    }

    /// `host:port` for any Kafka client of this machine.
    #[must_use]
    pub fn bootstrap_servers(&self) -> &str {
        &self.bootstrap_servers
    }
}

type Cluster = MockCluster<'static, rdkafka::producer::DefaultProducerContext>;

fn run(topics: &[(String, i32)]) -> Result<Cluster, String> {
    let cluster = MockCluster::new(1).map_err(|error| error.to_string())?;
    for (name, partitions) in topics {
        cluster
            .create_topic(name, *partitions, 1)
            .map_err(|error| format!("topic {name}: {error}"))?;
    }
    Ok(cluster)
}

impl Drop for DemoBroker {
    fn drop(&mut self) {
        drop(self.stop.take());
        if let Some(thread) = self.thread.take()
            && thread.join().is_err()
        {
            tracing::warn!("the demo's broker panicked");
        }
    }
}
