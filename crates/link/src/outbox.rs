//! The frames that wait for a socket, and the count of bytes that the kernel took.

use std::{collections::VecDeque, io, io::IoSlice, time::Instant};

use bytes::{Buf, Bytes};

use crate::{NeverSent, Receipt, Slip};

/// A frame to be written, with its length header.
#[derive(Debug)]
pub struct Outgoing<R: Receipt> {
    /// The bytes.
    pub bytes: Bytes,
    /// Says what became of it.
    pub slip: Slip<R>,
    /// If no byte was written by then, none ever is.
    pub not_after: Option<Instant>,
}

/// Frames in the order in which they are written.
#[derive(Debug)]
pub struct Outbox<R: Receipt> {
    /// The first may be partly written: then its slip is gone.
    queue: VecDeque<Waiting<R>>,
    bytes: usize,
    /// No frame that has not been begun is too late before then; may be earlier than need be.
    soonest: Option<Instant>,
}

#[derive(Debug)]
struct Waiting<R: Receipt> {
    bytes: Bytes,
    slip: Option<Slip<R>>,
    not_after: Option<Instant>,
}

/// As many frames go to the kernel at once.
const AT_ONCE: usize = 64;

impl<R: Receipt> Default for Outbox<R> {
    fn default() -> Self {
        Self { queue: VecDeque::new(), bytes: 0, soonest: None }
    }
}

impl<R: Receipt> Outbox<R> {
    /// Queues a frame.
    pub fn push(&mut self, frame: Outgoing<R>) {
        self.bytes += frame.bytes.len();
        self.soonest = sooner(self.soonest, frame.not_after);
        self.queue.push_back(Waiting {
            bytes: frame.bytes,
            slip: Some(frame.slip),
            not_after: frame.not_after,
        });
    }

    /// Whether nothing waits.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.queue.is_empty()
    }

    /// How many frames wait, the one partly written included.
    #[must_use]
    pub fn len(&self) -> usize {
        self.queue.len()
    }

    /// How many bytes wait.
    #[must_use]
    pub const fn bytes(&self) -> usize {
        self.bytes
    }

    /// When to call [`expire`](Self::expire) next, if ever.
    #[must_use]
    pub const fn next_deadline(&self) -> Option<Instant> {
        self.soonest
    }

    /// Drops the frames that have not been begun and are too late at `now`, wherever they stand.
    pub fn expire(&mut self, now: Instant) {
        if self.soonest.is_none_or(|soonest| soonest >= now) {
            return;
        }
        self.soonest = None;
        for mut frame in std::mem::take(&mut self.queue) {
            let limit = frame.slip.as_ref().and(frame.not_after);
            if limit.is_some_and(|limit| limit < now) {
                self.bytes -= frame.bytes.len();
                if let Some(slip) = frame.slip.take() {
                    slip.never_sent(NeverSent::TooLate);
                }
            } else {
                self.soonest = sooner(self.soonest, limit);
                self.queue.push_back(frame);
            }
        }
    }

    /// Drops the frames that have not been begun but those whose receipt `stays`; their slips say that they were never sent.
    pub fn withdraw(&mut self, stays: impl Fn(&R) -> bool) {
        for mut frame in std::mem::take(&mut self.queue) {
            let goes = frame.slip.as_ref().and_then(Slip::receipt).is_some_and(|own| !stays(own));
            if goes {
                self.bytes -= frame.bytes.len();
                if let Some(slip) = frame.slip.take() {
                    slip.never_sent(NeverSent::Gone);
                }
            } else {
                self.queue.push_back(frame);
            }
        }
    }

    /// Writes what waits with `write`, which gives the number of bytes that the kernel took; the frames that are too late
    /// are dropped first. Gives how many bytes went, until nothing waits or `write` says `WouldBlock`.
    ///
    /// # Errors
    /// What `write` says, but `WouldBlock` and `Interrupted`.
    pub fn flush(
        &mut self,
        now: impl Fn() -> Instant,
        mut write: impl FnMut(&[IoSlice<'_>]) -> io::Result<usize>,
    ) -> io::Result<usize> {
        let mut total = 0;
        loop {
            self.expire(now());
            if self.queue.is_empty() {
                return Ok(total);
            }
            let mut slices = [IoSlice::new(&[]); AT_ONCE];
            for (slice, frame) in slices.iter_mut().zip(&self.queue) {
                *slice = IoSlice::new(&frame.bytes);
            }
            let count = self.queue.len().min(AT_ONCE);
            match write(slices.get(..count).unwrap_or(&[])) {
                Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
                Ok(taken) => {
                    total += taken;
                    self.took(taken);
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(total),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
    }

    /// The kernel took `taken` bytes.
    fn took(&mut self, mut taken: usize) {
        self.bytes -= taken.min(self.bytes);
        while taken > 0 {
            let Some(frame) = self.queue.front_mut() else { return };
            if let Some(slip) = frame.slip.take() {
                slip.written();
            }
            if taken < frame.bytes.len() {
                frame.bytes.advance(taken);
                return;
            }
            taken -= frame.bytes.len();
            self.queue.pop_front();
        }
    }
}

/// The earlier of two times, where both are set.
pub(crate) fn sooner(left: Option<Instant>, right: Option<Instant>) -> Option<Instant> {
    match (left, right) {
        (Some(left), Some(right)) => Some(left.min(right)),
        (one, other) => one.or(other),
    }
}

#[cfg(test)]
mod tests {
    use std::{sync::mpsc, time::Duration};

    use super::*;

    struct Tell(&'static str, mpsc::Sender<(&'static str, Option<NeverSent>)>);

    impl Receipt for Tell {
        fn written(self) {
            self.1.send((self.0, None)).expect("test listens");
        }
        fn never_sent(self, why: NeverSent) {
            self.1.send((self.0, Some(why))).expect("test listens");
        }
    }

    #[test]
    fn each_frame_is_told_of_once_and_at_its_first_byte() {
        let (told, heard) = mpsc::channel();
        let now = Instant::now();
        let mut outbox = Outbox::default();
        for (name, late) in [("a", false), ("b", true), ("c", false), ("d", false)] {
            let not_after = late.then(|| now - Duration::from_millis(1));
            let slip = Slip::new(Tell(name, told.clone()));
            outbox.push(Outgoing { bytes: Bytes::from_static(b"1234"), slip, not_after });
        }
        // The kernel takes one byte, then four (the rest of a, one of c), then no more.
        let mut takes = vec![4, 1];
        let flushed =
            outbox.flush(|| now, |_| takes.pop().ok_or_else(|| io::ErrorKind::WouldBlock.into()));
        assert_eq!(flushed.expect("no error"), 5);
        assert_eq!((outbox.bytes(), outbox.len()), (7, 2));
        let so_far: Vec<_> = heard.try_iter().collect();
        assert_eq!(so_far, [("b", Some(NeverSent::TooLate)), ("a", None), ("c", None)]);
        drop(outbox);
        let rest: Vec<_> = heard.try_iter().collect();
        assert_eq!(rest, [("d", Some(NeverSent::Gone))]);
    }

    #[test]
    fn what_is_withdrawn_was_never_sent_but_what_was_begun_is_finished() {
        let (told, heard) = mpsc::channel();
        let mut outbox = Outbox::default();
        for name in ["begun", "withdrawn", "stays"] {
            let slip = Slip::new(Tell(name, told.clone()));
            outbox.push(Outgoing { bytes: Bytes::from_static(b"1234"), slip, not_after: None });
        }
        let mut takes = vec![1];
        let mut some =
            |_: &[IoSlice<'_>]| takes.pop().ok_or_else(|| io::ErrorKind::WouldBlock.into());
        outbox.flush(Instant::now, &mut some).expect("no error");
        outbox.withdraw(|own| own.0 == "stays");
        assert_eq!((outbox.bytes(), outbox.len()), (7, 2));
        outbox.flush(Instant::now, |slices| Ok(slices.iter().map(|s| s.len()).sum())).expect("all");
        let all: Vec<_> = heard.try_iter().collect();
        assert_eq!(all, [("begun", None), ("withdrawn", Some(NeverSent::Gone)), ("stays", None)]);
    }

    #[test]
    fn a_panic_in_the_writer_loses_no_slip() {
        let (told, heard) = mpsc::channel();
        let slip = Slip::new(Tell("a", told));
        let task = std::thread::spawn(move || {
            let mut outbox = Outbox::default();
            outbox.push(Outgoing { bytes: Bytes::from_static(b"1"), slip, not_after: None });
            let _ = outbox.flush(Instant::now, |_| panic!("planned"));
        });
        assert!(task.join().is_err());
        assert_eq!(heard.recv(), Ok(("a", Some(NeverSent::Gone))));
    }
}
