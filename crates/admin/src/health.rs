//! Whether this node can serve: its phase, and whether the store answers.

use std::{
    fmt,
    sync::Arc,
    time::{Duration, Instant},
};

use store::Store;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

/// How often the store is asked.
const EVERY: Duration = Duration::from_secs(1);
/// An answer older than this counts for nothing.
const FRESH: Duration = Duration::from_secs(4);

/// Where the life of the process stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Phase {
    /// Listeners do not accept yet.
    Starting,
    /// Listeners accept.
    Ready,
    /// Nothing new is accepted; what is in flight ends.
    Draining,
}

impl Phase {
    /// The name in answers.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Starting => "starting",
            Self::Ready => "ready",
            Self::Draining => "draining",
        }
    }
}

/// What the node says of itself, asked whenever somebody looks.
#[derive(Clone)]
pub struct Condition(Arc<dyn Fn() -> Told + Send + Sync>);

/// What a node says of itself.
#[derive(Debug, Clone, Default)]
pub struct Told {
    /// Why it shall get no traffic, for people.
    pub hindrance: Option<String>,
    /// The current business day, `YYYY-MM-DD`.
    pub day: Option<String>,
}

impl Condition {
    /// What `ask` gives. It must not wait.
    pub fn new(ask: impl Fn() -> Told + Send + Sync + 'static) -> Self {
        Self(Arc::new(ask))
    }

    pub(crate) fn told(&self) -> Told {
        (self.0)()
    }
}

impl fmt::Debug for Condition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Condition({:?})", self.told())
    }
}

/// What is known of this node's health.
#[derive(Debug, Clone)]
pub(crate) struct Health {
    pub(crate) phase: watch::Receiver<Phase>,
    pub(crate) condition: Condition,
    answered: watch::Receiver<Option<Instant>>,
}

impl Health {
    /// Starts to ask the store, until `stop`.
    pub(crate) fn watch(
        store: Store,
        phase: watch::Receiver<Phase>,
        condition: Condition,
        stop: CancellationToken,
    ) -> Self {
        let (tell, answered) = watch::channel(None);
        tokio::spawn(async move {
            while !stop.is_cancelled() {
                // Its own task: a call of the store is never given up half-way.
                let asked = store.clone();
                if let Ok(Ok(open)) = tokio::spawn(async move { asked.open_cases().await }).await {
                    tell.send_replace(Some(Instant::now()));
                    let cases = u32::try_from(open).unwrap_or(u32::MAX);
                    metrics::gauge!("interlock_cases_open").set(f64::from(cases));
                }
                tokio::select! {
                    () = tokio::time::sleep(EVERY) => {}
                    () = stop.cancelled() => {}
                }
            }
        });
        Self { phase, condition, answered }
    }

    /// Whether the store answered of late.
    pub(crate) fn store_answers(&self) -> bool {
        self.answered.borrow().is_some_and(|at| at.elapsed() < FRESH)
    }

    /// Whether this node takes traffic, else why not.
    pub(crate) fn readiness(&self) -> Result<(), String> {
        match *self.phase.borrow() {
            phase @ (Phase::Starting | Phase::Draining) => Err(phase.name().to_owned()),
            Phase::Ready => match self.condition.told().hindrance {
                Some(hindrance) => Err(hindrance),
                None if self.store_answers() => Ok(()),
                None => Err("the store does not answer".to_owned()),
            },
        }
    }
}
