//! Black-box tests.

mod days;
mod foreign;
mod malformed;
mod programs;
mod world;
