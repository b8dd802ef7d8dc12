//! The key that protects card data belongs to its database: another one is refused before anything is done with it.

use std::path::{Path, PathBuf};

use keystore::CardKeys;
use store::{KeptCardKey, Store};

use crate::start::StartError;

/// The key file is not that of the database.
#[derive(Debug, thiserror::Error)]
#[error(
    "{} is not the key of this database: its check value is {own}, {}",
    file.display(),
    kept.as_ref().map_or_else(
        || "and it does not open the card data that is stored there".to_owned(),
        |kept| format!("the database has {kept}"),
    )
)]
pub struct OtherKey {
    /// The key file.
    pub file: PathBuf,
    /// The check value of its key.
    pub own: String,
    /// The check value that the database keeps, if it keeps one.
    pub kept: Option<String>,
}

/// Compares a key with what the database says of its own. One that never kept a check value is asked for a late card.
///
/// # Errors
/// It is another key.
pub fn refuse_other(file: &Path, keys: &CardKeys, kept: &KeptCardKey) -> Result<(), OtherKey> {
    let own = keys.check_text();
    let good = match (&kept.check, &kept.card) {
        (Some(check), _) => *check == own,
        (None, Some((key, sealed))) => keys.open(sealed, &key.0).is_ok(),
        (None, None) => true,
    };
    if good {
        return Ok(());
    }
    Err(OtherKey { file: file.to_owned(), own, kept: kept.check.clone() })
}

/// Refuses another key than the database's; nothing is written.
pub(crate) async fn look(store: &Store, file: &Path, keys: &CardKeys) -> Result<(), StartError> {
    Ok(refuse_other(file, keys, &store.card_key().await?)?)
}

/// Records the check value where there is none yet, once the node has its lease. Of several nodes that start at once with
/// different keys, one is first, and the others are refused.
pub(crate) async fn keep(store: &Store, file: &Path, keys: &CardKeys) -> Result<(), StartError> {
    let check = Some(store.keep_card_key(&keys.check_text()).await?);
    Ok(refuse_other(file, keys, &KeptCardKey { check, card: None })?)
}

#[cfg(test)]
mod tests {
    use switch_core::{Key, Kind, TerminalKey};

    use super::*;

    fn keys(dir: &Path, name: &str) -> CardKeys {
        let path = dir.join(name);
        CardKeys::init(&path).expect("made");
        CardKeys::load(&path).expect("read")
    }

    #[test]
    fn a_key_is_compared_or_tried() {
        let dir = tempfile::tempdir().expect("a directory");
        let (own, other) = (keys(dir.path(), "own"), keys(dir.path(), "other"));
        let key = Key::new(TerminalKey([1; 8]), 1, 1, Kind::Purchase);
        let sealed = own.seal(b"6212345678901232;", &key.0).expect("sealed");
        let card = Some((key, sealed));
        let check = Some(own.check_text());
        let file = Path::new("card-data.key");
        for kept in [
            KeptCardKey { check: check.clone(), card: None },
            KeptCardKey { check, card: card.clone() },
            KeptCardKey { check: None, card },
        ] {
            refuse_other(file, &own, &kept).expect("its own");
            let said = refuse_other(file, &other, &kept).expect_err("another").to_string();
            assert!(said.contains("card-data.key") && said.contains(&other.check_text()), "{said}");
            assert_eq!(said.contains(&own.check_text()), kept.check.is_some(), "{said}");
        }
        refuse_other(file, &other, &KeptCardKey::default()).expect("an empty database");
    }
}
