//! Servers that demand proof and encryption: holdback works with them when it is told rightly, and
//! is never ready, says why and keeps its secrets when it is not.

mod database;
mod kafka;
mod roles;
mod watch;
