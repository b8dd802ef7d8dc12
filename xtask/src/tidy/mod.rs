//! What no compiler checks: floors, sizes of files, names of migrations, and that documents keep up with the code.

mod documents;
mod files;
mod floors;

use std::path::Path;

/// What was found.
pub(crate) struct Report {
    /// One line a fault.
    pub(crate) faults: Vec<String>,
    /// Figures of the whole.
    pub(crate) summary: String,
}

/// Checks the repository at `top`.
///
/// # Errors
/// A file or the workspace's metadata cannot be read.
pub(crate) fn check(top: &Path) -> anyhow::Result<Report> {
    let mut faults = floors::check(top)?;
    let summary = files::check(top, &mut faults)?;
    documents::check(top, &mut faults)?;
    Ok(Report { faults, summary })
}

#[cfg(test)]
mod tests {
    #[test]
    fn the_repository_is_tidy() {
        let report = super::check(&crate::top().expect("the top")).expect("readable");
        assert!(report.faults.is_empty(), "{}", report.faults.join("\n"));
    }
}
