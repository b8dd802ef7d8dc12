//! The slip that goes with each queued frame and says exactly once what became of it.

/// Why no byte of a frame was, or ever will be, given to the kernel.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NeverSent {
    /// Its time had passed before its first byte could be written.
    TooLate,
    /// There was no room in the queue.
    QueueFull,
    /// The connection, or the task that owned it, is gone.
    Gone,
    /// There is no frame: its message cannot be made.
    Unwritable,
}

/// Who wants to know what became of a frame.
pub trait Receipt {
    /// The first byte was given to the kernel.
    fn written(self);
    /// No byte was or ever will be given to the kernel.
    fn never_sent(self, why: NeverSent);
}

/// A receipt that is given exactly once: as never sent if it is dropped before anything else was said, so that neither an
/// aborted task nor a panic can lose it.
#[derive(Debug)]
pub struct Slip<R: Receipt>(Option<R>);

impl<R: Receipt> Slip<R> {
    /// The slip for `receipt`.
    pub const fn new(receipt: R) -> Self {
        Self(Some(receipt))
    }

    /// Says that the first byte was given to the kernel.
    pub(crate) fn written(mut self) {
        if let Some(receipt) = self.0.take() {
            receipt.written();
        }
    }

    /// Says that no byte was or ever will be given to the kernel.
    pub fn never_sent(mut self, why: NeverSent) {
        if let Some(receipt) = self.0.take() {
            receipt.never_sent(why);
        }
    }

    /// The receipt, which has not been given yet.
    #[must_use]
    pub const fn receipt(&self) -> Option<&R> {
        self.0.as_ref()
    }
}

impl<R: Receipt> Drop for Slip<R> {
    fn drop(&mut self) {
        if let Some(receipt) = self.0.take() {
            receipt.never_sent(NeverSent::Gone);
        }
    }
}

/// For frames of which nobody wants to know.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct NoReceipt;

impl Receipt for NoReceipt {
    fn written(self) {}
    fn never_sent(self, _why: NeverSent) {}
}
