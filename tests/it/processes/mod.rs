//! The real program as processes, against real Kafka and PostgreSQL: killed, stopped, started
//! twice, cut off from its servers, wrongly configured, and spoken to by other people's clients.

mod books;
mod clocks;
mod faults;
mod interop;
mod lifecycle;
mod measured;
#[cfg(feature = "planted-bugs")]
mod planted;
mod restored;
mod settings;
mod traffic;
