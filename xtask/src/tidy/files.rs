//! Rooms of a size to live in: lengths of source files, their first lines, and equal names of migrations.

use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
};

/// No file outside tests is longer.
const LONGEST: usize = 800;
/// Nine in ten files are shorter.
const LONG: usize = 450;

/// Adds the faults of the files under `top`; gives their figures.
///
/// # Errors
/// A file cannot be read.
pub(super) fn check(top: &Path, faults: &mut Vec<String>) -> anyhow::Result<String> {
    let mut lengths = Vec::new();
    for root in ["crates", "xtask", "tests", "benches"] {
        for path in sources(&top.join(root), "rs")? {
            let shown = path.strip_prefix(top).unwrap_or(&path).display().to_string();
            let text = fs::read_to_string(&path)?;
            let is_compile_fail = path.with_extension("stderr").exists();
            if !is_compile_fail && !text.starts_with("//!") {
                faults.push(format!("{shown}:1: the first line says with //! why the file exists"));
            }
            let is_test = shown.contains("tests/") || shown.ends_with("tests.rs");
            let length = text.lines().count();
            if length > LONGEST && !is_test {
                faults.push(format!("{shown}: {length} lines, more than {LONGEST}"));
            }
            if !is_test {
                lengths.push(length);
            }
        }
    }
    lengths.sort_unstable();
    let at = |part: usize| lengths.get(lengths.len() * part / 100).copied().unwrap_or(0);
    if at(90) > LONG {
        faults.push(format!("more than one file in ten has over {LONG} lines"));
    }
    migrations(top, faults)?;
    Ok(format!("{} files, median {} lines, nine in ten under {}", lengths.len(), at(50), at(90)))
}

/// Both back ends have migrations of the same names.
fn migrations(top: &Path, faults: &mut Vec<String>) -> anyhow::Result<()> {
    let names = |back_end: &str| -> anyhow::Result<BTreeSet<String>> {
        let found = sources(&top.join("migrations").join(back_end), "sql")?;
        Ok(found
            .iter()
            .filter_map(|path| Some(path.file_name()?.to_string_lossy().into_owned()))
            .collect())
    };
    let (postgres, sqlite) = (names("postgres")?, names("sqlite")?);
    for name in postgres.symmetric_difference(&sqlite) {
        faults.push(format!("migrations: {name} exists for one back end only"));
    }
    Ok(())
}

/// All files under `directory` with this extension, sorted; none if it does not exist.
///
/// # Errors
/// A directory cannot be read.
pub(super) fn sources(directory: &Path, extension: &str) -> anyhow::Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    if !directory.is_dir() {
        return Ok(found);
    }
    for entry in fs::read_dir(directory)? {
        let path = entry?.path();
        if path.is_dir() {
            if path.file_name().is_none_or(|name| name != "target") {
                found.extend(sources(&path, extension)?);
            }
        } else if path.extension().is_some_and(|found| found == extension) {
            found.push(path);
        }
    }
    found.sort();
    Ok(found)
}
