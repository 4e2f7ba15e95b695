//! Wire types: what comes in and goes out over Kafka, and nothing of the rules.
