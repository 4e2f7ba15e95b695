//! Tests with real Apache Kafka and real PostgreSQL.

mod agreements;
mod arrival;
mod clients;
mod harness;
mod processes;
mod releases;
mod whole_way;
