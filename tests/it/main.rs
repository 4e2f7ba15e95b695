//! Tests with real Apache Kafka and real PostgreSQL.

mod clients;
mod harness;
mod processes;
