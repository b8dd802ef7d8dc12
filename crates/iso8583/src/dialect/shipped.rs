//! The dialects that are compiled in.

use super::Dialect;

/// Their names.
pub const SHIPPED: &[&str] =
    &["cup-pos", "iso87-ascii", "iso87-binary", "iso87-ebcdic", "iso93-ascii"];

/// The text of a shipped dialect's file.
pub(super) fn text(name: &str) -> Option<&'static str> {
    match name {
        "cup-pos" => Some(include_str!("../../../../config/dialects/cup-pos.toml")),
        "iso87-ascii" => Some(include_str!("../../../../config/dialects/iso87-ascii.toml")),
        "iso87-binary" => Some(include_str!("../../../../config/dialects/iso87-binary.toml")),
        "iso87-ebcdic" => Some(include_str!("../../../../config/dialects/iso87-ebcdic.toml")),
        "iso93-ascii" => Some(include_str!("../../../../config/dialects/iso93-ascii.toml")),
        _ => None,
    }
}

impl Dialect {
    /// The shipped dialect of that name, if there is one.
    #[must_use]
    pub fn shipped(name: &str) -> Option<Self> {
        // a test reads every shipped file, so that none can fail here
        Self::parse(name, text(name)?).ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_shipped_dialect_is_without_fault() {
        for name in SHIPPED {
            if let Err(error) = Dialect::parse(name, text(name).expect("shipped")) {
                panic!("{error}");
            }
        }
    }
}
