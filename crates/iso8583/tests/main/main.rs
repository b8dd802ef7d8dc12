//! Black-box tests of the codec.

mod broken;
mod random;
mod response_codes;
mod vectors;
