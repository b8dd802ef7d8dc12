//! Messages to and from frames.
