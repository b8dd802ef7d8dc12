//! The counter: what terminals ask of the switch itself. Sign-in and sign-off, settlement, upload, parameters and status
//! never meet the engine. Bounded queues lead to a few tasks; a terminal's errands are done by one of them, in order.

mod errand;
mod parameters;
mod told;
mod work;

use std::sync::Arc;

use iso8583::Cause;
use store::{Outage, Store};
use switch_core::{Event, TerminalKey};
use tokio::sync::mpsc;

pub use self::parameters::{Parameters, ParametersError, ParametersFault};
pub(crate) use self::{
    errand::{Errand, errand},
    told::{Told, told},
};
use crate::{
    batches::Batches,
    input::{Input, Inputs, OpenAsk},
};

/// Tasks that do errands.
const CLERKS: usize = 2;
/// Errands that wait for one of them.
const QUEUE: usize = 1_000;

/// What is to be done for a terminal's message.
#[derive(Debug)]
pub(crate) enum Job {
    /// An errand, to be answered.
    Errand(Box<Errand>),
    /// A request whose batch seems to differ: the store is asked again, then the engine gets it.
    Look(TerminalKey, Event),
}

type Queue = mpsc::Sender<(Arc<OpenAsk>, Job)>;

/// The way to the counter. Cheap to clone.
#[derive(Debug, Clone)]
pub(crate) struct Counter {
    queues: Arc<[Queue]>,
    inputs: Inputs,
}

/// What the counter works with.
#[derive(Debug, Clone)]
pub(crate) struct Clerk {
    pub(crate) store: Store,
    pub(crate) batches: Arc<Batches>,
    pub(crate) inputs: Inputs,
    pub(crate) outage: Arc<Outage>,
}

/// The ends of the queues, until there is a store to work with.
pub(crate) type Waiting = Vec<mpsc::Receiver<(Arc<OpenAsk>, Job)>>;

impl Counter {
    pub(crate) fn channel(inputs: &Inputs) -> (Self, Waiting) {
        let (queues, waiting): (Vec<_>, Vec<_>) = (0..CLERKS).map(|_| mpsc::channel(QUEUE)).unzip();
        (Self { queues: queues.into(), inputs: inputs.clone() }, waiting)
    }

    fn queue(&self, terminal: TerminalKey) -> Option<&Queue> {
        let [first, ..] = terminal.0;
        self.queues.get(usize::from(first) % CLERKS)
    }

    /// Hands an errand over; false where too many wait.
    #[must_use]
    pub(crate) fn take(&self, ask: Arc<OpenAsk>, errand: Box<Errand>) -> bool {
        let queue = self.queue(errand.place.terminal);
        queue.is_some_and(|queue| queue.try_send((ask, Job::Errand(errand))).is_ok())
    }

    /// Has the store asked again about a request's batch; where too many wait, it is refused without that.
    pub(crate) fn look(&self, terminal: TerminalKey, ask: Arc<OpenAsk>, event: Event) {
        let Some(queue) = self.queue(terminal) else { return };
        if let Err(full) = queue.try_send((ask, Job::Look(terminal, event))) {
            let (ask, job) = full.into_inner();
            if let Job::Look(_, event) = job {
                self.inputs.send(Input::Ask(ask, refused(event, Cause::BatchDiffers)));
            }
        }
    }
}

impl Clerk {
    /// Begins to work. The tasks end when nobody can ask any more.
    pub(crate) fn start(self, waiting: Waiting) {
        for mut queue in waiting {
            let clerk = self.clone();
            tokio::spawn(async move {
                while let Some((ask, job)) = queue.recv().await {
                    clerk.work(ask, job).await;
                }
            });
        }
    }
}

/// The request with a refusal, which its copies of before do not meet (M6).
fn refused(event: Event, cause: Cause) -> Event {
    match event {
        Event::Request(mut request) => {
            request.refusal = request.refusal.or(Some(cause));
            Event::Request(request)
        }
        other => other,
    }
}
