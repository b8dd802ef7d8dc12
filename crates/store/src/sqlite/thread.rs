//! The thread of the embedded back end's writers.
//!
//! A batch takes some ten messages to and from the thread of SQLite's connection. On a busy runtime each would wait for
//! all that is ready there, and the database for them.

use std::{future::Future, io, thread};

use tokio::{
    runtime::{Builder, Handle},
    sync::oneshot,
    task::JoinHandle,
};

/// A thread with a runtime, which ends, and what still runs on it, when this is dropped.
#[derive(Debug)]
pub(crate) struct Thread {
    handle: Handle,
    /// Never sent: its end is the sign.
    _alive: oneshot::Sender<()>,
}

impl Thread {
    pub(super) fn start() -> io::Result<Self> {
        let runtime = Builder::new_current_thread().enable_all().build()?;
        let handle = runtime.handle().clone();
        let (alive, ended) = oneshot::channel();
        thread::Builder::new()
            .name("sqlite-writers".to_owned())
            .spawn(move || drop(runtime.block_on(ended)))?;
        Ok(Self { handle, _alive: alive })
    }

    pub(crate) fn spawn<F>(&self, task: F) -> JoinHandle<F::Output>
    where
        F: Future<Output: Send + 'static> + Send + 'static,
    {
        self.handle.spawn(task)
    }
}
