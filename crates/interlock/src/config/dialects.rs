//! The dialects that a configuration names: each has to be there and without a fault.

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
    sync::Arc,
};

use iso8583::{Dialect, DialectError, LoadError};

use super::{
    fault::{Fault, Faults},
    places::Places,
    settings::Settings,
    source::Source,
};

/// Dialects by their name.
pub(crate) type Dialects = BTreeMap<String, Arc<Dialect>>;

/// Loads the dialects that listeners and issuers name, each once; faults go to `source`.
pub(crate) fn load(settings: &Settings, directory: &Path, source: &Source) -> Dialects {
    let mut dialects = Dialects::new();
    let listeners = settings.listener.0.iter().map(|listener| &listener.dialect.0).enumerate();
    let issuers = settings.issuer.0.iter().map(|issuer| &issuer.dialect.0).enumerate();
    let named = listeners
        .map(|(at, name)| (format!("listener[{at}].dialect"), name))
        .chain(issuers.map(|(at, name)| (format!("issuer[{at}].dialect"), name)));
    for (key, name) in named {
        if name.is_empty() || dialects.contains_key(name) {
            continue;
        }
        match Dialect::load(name, directory) {
            Ok(dialect) => {
                dialects.insert(name.clone(), Arc::new(dialect));
            }
            Err(LoadError::Faults { path, source: error }) => {
                source.faults_of(faults_in(&path, &error));
            }
            Err(error) => source.fault(&key, format!("{error}; expected the name of a dialect")),
        }
    }
    dialects
}

/// The dialect `name` for a command without a configuration: beside the working directory, else the shipped one.
///
/// # Errors
/// There is none, or its file has faults: all of them.
pub(crate) fn for_command(name: &str) -> Result<Arc<Dialect>, Faults> {
    Dialect::load(name, Path::new("")).map(Arc::new).map_err(|error| match error {
        LoadError::Faults { path, source } => Faults::new(&path, faults_in(&path, &source)),
        LoadError::Unknown { .. } | LoadError::Read { .. } => {
            let fault = Fault {
                file: Some(PathBuf::from("--dialect")),
                variable: None,
                line: None,
                key: String::new(),
                message: error.to_string(),
            };
            Faults::new(Path::new("--dialect"), vec![fault])
        }
    })
}

/// The faults of the dialect file `path`, with their lines.
fn faults_in(path: &Path, error: &DialectError) -> Vec<Fault> {
    let places = fs::read_to_string(path).ok().and_then(|text| Places::of(&text).ok());
    let fault = |fault: &iso8583::DialectFault| Fault {
        file: Some(path.to_owned()),
        variable: None,
        line: places.as_ref().and_then(|places| places.line(&fault.key).0),
        key: fault.key.clone(),
        message: fault.message.clone(),
    };
    error.faults.iter().map(fault).collect()
}
