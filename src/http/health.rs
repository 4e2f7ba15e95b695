//! `/livez` and `/readyz`. Alive: every loop has ticked lately; an outage of Kafka or Postgres is
//! no reason to restart. Ready: every component says so; what does not is named with its reason.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use serde::Serialize;

/// The heartbeats of this process's loops.
#[derive(Debug, Default)]
pub struct Liveness(Mutex<BTreeMap<&'static str, Pulse>>);

#[derive(Debug, Clone, Copy)]
struct Pulse {
    last: Instant,
    silence_max: Duration,
}

/// One loop's heartbeat. A loop that ends without the process ending goes silent, as it should.
#[derive(Debug, Clone)]
pub struct Heartbeat {
    liveness: Arc<Liveness>,
    name: &'static str,
    silence_max: Duration,
}

impl Liveness {
    /// Expects a beat of the named loop from now on, with at most this long between two.
    #[must_use]
    pub fn heartbeat(self: &Arc<Self>, name: &'static str, silence_max: Duration) -> Heartbeat {
        let heartbeat = Heartbeat {
            liveness: Arc::clone(self),
            name,
            silence_max,
        };
        heartbeat.beat();
        heartbeat
    }

    /// The loops that have been silent for too long, with how long.
    #[must_use]
    pub fn silent(&self) -> BTreeMap<&'static str, Duration> {
        let pulses = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let silences = pulses
            .iter()
            .map(|(name, pulse)| (*name, *pulse, pulse.last.elapsed()));
        silences
            .filter(|(_, pulse, silence)| *silence > pulse.silence_max)
            .map(|(name, _, silence)| (name, silence))
            .collect()
    }
}

impl Heartbeat {
    /// Says that the loop has ticked.
    pub fn beat(&self) {
        let pulse = Pulse {
            last: Instant::now(),
            silence_max: self.silence_max,
        };
        let mut pulses = self
            .liveness
            .0
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        pulses.insert(self.name, pulse);
    }
}

/// What each component says of itself.
#[derive(Debug)]
pub struct Readiness(Mutex<BTreeMap<&'static str, Result<(), String>>>);

impl Readiness {
    /// Ready only when each of these has said so.
    #[must_use]
    pub fn of(components: &[&'static str]) -> Self {
        let not_yet = |name: &&'static str| (*name, Err("has not started yet".to_owned()));
        Self(Mutex::new(components.iter().map(not_yet).collect()))
    }

    /// Says how a component is; a change is logged.
    pub fn set(&self, component: &'static str, state: Result<(), String>) {
        let mut components = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if components.get(component) == Some(&state) {
            return;
        }
        match &state {
            Ok(()) => tracing::info!(component, "ready"),
            Err(reason) => tracing::warn!(component, reason, "not ready"),
        }
        components.insert(component, state);
    }

    /// Why this process is not ready, by component; empty when it is.
    #[must_use]
    pub fn reasons(&self) -> BTreeMap<&'static str, String> {
        let components = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let not_ready = |(name, state): (&&'static str, &Result<(), String>)| {
            state.as_ref().err().map(|reason| (*name, reason.clone()))
        };
        components.iter().filter_map(not_ready).collect()
    }
}

/// The body of `/livez`.
#[derive(Serialize)]
pub(super) struct Alive {
    alive: bool,
    silent: Vec<Silent>,
}

#[derive(Serialize)]
struct Silent {
    name: &'static str,
    seconds: u64,
}

/// The body of `/readyz`.
#[derive(Serialize)]
pub(super) struct Ready {
    ready: bool,
    reasons: Vec<Reason>,
}

#[derive(Serialize)]
struct Reason {
    component: &'static str,
    reason: String,
}

pub(super) async fn livez(State(state): State<super::State>) -> (StatusCode, Json<Alive>) {
    let silent = state.liveness.silent().into_iter();
    let silent: Vec<_> = silent
        .map(|(name, silence)| Silent {
            name,
            seconds: silence.as_secs(),
        })
        .collect();
    let alive = silent.is_empty();
    (status(alive), Json(Alive { alive, silent }))
}

pub(super) async fn readyz(State(state): State<super::State>) -> (StatusCode, Json<Ready>) {
    let reasons = state.readiness.reasons().into_iter();
    let reasons: Vec<_> = reasons
        .map(|(component, reason)| Reason { component, reason })
        .collect();
    let ready = reasons.is_empty();
    (status(ready), Json(Ready { ready, reasons }))
}

fn status(good: bool) -> StatusCode {
    if good {
        StatusCode::OK
    } else {
        StatusCode::SERVICE_UNAVAILABLE
    }
}
