//! Where each key of a TOML text stands.

use toml_edit::{Document, Item};

/// A text whose keys can be found.
pub(crate) struct Places {
    document: Document<String>,
}

impl Places {
    /// The places of `text`.
    ///
    /// # Errors
    /// It is not TOML: the line, if known, and why.
    pub(crate) fn of(text: &str) -> Result<Self, (Option<usize>, String)> {
        Document::parse(text.to_owned()).map(|document| Self { document }).map_err(|error| {
            let line = error.span().map(|span| line_of(text, span.start));
            (line, format!("not TOML: {}", error.message().replace('\n', ", ")))
        })
    }

    /// The line of `key`, or of the nearest table around it; and whether the key itself stands in the text.
    pub(crate) fn line(&self, key: &str) -> (Option<usize>, bool) {
        let mut item = self.document.as_item();
        let mut start = None;
        let mut found = true;
        for part in parts(key) {
            let next = match part {
                Part::Name(name) => named(item, name, &mut start),
                Part::Index(at) => element(item, at, &mut start),
            };
            let Some(next) = next else {
                found = false;
                break;
            };
            item = next;
        }
        (start.map(|start| line_of(self.document.raw(), start)), found)
    }
}

/// What stands under `name`; moves `start` to the name.
fn named<'a>(item: &'a Item, name: &str, start: &mut Option<usize>) -> Option<&'a Item> {
    let table = item.as_table_like()?;
    let (key, value) = table.get_key_value(name)?;
    *start = key.span().map(|span| span.start).or(*start);
    Some(value)
}

/// The element `at` of an array; moves `start` to where it begins.
fn element<'a>(item: &'a Item, at: usize, start: &mut Option<usize>) -> Option<&'a Item> {
    let element = item.get(at)?;
    *start = element.span().map(|span| span.start).or(*start);
    Some(element)
}

enum Part<'a> {
    Name(&'a str),
    Index(usize),
}

/// `listener[0].listen` in its parts.
fn parts(key: &str) -> impl Iterator<Item = Part<'_>> {
    key.split(['.', '[']).filter(|part| !part.is_empty()).map(|part| {
        match part.strip_suffix(']').and_then(|index| index.parse().ok()) {
            Some(index) => Part::Index(index),
            None => Part::Name(part),
        }
    })
}

/// The line, counted from 1, of the byte at `offset`.
fn line_of(text: &str, offset: usize) -> usize {
    1 + text.bytes().take(offset).filter(|&byte| byte == b'\n').count()
}
