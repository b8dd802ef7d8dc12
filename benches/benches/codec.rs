//! How long the codec takes, beside what another crate takes for the nearest message.

use std::{env, os::unix::process::CommandExt as _, process::Command};

use anyhow::{Context as _, Result, ensure};
use criterion::{Criterion, Throughput};
use interlock_benches::codec::Sample;
use iso8583_rs::iso8583::iso_spec::{Spec, spec};

#[global_allocator]
static MEMORY: mimalloc::MiMalloc = mimalloc::MiMalloc;

const SPEC_FILE: &str = "SPEC_FILE";
const SPEC: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/data/iso8583_rs.yaml");

fn main() -> Result<()> {
    if env::var_os(SPEC_FILE).is_none_or(|file| file != SPEC) {
        // the other crate reads its specification from the environment, which a process may not change for itself
        let arguments = env::args_os().skip(1);
        let failed = Command::new(env::current_exe()?).args(arguments).env(SPEC_FILE, SPEC).exec();
        return Err(failed.into());
    }
    let mut criterion = Criterion::default().configure_from_args();
    let (terminal, issuer) = (Sample::terminal()?, Sample::issuer()?);
    ours(&mut criterion, "codec/cup-pos", &terminal);
    ours(&mut criterion, "codec/iso87-ascii", &issuer);
    baseline(&mut criterion, &issuer)?;
    criterion.final_summary();
    Ok(())
}

fn ours(criterion: &mut Criterion, name: &str, sample: &Sample) {
    let mut group = criterion.benchmark_group(name);
    group.throughput(Throughput::Elements(1));
    group.bench_function("decode", |bencher| bencher.iter(|| sample.decode()));
    group.bench_function("encode", |bencher| bencher.iter(|| sample.encode()));
    group.bench_function("decode, set 11, encode", |bencher| bencher.iter(|| sample.edit()));
    group.finish();
}

/// The issuer's message as `iso8583_rs` takes it.
///
/// What differs: its bitmap is binary where ours is hexadecimal text, all else is the same bytes. It copies each value
/// into a map by name and checks no content; ours leaves the values in the frame and checks digits.
/// Its `assemble` writes no length header.
fn baseline(criterion: &mut Criterion, issuer: &Sample) -> Result<()> {
    let spec = spec("");
    let mut frame = with_binary_bitmap(issuer.frame())?;
    let parsed = parse(spec, &mut frame)?;
    ensure!(parsed.fd_map.len() == issuer.decode()?.fields().count() + 2, "not the same fields");
    let assembled = parsed.assemble().map_err(|error| anyhow::anyhow!(error.msg))?;
    ensure!(assembled == frame, "not the same bytes");
    let mut group = criterion.benchmark_group("codec/iso8583_rs");
    group.throughput(Throughput::Elements(1));
    group.bench_function("decode", |bencher| bencher.iter(|| spec.parse(&mut frame).is_ok()));
    group.bench_function("encode", |bencher| bencher.iter(|| parsed.assemble()));
    group.bench_function("decode, set 11, encode", |bencher| {
        bencher.iter(|| {
            let mut message = parse(spec, &mut frame)?;
            message.set_on(11, "654321").map_err(|error| anyhow::anyhow!(error.msg))?;
            message.assemble().map_err(|error| anyhow::anyhow!(error.msg))
        });
    });
    group.finish();
    Ok(())
}

fn parse(
    spec: &'static Spec,
    frame: &mut Vec<u8>,
) -> Result<iso8583_rs::iso8583::iso_spec::IsoMsg> {
    spec.parse(frame).map_err(|error| anyhow::anyhow!(error.msg))
}

/// The frame with eight bytes for the sixteen characters of its bitmap.
fn with_binary_bitmap(frame: &[u8]) -> Result<Vec<u8>> {
    let (mti, rest) = frame.split_at_checked(4).context("no MTI")?;
    let (bitmap, fields) = rest.split_at_checked(16).context("no bitmap")?;
    let bitmap = u64::from_str_radix(std::str::from_utf8(bitmap)?, 16)?;
    Ok([mti, &bitmap.to_be_bytes(), fields].concat())
}
