//! I25: no card number, track or PIN block of the run stands in any file of the daemon or its database.

use std::{
    fs,
    path::{Path, PathBuf},
};

use anyhow::{bail, ensure};

/// Looks for the card numbers of the mix, as text and as BCD, in every file of the run and of the database.
pub(super) fn search(dir: &Path, database: Option<&Path>) -> anyhow::Result<()> {
    let mut files = Vec::new();
    collect(dir, &mut files)?;
    if let Some(database) = database {
        collect(database, &mut files)?;
    }
    let numbers = numbers(dir)?;
    ensure!(numbers.len() == 100, "the canaries are missing");
    let needles: Vec<Vec<u8>> = numbers.iter().flat_map(|number| forms(number)).collect();
    for file in files {
        let bytes = fs::read(&file).unwrap_or_default();
        for needle in &needles {
            if memchr::memmem::find(&bytes, needle).is_some() {
                bail!("I25: {} holds a card number in the form {needle:02x?}", file.display());
            }
        }
    }
    Ok(())
}

/// The cards that the mix makes.
fn numbers(dir: &Path) -> anyhow::Result<Vec<String>> {
    let mix = sim::bench::Mix::load(&dir.join("mix.toml"))?;
    let cards = sim::bench::card_numbers(&mix)?;
    Ok(cards.iter().map(|pan| pan.expose().to_owned()).collect())
}

fn forms(number: &str) -> Vec<Vec<u8>> {
    let digit = |text: &[u8]| text.iter().fold(0_u8, |byte, digit| (byte << 4) | (digit & 15));
    let bcd: Vec<u8> = number.as_bytes().chunks(2).map(digit).collect();
    let ebcdic: Vec<u8> = number.bytes().map(|digit| digit | 0xf0).collect();
    let hex: Vec<u8> = number.bytes().flat_map(|digit| [b'3', digit]).collect();
    vec![number.as_bytes().to_vec(), bcd, ebcdic, hex]
}

fn collect(dir: &Path, files: &mut Vec<PathBuf>) -> anyhow::Result<()> {
    for entry in fs::read_dir(dir)? {
        let path = entry?.path();
        if path.is_dir() {
            collect(&path, files)?;
        } else {
            files.push(path);
        }
    }
    Ok(())
}
