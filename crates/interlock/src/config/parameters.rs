//! What terminals fetch: the directory that a configuration names has to be there and without a fault.

use std::{fs, path::Path};

use switch::{Parameters, ParametersError, ParametersFault};

use super::{dialects::Dialects, fault::Fault, places::Places, settings::Settings, source::Source};

/// Reads the directory, if there is one; faults go to `source`.
pub(crate) fn check(settings: &Settings, directory: &Path, dialects: &Dialects, source: &Source) {
    let Some(dir) = &settings.parameters.0.dir.0 else { return };
    if source.is_faulty("parameters.dir") {
        return;
    }
    let listeners = settings.listener.0.iter();
    // A dialect that was not loaded has faults of its own, and the codes of its terminals are not known.
    let known: Option<Vec<_>> =
        listeners.map(|listener| dialects.get(&listener.dialect.0).map(|d| &**d)).collect();
    match Parameters::load(&directory.join(&dir.0), &known.unwrap_or_default()) {
        Ok(_) => {}
        Err(ParametersError::Faults(faults)) => source.faults_of(faults.iter().map(placed)),
        Err(error @ ParametersError::Unreadable { .. }) => source
            .fault("parameters.dir", format!("{error}; expected a directory with parameters.toml")),
    }
}

/// The fault with its line; those of the index have only a key.
fn placed(fault: &ParametersFault) -> Fault {
    let places = || Places::of(&fs::read_to_string(&fault.path).ok()?).ok();
    Fault {
        file: Some(fault.path.clone()),
        variable: None,
        line: fault.line.or_else(|| places()?.line(&fault.key).0),
        key: fault.key.clone(),
        message: fault.message.clone(),
    }
}
