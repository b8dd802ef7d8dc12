//! `parameters.toml` and the files that it lists, read so that all of their faults are found at once.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt, fs, io,
    path::{Path, PathBuf},
};

use aws_lc_rs::digest;
use iso8583::{Dialect, Kind, to_hex};
use toml::{Table, Value};

use super::{Codes, Content, File, PAGE, Parameters, pages};

/// The name of the index.
const INDEX: &str = "parameters.toml";
/// Largest file of records.
const MOST_BYTES: u64 = 16 * 1024 * 1024;

/// Why the files cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum ParametersError {
    /// There is no index.
    #[error("{path}: cannot be read", path = path.display())]
    Unreadable {
        /// Which.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// What is wrong with it, or with the files that it lists: all of it.
    #[error("{}", listed(.0))]
    Faults(Vec<ParametersFault>),
}

/// One fault of the index or of a file that it lists.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ParametersFault {
    /// The file.
    pub path: PathBuf,
    /// The line of a file of records, counted from 1.
    pub line: Option<usize>,
    /// The key of the index, with dots between its parts; empty for a file as a whole.
    pub key: String,
    /// What was found, and what was expected.
    pub message: String,
}

impl fmt::Display for ParametersFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.path.display())?;
        if let Some(line) = self.line {
            write!(f, ":{line}")?;
        }
        if !self.key.is_empty() {
            write!(f, ": {}", self.key)?;
        }
        write!(f, ": {}", self.message)
    }
}

fn listed(faults: &[ParametersFault]) -> String {
    let all: Vec<_> = faults.iter().map(ToString::to_string).collect();
    all.join("; ")
}

impl Parameters {
    /// Reads the index in `dir` and the files that it lists, for terminals of these dialects. Where there are none, it is not
    /// judged whether a code can be asked for.
    ///
    /// # Errors
    /// The index cannot be read, or all that is wrong with it and the files.
    pub fn load(dir: &Path, dialects: &[&Dialect]) -> Result<Self, ParametersError> {
        let path = dir.join(INDEX);
        let bytes = read(&path)
            .map_err(|source| ParametersError::Unreadable { path: path.clone(), source })?;
        let mut reader = Reader {
            dir,
            path,
            asked: asked(dialects),
            names: BTreeMap::new(),
            codes: BTreeMap::new(),
            faults: Vec::new(),
        };
        let files = reader.index(&bytes).unwrap_or_default();
        if reader.faults.is_empty() {
            Ok(Self { files })
        } else {
            Err(ParametersError::Faults(reader.faults))
        }
    }
}

/// The codes by which terminals fetch parameters or tell what they have; none where nothing is known of the terminals.
fn asked(dialects: &[&Dialect]) -> Option<BTreeSet<String>> {
    let rows = dialects.iter().flat_map(|dialect| dialect.kinds());
    let rows = rows.filter(|row| matches!(row.kind, Kind::Parameters | Kind::StatusReport));
    let codes = rows.flat_map(|row| row.network_codes.iter().cloned()).collect();
    (!dialects.is_empty()).then_some(codes)
}

fn read(path: &Path) -> io::Result<Vec<u8>> {
    if fs::metadata(path)?.len() > MOST_BYTES {
        return Err(io::Error::other("larger than 16 MiB"));
    }
    fs::read(path)
}

#[derive(Debug, Clone, Copy)]
enum Format {
    Hex,
    Text,
}

impl Format {
    fn from_name(name: &str) -> Option<Self> {
        match name {
            "hex" => Some(Self::Hex),
            "text" => Some(Self::Text),
            _ => None,
        }
    }
}

/// Reads, and collects what is wrong.
struct Reader<'d> {
    dir: &'d Path,
    path: PathBuf,
    asked: Option<BTreeSet<String>>,
    /// Where each name and each code stands first.
    names: BTreeMap<String, String>,
    codes: BTreeMap<String, String>,
    faults: Vec<ParametersFault>,
}

impl Reader<'_> {
    fn fault(&mut self, key: impl Into<String>, message: impl Into<String>) {
        let (path, line) = (self.path.clone(), None);
        self.faults.push(ParametersFault { path, line, key: key.into(), message: message.into() });
    }

    fn index(&mut self, bytes: &[u8]) -> Option<Vec<File>> {
        let text = std::str::from_utf8(bytes).map_err(|error| error.to_string());
        let table = text.and_then(|text| text.parse::<Table>().map_err(|error| error.to_string()));
        let mut table = match table {
            Ok(table) => table,
            Err(why) => {
                self.fault("", why.trim_end());
                return None;
            }
        };
        let entries = match table.remove("file") {
            None => Vec::new(),
            Some(Value::Array(entries)) => entries,
            Some(_) => {
                self.fault("file", "expected tables [[file]]");
                Vec::new()
            }
        };
        self.end("", &table);
        let mut files = Vec::new();
        for (at, entry) in entries.into_iter().enumerate() {
            let at = format!("file[{at}]");
            let Value::Table(mut entry) = entry else {
                self.fault(at, "expected a table");
                continue;
            };
            let file = self.file(&at, &mut entry);
            self.end(&at, &entry);
            files.extend(file);
        }
        Some(files)
    }

    /// Notes the keys that are left.
    fn end(&mut self, at: &str, table: &Table) {
        for key in table.keys() {
            let key = if at.is_empty() { key.clone() } else { format!("{at}.{key}") };
            self.fault(key, "unknown key");
        }
    }

    /// The file of an entry, as far as it can be read; nothing where something that it needs is wrong.
    fn file(&mut self, at: &str, entry: &mut Table) -> Option<File> {
        let text =
            |value: &Value| value.as_str().filter(|text| !text.is_empty()).map(str::to_owned);
        let name = self.required(at, entry, "name", "a text", text);
        if let Some(name) = &name
            && let Some(first) = first_place(&mut self.names, name, &format!("{at}.name"))
        {
            self.fault(
                format!("{at}.name"),
                format!("\"{name}\" stands in {first}; expected another"),
            );
        }
        let records = self.required(at, entry, "records", "the name of a file", text);
        let format = |value: &Value| value.as_str().and_then(Format::from_name);
        let format = self.optional(at, entry, "format", "\"hex\" or \"text\"", format);
        let list = self.codes(at, entry, "list");
        let why = match entry.get("fetch") {
            None => Some("missing; expected network codes"),
            Some(Value::Array(list)) if list.is_empty() => Some("empty; expected network codes"),
            Some(_) => None,
        };
        if let Some(why) = why {
            self.fault(format!("{at}.fetch"), why);
        }
        let fetch = self.codes(at, entry, "fetch");
        let end = self.codes(at, entry, "end");
        let digit = |value: &Value| {
            value.as_integer().and_then(|n| u8::try_from(n).ok()).filter(|n| (1..=9).contains(n))
        };
        let requirement = self.required(at, entry, "requirement", "a digit from 1 to 9", digit);
        let require = self.optional(at, entry, "require", "true or false", Value::as_bool);
        let version = self.optional(at, entry, "version", "a text", text);
        let listed = list.as_ref().is_some_and(|list| !list.is_empty());
        let (content, hash) = self.records(at, &records?, format.unwrap_or(Format::Hex), listed)?;
        Some(File {
            name: name?,
            version: version.unwrap_or(hash),
            requirement: requirement?,
            require: require.unwrap_or(false),
            codes: Codes {
                list: list.unwrap_or_default(),
                fetch: fetch.unwrap_or_default(),
                end: end.unwrap_or_default(),
            },
            content,
        })
    }

    fn required<T>(
        &mut self,
        at: &str,
        entry: &mut Table,
        name: &str,
        expected: &str,
        convert: impl Fn(&Value) -> Option<T>,
    ) -> Option<T> {
        if !entry.contains_key(name) {
            self.fault(format!("{at}.{name}"), format!("missing; expected {expected}"));
        }
        self.optional(at, entry, name, expected, convert)
    }

    fn optional<T>(
        &mut self,
        at: &str,
        entry: &mut Table,
        name: &str,
        expected: &str,
        convert: impl Fn(&Value) -> Option<T>,
    ) -> Option<T> {
        let value = entry.remove(name)?;
        let converted = convert(&value);
        if converted.is_none() {
            self.fault(format!("{at}.{name}"), format!("{value} is none; expected {expected}"));
        }
        converted
    }

    /// Network codes, those that are right: nothing where there is no such list.
    fn codes(&mut self, at: &str, entry: &mut Table, name: &str) -> Option<Vec<String>> {
        let expected = "a list of network codes of three digits such as [\"360\"]";
        let list = |value: &Value| value.as_array().cloned();
        let list = self.optional(at, entry, name, expected, list)?;
        let mut codes = Vec::new();
        for (number, value) in list.iter().enumerate() {
            let key = format!("{at}.{name}[{number}]");
            let code = value
                .as_str()
                .filter(|code| code.len() == 3 && code.bytes().all(|byte| byte.is_ascii_digit()));
            match (code, &self.asked) {
                (None, _) => {
                    self.fault(key, format!("{value} is no network code; expected three digits"));
                }
                (Some(code), Some(asked)) if !asked.contains(code) => {
                    let all: Vec<_> = asked.iter().map(String::as_str).collect();
                    let expected = if all.is_empty() { "none".to_owned() } else { all.join(", ") };
                    let message = format!(
                        "no terminal fetches by \"{code}\"; expected one of the listeners' dialects': {expected}"
                    );
                    self.fault(key, message);
                }
                (Some(code), _) => {
                    match first_place(&mut self.codes, code, &format!("{at}.{name}")) {
                        None => codes.push(code.to_owned()),
                        Some(first) => {
                            let message = format!("\"{code}\" stands in {first}; expected another");
                            self.fault(key, message);
                        }
                    }
                }
            }
        }
        Some(codes)
    }

    /// What a file of records holds, and its hash.
    fn records(
        &mut self,
        at: &str,
        name: &str,
        format: Format,
        listed: bool,
    ) -> Option<(Content, String)> {
        let path = self.dir.join(name);
        let bytes = match read(&path) {
            Ok(bytes) => bytes,
            Err(error) => {
                let message = format!("{} cannot be read: {error}", path.display());
                self.fault(format!("{at}.records"), message);
                return None;
            }
        };
        let mut good = Vec::new();
        let before = self.faults.len();
        for (line, text) in bytes.split(|byte| *byte == b'\n').enumerate() {
            let text = text.trim_ascii();
            if text.is_empty() || text.starts_with(b"#") {
                continue;
            }
            let read = if listed {
                named(format, text)
            } else {
                record(format, text).map(|r| (Vec::new(), r))
            };
            match read {
                Ok(record) => good.push(record),
                Err(message) => self.faults.push(ParametersFault {
                    path: path.clone(),
                    line: Some(line + 1),
                    key: String::new(),
                    message,
                }),
            }
        }
        if self.faults.len() > before {
            return None;
        }
        let content = if listed {
            Content::Records(pages(good.iter().map(|(id, _)| id)), good)
        } else {
            Content::Pages(pages(good.iter().map(|(_, record)| record)))
        };
        let hash = digest::digest(&digest::SHA256, &bytes);
        Some((content, to_hex(hash.as_ref().get(..8).unwrap_or_default())))
    }
}

/// Where this value stood before, if it did; else it stands at `place` from here on.
fn first_place(seen: &mut BTreeMap<String, String>, value: &str, place: &str) -> Option<String> {
    let first = seen.get(value).cloned();
    if first.is_none() {
        seen.insert(value.to_owned(), place.to_owned());
    }
    first
}

fn record(format: Format, line: &[u8]) -> Result<Vec<u8>, String> {
    let bytes = match format {
        Format::Text => Some(line.to_vec()),
        Format::Hex => iso8583::from_hex(line),
    };
    let bytes = bytes.ok_or("not hex; expected pairs of 0 to 9 and A to F")?;
    if bytes.len() > PAGE {
        return Err(format!("a record of {} bytes; expected at most {PAGE}", bytes.len()));
    }
    Ok(bytes)
}

/// `IDENTIFIER RECORD`
fn named(format: Format, line: &[u8]) -> Result<(Vec<u8>, Vec<u8>), String> {
    let space = line.iter().position(u8::is_ascii_whitespace);
    let (id, rest) = space
        .and_then(|space| line.split_at_checked(space))
        .ok_or("one word; expected an identifier and a record")?;
    Ok((record(format, id)?, record(format, rest.trim_ascii())?))
}
