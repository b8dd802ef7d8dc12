//! Documents keep up with the code: metrics, effects, rules of money and invariants, local links.

use std::{collections::BTreeSet, fs, path::Path};

use super::files::sources;

/// Adds what the documents at `top` leave out or get wrong.
///
/// # Errors
/// A file cannot be read.
pub(super) fn check(top: &Path, faults: &mut Vec<String>) -> anyhow::Result<()> {
    let read = |name: &str| fs::read_to_string(top.join(name)).unwrap_or_default();
    metrics(top, &read("docs/operations.md"), faults)?;
    effects(&read("crates/switch-core/src/effect.rs"), &read("ARCHITECTURE.md"), faults);
    let money = read("docs/money.md");
    for (letter, last) in [("M", 16), ("I", 26)] {
        for number in 1..=last {
            let rule = format!("**{letter}{number}**");
            if !money.contains(&rule) {
                faults.push(format!("docs/money.md: {rule} is missing"));
            }
        }
    }
    let readme = read("README.md").lines().count();
    if readme > 150 {
        faults.push(format!("README.md: {readme} lines, more than 150"));
    }
    links(top, faults)
}

/// Every metric in the code stands in the table, and the other way round.
fn metrics(top: &Path, table: &str, faults: &mut Vec<String>) -> anyhow::Result<()> {
    let mut used = BTreeSet::new();
    for path in sources(&top.join("crates"), "rs")? {
        used.extend(metric_names(&fs::read_to_string(path)?, '"'));
    }
    let documented: BTreeSet<String> = metric_names(table, '`').into_iter().collect();
    for name in used.difference(&documented) {
        faults.push(format!("docs/operations.md: metric {name} is not documented"));
    }
    for name in documented.difference(&used) {
        faults.push(format!("docs/operations.md: metric {name} is in no code"));
    }
    Ok(())
}

/// Names that begin with the prefix of our metrics straight after `quote`.
fn metric_names(text: &str, quote: char) -> Vec<String> {
    let start = format!("{quote}interlock_");
    text.match_indices(&start)
        .filter_map(|(at, _)| {
            let name = text.get(at + 1..)?;
            let end =
                name.find(|c: char| !c.is_ascii_lowercase() && !c.is_ascii_digit() && c != '_')?;
            name.get(..end)
                .filter(|name| !name.ends_with('_') && *name != "interlock_tests")
                .map(str::to_owned)
        })
        .collect()
}

/// Every effect of the engine is explained in ARCHITECTURE.md.
fn effects(code: &str, document: &str, faults: &mut Vec<String>) {
    let Some((_, body)) = code.split_once("pub enum Effect {") else {
        faults.push("crates/switch-core/src/effect.rs: no `pub enum Effect`".to_owned());
        return;
    };
    for line in body.lines().take_while(|line| !line.starts_with('}')) {
        let Some(variant) =
            line.strip_prefix("    ").filter(|line| line.starts_with(char::is_uppercase))
        else {
            continue;
        };
        let name: String = variant.chars().take_while(|c| c.is_alphanumeric()).collect();
        if !document.contains(&format!("`{name}`")) {
            faults.push(format!("ARCHITECTURE.md: the effect `{name}` is not explained"));
        }
    }
}

/// Every link to a file of ours leads somewhere.
fn links(top: &Path, faults: &mut Vec<String>) -> anyhow::Result<()> {
    let mut documents = sources(&top.join("docs"), "md")?;
    documents.extend(
        fs::read_dir(top)?
            .filter_map(|entry| Some(entry.ok()?.path()))
            .filter(|path| path.extension().is_some_and(|extension| extension == "md")),
    );
    for document in documents {
        let text = fs::read_to_string(&document)?;
        for target in text.split("](").skip(1).filter_map(|rest| rest.split([')', '#']).next()) {
            let near = document.parent().unwrap_or(top).join(target);
            if !target.is_empty() && !target.contains("://") && !near.exists() {
                let shown = document.strip_prefix(top).unwrap_or(&document).display();
                faults.push(format!("{shown}: the link {target} leads nowhere"));
            }
        }
    }
    Ok(())
}
