//! Black-box tests.

mod world;
