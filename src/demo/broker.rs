//! The demo's stand-in for a broker: librdkafka's in-process mock.
//!
//! Guarantees what a demo needs (topics, groups, idempotent writes, other clients may connect), and
//! no more: it has no transactions, keeps records in memory (5 MiB or 100,000 a partition) and
//! proves nothing.

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

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::time::{Duration, Instant};

    use super::*;
    use crate::kafka::{Input, KafkaSettings, Limits, OutRecord, OutputProducer, Polled};
    use crate::message::Record;

    const LIMITS: Limits = Limits {
        max_records: 10,
        max_bytes: 1000,
        wait: Duration::from_millis(100),
        linger: Duration::ZERO,
    };

    /// Polls until the record with this payload has come.
    fn read_until(input: &mut Input, payload: &[u8]) -> Vec<Record> {
        let until = Instant::now() + Duration::from_secs(30);
        let mut read: Vec<Record> = Vec::new();
        while read.last().and_then(|record| record.value.as_deref()) != Some(payload) {
            assert!(Instant::now() < until, "not read");
            match input.poll_batch(&LIMITS).unwrap() {
                Polled::Records(records) => read.extend(records),
                Polled::Assigned(keys) => {
                    let starts: Vec<_> = keys.into_iter().map(|key| (key, 0)).collect();
                    input.assign_at(&starts).unwrap();
                }
                Polled::Revoked => input.unassign().unwrap(),
            }
        }
        read
    }

    #[test]
    fn what_is_written_to_the_stand_in_is_read_from_it() {
        let broker = DemoBroker::start(&[("orders", 2)]).unwrap();
        let settings = KafkaSettings {
            brokers: broker.bootstrap_servers().into(),
            group: "demo".into(),
            name: "demo".into(),
            properties: BTreeMap::new(),
            transactional: false,
            insecure_dev: false,
        };
        let producer = OutputProducer::open(&settings, Duration::from_secs(5)).unwrap();
        let out = |payload: &'static [u8]| OutRecord {
            topic: "orders",
            key: Some(b"M-1"),
            headers: vec![("ce_type", Some(b"t"))],
            payload: Some(payload),
            timestamp_ms: None,
        };
        assert_eq!(
            producer.send_batch([out(b"1"), out(b"2")]).unwrap().records,
            2
        );
        let mut input = Input::open(&settings, &["orders"]).unwrap();
        let read = read_until(&mut input, b"2");
        assert_eq!(read.len(), 2);
        assert_eq!(
            read[0].headers,
            [("ce_type".to_owned(), Some(b"t".to_vec()))]
        );
        assert!(input.close(Duration::from_secs(10)));
    }
}
