//! The floors: which crate of ours may import which, read from `cargo metadata`.

use std::path::Path;

use cargo_metadata::{DependencyKind, MetadataCommand};

/// Each crate of the floors with what it may import. Repository chores, tests and benches stand outside.
const FLOORS: &[(&str, &[&str])] = &[
    ("iso8583", &[]),
    ("keystore", &["iso8583"]),
    ("switch-core", &["iso8583"]),
    ("store", &["switch-core"]),
    ("link", &["iso8583"]),
    ("switch", &["switch-core", "iso8583", "store", "link", "keystore"]),
    ("sim", &["iso8583", "link", "keystore"]),
    ("admin", &["switch", "store", "switch-core", "iso8583"]),
    (
        "interlock",
        &["iso8583", "keystore", "switch-core", "store", "link", "switch", "sim", "admin"],
    ),
];

/// Outside the floors, and imported by nobody on them.
const OUTSIDE: &[&str] = &["xtask", "interlock-tests", "interlock-benches"];

/// Crates that must not reach production code.
const TESTS_ONLY: &[&str] = &["iso8583_rs"];

/// The faults of the workspace at `top`.
///
/// # Errors
/// `cargo metadata` fails.
pub(super) fn check(top: &Path) -> anyhow::Result<Vec<String>> {
    let metadata = MetadataCommand::new()
        .current_dir(top)
        .no_deps()
        .other_options(["--offline".to_owned()])
        .exec()?;
    let members: Vec<&str> =
        metadata.packages.iter().map(|package| package.name.as_str()).collect();
    let mut faults = Vec::new();
    for package in &metadata.packages {
        let name = package.name.as_str();
        let allowed = FLOORS.iter().find(|(floor, _)| *floor == name).map(|(_, allowed)| *allowed);
        if allowed.is_none() && !OUTSIDE.contains(&name) {
            faults.push(format!("{name}: stands on no floor; add it to xtask/src/tidy/floors.rs"));
        }
        for dependency in &package.dependencies {
            let import = dependency.name.as_str();
            // Tests of any crate may start a database.
            let is_harness =
                import == "interlock-tests" && dependency.kind == DependencyKind::Development;
            if let Some(allowed) = allowed
                && members.contains(&import)
                && !allowed.contains(&import)
                && !is_harness
            {
                faults.push(format!("{name}: imports {import}, which does not stand below it"));
            }
            if TESTS_ONLY.contains(&import)
                && dependency.kind != DependencyKind::Development
                && allowed.is_some()
            {
                faults.push(format!("{name}: imports {import}, which may not touch live traffic"));
            }
        }
    }
    Ok(faults)
}
