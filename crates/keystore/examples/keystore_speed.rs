//! What the protection of one card costs: `keystore_speed [WHAT] [ROUNDS]` prints microseconds.
#![expect(clippy::print_stdout, reason = "a program that prints figures")]

use std::error::Error;
use std::hint::black_box;
use std::time::Instant;

use iso8583::Pan;
use keystore::CardKeys;

type Done = Result<usize, Box<dyn Error>>;
type Step = fn(&CardKeys, &Pan) -> Done;

/// What is measured, by name.
const STEPS: [(&str, Step); 4] =
    [("seal", seal), ("open", open), ("hash", hash), ("digest", digest)];

/// Bound to these as to an identity.
const PLACE: [u8; 16] = [7; 16];

fn seal(keys: &CardKeys, pan: &Pan) -> Done {
    Ok(black_box(keys.seal_parts(&[pan.expose().as_bytes(), b";", b"3012"], &PLACE)?).len())
}

fn open(keys: &CardKeys, pan: &Pan) -> Done {
    let sealed = keys.seal(pan.expose().as_bytes(), &PLACE)?;
    Ok(black_box(keys.open(&sealed, &PLACE)?).len())
}

fn hash(keys: &CardKeys, pan: &Pan) -> Done {
    Ok(usize::from(black_box(keys.hash(pan))[0]))
}

fn digest(keys: &CardKeys, pan: &Pan) -> Done {
    let parts: [&[u8]; 7] = [
        b"000000",
        b"000000012345",
        b"00",
        b"156",
        pan.expose().as_bytes(),
        &[1, 2, 3, 4, 5, 6, 7, 8],
        &[0, 0x47],
    ];
    Ok(usize::from(black_box(keys.digest(&parts))[0]))
}

fn main() -> Result<(), Box<dyn Error>> {
    let path = std::env::temp_dir().join(format!("keystore-speed-{}.key", std::process::id()));
    CardKeys::init(&path)?;
    let keys = CardKeys::load(&path);
    std::fs::remove_file(&path)?;
    let (keys, pan) = (keys?, Pan::new("6212345678901232")?);
    let mut arguments = std::env::args().skip(1);
    let wanted = arguments.next().unwrap_or_default();
    let rounds: u32 = arguments.next().map_or(Ok(500_000), |text| text.parse())?;
    for (name, step) in STEPS.into_iter().filter(|step| wanted.is_empty() || step.0 == wanted) {
        let mut best = f64::MAX;
        for _ in 0..if wanted.is_empty() { 5 } else { 1 } {
            let start = Instant::now();
            for _ in 0..rounds {
                black_box(step(black_box(&keys), black_box(&pan))?);
            }
            best = best.min(start.elapsed().as_secs_f64());
        }
        println!("{name:8} {:7.3} us", best * 1e6 / f64::from(rounds));
    }
    Ok(())
}
