//! The configuration: TOML and environment into types, with all faults of a file reported at once.

mod convert;
mod cross;
pub(crate) mod dialects;
mod fault;
mod parameters;
mod places;
pub(crate) mod reference;
mod reserved;
mod section;
mod settings;
mod source;
mod text;
mod value;

use std::{
    fs,
    path::{Path, PathBuf},
};

pub(crate) use fault::{Fault, Faults};
pub(crate) use settings::Settings;
pub(crate) use text::LogFormat;
pub(crate) use value::{Address, Leaf, Span};

use section::Section;
use source::Source;

/// A checked configuration, and where it stands.
#[derive(Debug, Clone)]
pub(crate) struct Config {
    /// Every key.
    pub(crate) settings: Settings,
    /// The dialects that it names.
    pub(crate) dialects: dialects::Dialects,
    /// The directory of the file: relative paths are relative to it.
    pub(crate) directory: PathBuf,
    /// The file.
    pub(crate) file: PathBuf,
}

impl Config {
    /// Reads and checks `file`, and the files that it names, under the environment of this process.
    ///
    /// # Errors
    /// All faults of the files.
    pub(crate) fn load(file: &Path) -> Result<Self, Faults> {
        Self::parse(file, &read(file)?, std::env::vars())
    }

    /// As [`load`](Self::load), for a command that needs only the store: dialects, and what terminals fetch, are not read.
    ///
    /// # Errors
    /// All faults of the file.
    pub(crate) fn load_for_store(file: &Path) -> Result<Self, Faults> {
        Self::checked(file, &read(file)?, std::env::vars(), Others::Ignored)
    }

    /// Checks `text` as the content of `file`, under `environment`, and the files that it names.
    ///
    /// # Errors
    /// All faults of the text and the files.
    pub(crate) fn parse(
        file: &Path,
        text: &str,
        environment: impl IntoIterator<Item = (String, String)>,
    ) -> Result<Self, Faults> {
        Self::checked(file, text, environment, Others::Read)
    }

    fn checked(
        file: &Path,
        text: &str,
        environment: impl IntoIterator<Item = (String, String)>,
        others: Others,
    ) -> Result<Self, Faults> {
        let directory = match file.parent() {
            Some(parent) if parent != Path::new("") => parent.to_owned(),
            _ => PathBuf::from("."),
        };
        let source = Source::new(file, text, environment)?;
        let settings = Settings::read(&source, "", &source.root);
        cross::check(&settings, &source);
        let dialects = match others {
            Others::Ignored => dialects::Dialects::new(),
            Others::Read => {
                let dialects = dialects::load(&settings, &directory, &source);
                parameters::check(&settings, &directory, &dialects, &source);
                dialects
            }
        };
        source.finish(file)?;
        Ok(Self { settings, dialects, directory, file: file.to_owned() })
    }

    /// What is wrong with `key`, found only when its value was used.
    pub(crate) fn fault(&self, key: &str, message: String) -> Faults {
        Faults::one(&self.file, key, message)
    }

    /// The store's address with the path of `sqlite://` made relative to this process.
    pub(crate) fn store_url(&self) -> String {
        let url = &self.settings.store.0.url.0;
        match url.strip_prefix("sqlite://") {
            Some(path) if !path.starts_with('/') && !path.starts_with(':') => {
                format!("sqlite://{}", self.directory.join(path).display())
            }
            _ => url.clone(),
        }
    }

    /// The directory of what terminals fetch, relative to this process.
    pub(crate) fn parameters(&self) -> Option<PathBuf> {
        let dir = self.settings.parameters.0.dir.0.as_ref();
        dir.map(|dir| self.directory.join(&dir.0))
    }

    /// The file of the key that protects card data, relative to this process.
    pub(crate) fn key_file(&self) -> PathBuf {
        self.directory.join(&self.settings.card_data.0.key_file.0)
    }
}

/// The files that a configuration names.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Others {
    Read,
    Ignored,
}

fn read(file: &Path) -> Result<String, Faults> {
    fs::read_to_string(file)
        .map_err(|error| Faults::one(file, "", format!("cannot be read: {error}")))
}

#[cfg(test)]
mod tests;
