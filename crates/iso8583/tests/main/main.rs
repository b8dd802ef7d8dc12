//! Black-box tests of the codec.

mod vectors;
