//! What terminals fetch: parameters, keys and lists, from files that an operator keeps in a directory.
//!
//! `parameters.toml` there lists them. A file with a `list` code is asked for its identifiers first, and then for one record
//! after the other; one without is asked for page after page. Field 62 of an answer begins with 1 where it holds all, 2
//! where more follows, 3 where it is the last of several, and 0 where there is nothing.

use std::{
    fs, io,
    path::{Path, PathBuf},
};

use aws_lc_rs::digest;
use iso8583::to_hex;
use serde::Deserialize;
use switch_core::TerminalKey;

use crate::batches::Batches;

/// The name of the index.
const INDEX: &str = "parameters.toml";
/// Bytes of records in one answer; a field 62 holds one more.
const PAGE: usize = 511;
/// Largest file of records.
const MOST_BYTES: u64 = 16 * 1024 * 1024;

/// Why the files cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum ParametersError {
    /// A file cannot be read.
    #[error("{path}: cannot be read", path = path.display())]
    Read {
        /// Which.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The index is not one.
    #[error("{path}: {why}", path = path.display())]
    Index {
        /// Which.
        path: PathBuf,
        /// What is wrong with it.
        why: String,
    },
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Index {
    #[serde(default)]
    file: Vec<Entry>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Entry {
    name: String,
    records: PathBuf,
    #[serde(default)]
    format: Format,
    #[serde(default)]
    list: Vec<String>,
    fetch: Vec<String>,
    #[serde(default)]
    end: Vec<String>,
    requirement: u8,
    #[serde(default)]
    require: bool,
    version: Option<String>,
}

#[derive(Debug, Default, Clone, Copy, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Format {
    #[default]
    Hex,
    Text,
}

/// One file as terminals fetch it.
#[derive(Debug)]
pub(crate) struct File {
    pub(crate) name: String,
    pub(crate) version: String,
    requirement: u8,
    require: bool,
    codes: Codes,
    content: Content,
}

#[derive(Debug)]
struct Codes {
    list: Vec<String>,
    fetch: Vec<String>,
    end: Vec<String>,
}

#[derive(Debug)]
enum Content {
    Pages(Vec<Vec<u8>>),
    /// Pages of identifiers, and the record of each.
    Records(Vec<Vec<u8>>, Vec<(Vec<u8>, Vec<u8>)>),
}

/// What a network code asks of a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Role {
    /// Its identifiers.
    List,
    /// A page or a record.
    Fetch,
    /// The terminal has all.
    End,
}

/// What is answered, and how far the terminal is then.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Part {
    /// Field 62.
    pub(crate) bytes: Vec<u8>,
    /// The fetch begins with it.
    pub(crate) first: bool,
    /// Nothing follows, and no end will be told.
    pub(crate) last: bool,
}

impl Part {
    /// Whether there is anything.
    pub(crate) fn is_there(&self) -> bool {
        self.bytes.first() != Some(&b'0')
    }
}

/// All files.
#[derive(Debug, Default)]
pub struct Parameters {
    files: Vec<File>,
}

impl Parameters {
    /// Reads the index in `dir` and the files that it lists.
    ///
    /// # Errors
    /// One cannot be read, or is not of its form.
    pub fn load(dir: &Path) -> Result<Self, ParametersError> {
        let path = dir.join(INDEX);
        let fault = |why: String| ParametersError::Index { path: path.clone(), why };
        let text = String::from_utf8(read(&path)?).map_err(|_| fault("not UTF-8".to_owned()))?;
        let index: Index = toml::from_str(&text).map_err(|error| fault(error.to_string()))?;
        let mut files: Vec<File> = Vec::new();
        for entry in index.file {
            let name = entry.name.clone();
            let file = File::load(dir, entry).map_err(|why| match why {
                Ok(error) => error,
                Err(why) => fault(format!("file {name:?}: {why}")),
            })?;
            let codes = file.codes.all();
            if files.iter().any(|other| other.name == file.name) {
                return Err(fault(format!("file {name:?} is listed twice")));
            }
            if let Some(code) = codes.into_iter().find(|code| files.iter().any(|f| f.has(code))) {
                return Err(fault(format!("file {name:?}: code {code} is another file's too")));
            }
            files.push(file);
        }
        Ok(Self { files })
    }

    /// The file that a network code is about.
    pub(crate) fn find(&self, code: &str) -> Option<(&File, Role)> {
        self.files.iter().find_map(|file| {
            let role = if file.codes.list.iter().any(|own| own == code) {
                Role::List
            } else if file.codes.fetch.iter().any(|own| own == code) {
                Role::Fetch
            } else if file.codes.end.iter().any(|own| own == code) {
                Role::End
            } else {
                return None;
            };
            Some((file, role))
        })
    }

    /// The processing requirement for a terminal: that of the first file of which it lacks the current version.
    pub(crate) fn requirement(&self, batches: &Batches, terminal: TerminalKey) -> Option<u8> {
        let stale = self.files.iter().find(|file| {
            batches.is_stale(terminal, &file.name, &file.version).unwrap_or(file.require)
        });
        stale.map(|file| file.requirement)
    }
}

fn read(path: &Path) -> Result<Vec<u8>, ParametersError> {
    let fault = |source| ParametersError::Read { path: path.to_owned(), source };
    if fs::metadata(path).map_err(fault)?.len() > MOST_BYTES {
        return Err(fault(io::Error::other("larger than 16 MiB")));
    }
    fs::read(path).map_err(fault)
}

/// A fault of a file itself, or what is wrong with its entry.
type Fault = Result<ParametersError, String>;

impl File {
    fn load(dir: &Path, entry: Entry) -> Result<Self, Fault> {
        let bytes = read(&dir.join(&entry.records)).map_err(Ok)?;
        let hash = digest::digest(&digest::SHA256, &bytes);
        let hash = to_hex(hash.as_ref().get(..8).unwrap_or_default());
        let Entry { name, format, list, fetch, end, requirement, require, version, .. } = entry;
        let codes = Codes { list, fetch, end };
        if codes.fetch.is_empty() {
            return Err(Err("fetch is empty; expected network codes".to_owned()));
        }
        if !(1..=9).contains(&requirement) {
            return Err(Err(format!("requirement is {requirement}; expected 1 to 9")));
        }
        let mut lines = Vec::new();
        for (at, line) in bytes.split(|byte| *byte == b'\n').enumerate() {
            let line = line.trim_ascii();
            if !line.is_empty() && !line.starts_with(b"#") {
                lines.push((at + 1, line));
            }
        }
        let content = if codes.list.is_empty() {
            let record = |(at, line): (usize, &[u8])| record(format, at, line);
            let records: Vec<Vec<u8>> = lines.into_iter().map(record).collect::<Result<_, _>>()?;
            Content::Pages(pages(records.iter()))
        } else {
            let records: Vec<_> = lines
                .into_iter()
                .map(|(at, line)| named(format, at, line))
                .collect::<Result<_, _>>()?;
            Content::Records(pages(records.iter().map(|(id, _)| id)), records)
        };
        let version = version.unwrap_or(hash);
        Ok(Self { name, version, requirement, require, codes, content })
    }

    /// Whether its records are fetched one by one.
    pub(crate) const fn is_by_record(&self) -> bool {
        matches!(self.content, Content::Records(..))
    }

    fn has(&self, code: &str) -> bool {
        self.codes.all().into_iter().any(|own| own == code)
    }

    /// What is answered to this code and field 62.
    pub(crate) fn part(&self, role: Role, asked: &[u8]) -> Part {
        let quiet = |bytes: Vec<u8>| Part { bytes, first: false, last: false };
        match (role, &self.content) {
            (Role::List, Content::Records(pages, _)) => page(pages, asked, false),
            (Role::Fetch, Content::Pages(pages)) => page(pages, asked, self.codes.end.is_empty()),
            (Role::Fetch, Content::Records(_, records)) => {
                // What the list says of a record may be longer than what it is asked for by, and the other way round.
                let record = records.iter().find(|(id, _)| {
                    !asked.is_empty() && (id.starts_with(asked) || asked.starts_with(id))
                });
                quiet(record.map_or_else(|| b"0".to_vec(), |(_, record)| flagged(b'1', record)))
            }
            (Role::List, Content::Pages(_)) => quiet(b"0".to_vec()),
            (Role::End, _) => quiet(Vec::new()),
        }
    }
}

impl Codes {
    fn all(&self) -> Vec<&String> {
        self.list.iter().chain(&self.fetch).chain(&self.end).collect()
    }
}

fn flagged(flag: u8, bytes: &[u8]) -> Vec<u8> {
    let mut field = vec![flag];
    field.extend_from_slice(bytes);
    field
}

/// The page of this number, counted from 1; the first where none is asked for.
fn page(pages: &[Vec<u8>], asked: &[u8], ends: bool) -> Part {
    if pages.is_empty() {
        return Part { bytes: b"0".to_vec(), first: true, last: ends };
    }
    let digits = std::str::from_utf8(asked.trim_ascii()).unwrap_or("?");
    let number = if digits.is_empty() { Some(1) } else { digits.parse::<usize>().ok() };
    let number = number.filter(|number| *number >= 1);
    let Some((number, page)) = number.and_then(|n| Some((n, pages.get(n - 1)?))) else {
        return Part { bytes: b"0".to_vec(), first: false, last: false };
    };
    let last = number == pages.len();
    let flag = match (last, pages.len()) {
        (true, 1) => b'1',
        (true, _) => b'3',
        (false, _) => b'2',
    };
    Part { bytes: flagged(flag, page), first: number == 1, last: last && ends }
}

fn record(format: Format, at: usize, line: &[u8]) -> Result<Vec<u8>, Fault> {
    let bytes = match format {
        Format::Text => Some(line.to_vec()),
        Format::Hex => iso8583::from_hex(line),
    };
    let bytes = bytes.ok_or_else(|| Err(format!("line {at} of its records is not hex")))?;
    if bytes.len() > PAGE {
        return Err(Err(format!("line {at} of its records is longer than {PAGE} bytes")));
    }
    Ok(bytes)
}

fn named(format: Format, at: usize, line: &[u8]) -> Result<(Vec<u8>, Vec<u8>), Fault> {
    let missing = || Err(format!("line {at} of its records has no identifier and record"));
    let space = line.iter().position(u8::is_ascii_whitespace).ok_or_else(missing)?;
    let (id, rest) = line.split_at(space);
    Ok((record(format, at, id)?, record(format, at, rest.trim_ascii())?))
}

/// As few pages as hold whole records.
fn pages<'a>(records: impl Iterator<Item = &'a Vec<u8>>) -> Vec<Vec<u8>> {
    let mut pages: Vec<Vec<u8>> = Vec::new();
    for record in records {
        match pages.last_mut() {
            Some(page) if page.len() + record.len() <= PAGE => page.extend_from_slice(record),
            Some(_) | None => pages.push(record.clone()),
        }
    }
    pages
}

#[cfg(test)]
mod tests {
    use super::*;

    fn dir(files: &[(&str, &str)]) -> tempfile::TempDir {
        let dir = tempfile::tempdir().expect("a directory");
        for (name, text) in files {
            fs::write(dir.path().join(name), text).expect("written");
        }
        dir
    }

    const PAGED: &str = "[[file]]\nname = \"magnetic\"\nrecords = \"m.txt\"\nformat = \"text\"\n\
                         fetch = [\"360\"]\nend = [\"361\"]\nrequirement = 1\n";
    const KEYS: &str = "[[file]]\nname = \"ca\"\nrecords = \"ca.hex\"\nlist = [\"372\"]\n\
                        fetch = [\"370\"]\nend = [\"371\"]\nrequirement = 4\nversion = \"7\"\n";

    #[test]
    fn pages_hold_whole_records() {
        let record = "x".repeat(200);
        let dir =
            dir(&[(INDEX, PAGED), ("m.txt", &format!("# none\n{record}\n{record}\n{record}\n"))]);
        let parameters = Parameters::load(dir.path()).expect("sound");
        let (file, role) = parameters.find("360").expect("listed");
        assert_eq!((role, file.version.len()), (Role::Fetch, 16));
        for (asked, flag, length, first) in
            [("", b'2', 401, true), ("1", b'2', 401, true), ("02", b'3', 201, false)]
        {
            let part = file.part(role, asked.as_bytes());
            assert_eq!((part.bytes.first(), part.bytes.len()), (Some(&flag), length));
            assert_eq!((part.first, part.last), (first, false));
        }
        for asked in ["3", "0", "x"] {
            assert_eq!(file.part(role, asked.as_bytes()).bytes, b"0");
        }
        assert_eq!(parameters.find("361").map(|(_, role)| role), Some(Role::End));
        assert!(parameters.find("999").is_none());
    }

    #[test]
    fn records_are_fetched_by_their_identifiers() {
        let records = "9F0605A000000003 AABB\n9F0605A000000004DF0501 CC\n";
        let dir = dir(&[(INDEX, KEYS), ("ca.hex", records)]);
        let parameters = Parameters::load(dir.path()).expect("sound");
        let (file, role) = parameters.find("372").expect("listed");
        let list = file.part(role, b"");
        assert_eq!((list.bytes.first(), list.bytes.len(), list.first), (Some(&b'1'), 20, true));
        let id = iso8583::from_hex(b"9F0605A000000004").expect("hex");
        assert_eq!(file.part(Role::Fetch, &id).bytes, [b'1', 0xCC]);
        assert_eq!(file.part(Role::Fetch, b"?").bytes, b"0");
        assert_eq!(file.part(Role::Fetch, b"").bytes, b"0");
        assert_eq!(file.version, "7");
    }

    #[test]
    fn faults_name_the_file_and_the_line() {
        let check = |index: &str, records: &str, expected: &str| {
            let dir = dir(&[(INDEX, index), ("m.txt", records), ("ca.hex", records)]);
            let error = Parameters::load(dir.path()).expect_err("a fault").to_string();
            assert!(error.contains(expected), "{error}");
        };
        check("[[file]]\nname = 1", "", "parameters.toml");
        check(KEYS, "AA BB\n\nAA zz", "file \"ca\": line 3 of its records is not hex");
        check(KEYS, "AABB", "line 1 of its records has no identifier");
        check(&PAGED.replace("requirement = 1", "requirement = 0"), "", "expected 1 to 9");
        check(&PAGED.repeat(2), "", "listed twice");
        check(&format!("{PAGED}{}", PAGED.replace("magnetic", "other")), "", "another file's too");
        assert!(matches!(
            Parameters::load(Path::new("/nowhere")),
            Err(ParametersError::Read { .. })
        ));
    }
}
