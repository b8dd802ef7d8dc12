//! The reference of all keys, made from the declarations of the sections for docs/operations.md.

use super::{
    section::{Line, Section},
    settings::Settings,
};

/// The table of all keys in Markdown.
pub(crate) fn markdown() -> String {
    let mut lines: Vec<Line> = Vec::new();
    Settings::lines("", &mut lines);
    let mut text = String::from("| key | default | accepts | meaning |\n|---|---|---|---|\n");
    for line in lines {
        let accepts = line.accepts.replace('|', "\\|");
        text.push_str(&format!(
            "| `{}` | {} | {accepts} | {} |\n",
            line.key, line.default, line.meaning
        ));
    }
    text
}
