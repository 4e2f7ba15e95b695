//! Tests with real Apache Kafka and real PostgreSQL.

mod agreements;
mod arrival;
mod clients;
mod harness;
mod processes;
mod payouts;
mod releases;
mod strangers;
mod whole_way;
