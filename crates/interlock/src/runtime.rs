//! The threads that carry transactions, apart from those of HTTP, logs and signals, so that a scrape delays no sale.

use std::{io, num::NonZero, thread};

use tokio::runtime::{Builder, Handle, Runtime};
use tokio_util::sync::CancellationToken;

/// Most threads that are taken unasked: one engine feeds them all.
const MOST: usize = 8;
/// Tasks that run before the sockets are looked at again. More makes larger batches, and longer waits.
const TASKS_A_LOOK: u32 = 128;

/// The runtime of the data path. Its tasks end when it is dropped.
pub(crate) struct DataPath {
    handle: Handle,
    stop: CancellationToken,
    thread: Option<thread::JoinHandle<()>>,
    /// With more than one thread; with one, the thread above owns it.
    several: Option<Runtime>,
}

impl DataPath {
    /// Starts `threads` of them; 0 takes half the processors, since database and kernel need the other half.
    ///
    /// # Errors
    /// The system gives no thread.
    pub(crate) fn start(threads: u32) -> io::Result<Self> {
        let threads = match usize::try_from(threads).unwrap_or(MOST) {
            0 => (thread::available_parallelism().map_or(1, NonZero::get) / 2).clamp(1, MOST),
            asked => asked,
        };
        if threads == 1 { Self::single() } else { Self::several(threads) }
    }

    /// One thread: tasks take turns without locks, and what a turn made ready goes on together.
    fn single() -> io::Result<Self> {
        let runtime =
            Builder::new_current_thread().enable_all().event_interval(TASKS_A_LOOK).build()?;
        let handle = runtime.handle().clone();
        let stop = CancellationToken::new();
        let stopped = stop.clone();
        let thread = thread::Builder::new()
            .name("data-path".to_owned())
            .spawn(move || runtime.block_on(stopped.cancelled_owned()))?;
        Ok(Self { handle, stop, thread: Some(thread), several: None })
    }

    fn several(threads: usize) -> io::Result<Self> {
        let runtime = Builder::new_multi_thread()
            .worker_threads(threads)
            .thread_name("data-path")
            .event_interval(TASKS_A_LOOK)
            .enable_all()
            .build()?;
        let (handle, stop) = (runtime.handle().clone(), CancellationToken::new());
        Ok(Self { handle, stop, thread: None, several: Some(runtime) })
    }

    /// Where its tasks are spawned.
    pub(crate) const fn handle(&self) -> &Handle {
        &self.handle
    }

    /// Ends it, and what still runs on it. Blocks until its thread has ended.
    pub(crate) fn end(mut self) {
        self.stop.cancel();
        if let Some(thread) = self.thread.take()
            && thread.join().is_err()
        {
            tracing::error!("the thread of the data path panicked");
        }
    }
}

impl Drop for DataPath {
    fn drop(&mut self) {
        self.stop.cancel();
        // Dropping a runtime waits for its threads, which is not allowed where this one's owner is a task itself.
        if let Some(runtime) = self.several.take() {
            runtime.shutdown_background();
        }
    }
}
