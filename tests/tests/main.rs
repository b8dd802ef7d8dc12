//! Black-box tests.

mod foreign;
mod malformed;
mod programs;
mod world;
