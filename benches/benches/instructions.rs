//! Instructions of the same operations, counted under valgrind: a figure that no other load on the machine changes.
#![expect(
    missing_docs,
    unused_qualifications,
    reason = "what the macros make is public and spelt out"
)]

use std::hint::black_box;

use anyhow::Result;
use bytes::Bytes;
use gungraun::prelude::*;
use interlock_benches::{
    codec::Sample,
    engine::Load,
    routing::{CARDS, route, table},
};
use iso8583::{DecodeError, EncodeError, Message};
use switch::Routes;

/// As configured by default.
const FINISHED: usize = 20_000;

// what is set up is leaked: moving and dropping it would be counted

fn sample(made: Result<Sample>) -> &'static Sample {
    let sample = Box::leak(Box::new(made.expect("a sample")));
    // the first run touches what later ones find in place
    sample.edit().expect("bytes");
    sample
}

fn load(code: &str) -> &'static mut Load {
    Box::leak(Box::new(Load::new(FINISHED, code).expect("a load")))
}

fn route_of(card: usize) -> (&'static Routes, &'static str) {
    (Box::leak(Box::new(table())), CARDS.get(card).expect("a card").1)
}

#[library_benchmark]
#[bench::cup_pos(sample(Sample::terminal()))]
#[bench::iso87_ascii(sample(Sample::issuer()))]
fn decode(sample: &Sample) -> Result<Message, DecodeError> {
    black_box(sample).decode()
}

#[library_benchmark]
#[bench::cup_pos(sample(Sample::terminal()))]
#[bench::iso87_ascii(sample(Sample::issuer()))]
fn encode(sample: &Sample) -> Result<Bytes, EncodeError> {
    black_box(sample).encode()
}

#[library_benchmark]
#[bench::cup_pos(sample(Sample::terminal()))]
#[bench::iso87_ascii(sample(Sample::issuer()))]
fn edit(sample: &Sample) -> Result<Bytes> {
    black_box(sample).edit()
}

#[library_benchmark]
#[bench::steady(load("00"))]
fn purchase(load: &mut Load) -> u64 {
    black_box(load).purchase().expect("an answer")
}

#[library_benchmark]
#[bench::approval(load("00"))]
#[bench::refusal(load("51"))]
fn repeat(load: &mut Load) -> u64 {
    black_box(load).repeat().expect("an answer")
}

#[library_benchmark]
#[bench::eight(route_of(0))]
#[bench::six(route_of(1))]
#[bench::none(route_of(2))]
fn find((table, card): (&Routes, &str)) -> usize {
    route(black_box(table), black_box(card))
}

library_benchmark_group!(name = codec, benchmarks = [decode, encode, edit]);
library_benchmark_group!(name = engine, benchmarks = [purchase, repeat]);
library_benchmark_group!(name = routing, benchmarks = [find]);
main!(library_benchmark_groups = [codec, engine, routing]);
