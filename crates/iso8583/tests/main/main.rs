//! Black-box tests of the codec.

mod broken;
mod random;
mod vectors;
