//! Tests with real Apache Kafka and real PostgreSQL.

mod agreements;
mod arrival;
mod clients;
mod harness;
mod payouts;
mod processes;
mod releases;
mod strangers;
mod whole_way;
