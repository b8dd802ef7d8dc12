//! What terminals fetch: parameters, keys and lists, from files that an operator keeps in a directory.
//!
//! `parameters.toml` there lists them. A file with a `list` code is asked for its identifiers first, and then for one record
//! after the other; one without is asked for page after page. Field 62 of an answer begins with 1 where it holds all, 2
//! where more follows, 3 where it is the last of several, and 0 where there is nothing.

mod index;

use switch_core::TerminalKey;

pub use self::index::{ParametersError, ParametersFault};
use crate::batches::Batches;

/// Bytes of records in one answer; a field 62 holds one more.
const PAGE: usize = 511;

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

impl File {
    /// Whether its records are fetched one by one.
    pub(crate) const fn is_by_record(&self) -> bool {
        matches!(self.content, Content::Records(..))
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
    use std::{fs, path::Path};

    use iso8583::Dialect;

    use super::*;

    const INDEX: &str = "parameters.toml";

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
        let parameters = Parameters::load(dir.path(), &[]).expect("sound");
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
        let parameters = Parameters::load(dir.path(), &[]).expect("sound");
        let (file, role) = parameters.find("372").expect("listed");
        let list = file.part(role, b"");
        assert_eq!((list.bytes.first(), list.bytes.len(), list.first), (Some(&b'1'), 20, true));
        let id = iso8583::from_hex(b"9F0605A000000004").expect("hex");
        assert_eq!(file.part(Role::Fetch, &id).bytes, [b'1', 0xCC]);
        assert_eq!(file.part(Role::Fetch, b"?").bytes, b"0");
        assert_eq!(file.part(Role::Fetch, b"").bytes, b"0");
        assert_eq!(file.version, "7");
    }

    /// All faults of this index, one a line; `#` stands for the directory.
    fn faults(index: &str, records: &str) -> String {
        let dir = dir(&[(INDEX, index), ("m.txt", records), ("ca.hex", records)]);
        let dialects =
            ["cup-pos", "iso87-ascii"].map(|name| Dialect::shipped(name).expect("shipped"));
        match Parameters::load(dir.path(), &dialects.each_ref()) {
            Ok(_) => String::new(),
            Err(ParametersError::Faults(faults)) => {
                let all: Vec<_> = faults.iter().map(ToString::to_string).collect();
                all.join("\n").replace(&dir.path().display().to_string(), "#")
            }
            Err(error) => panic!("{error}"),
        }
    }

    #[test]
    fn all_faults_come_at_once_each_with_its_place() {
        assert_eq!(faults(&format!("{PAGED}{KEYS}"), ""), "");
        let index = PAGED.replace("[\"360\"]", "[\"36\", \"301\", \"360\", 7]")
            + &KEYS
                .replace("\"370\"", "\"361\"")
                .replace("requirement = 4", "requirement = 0\nx = 1");
        let codes = "360, 361, 362, 364, 365, 370, 371, 372, 373, 380, 381, 382, 384, 385, 390, 391, 394, 395, 396, \
                     397, 398, 399";
        assert_eq!(
            faults(&index, "AA BB\n\nAA zz\nBBCC\n"),
            format!(
                "#/parameters.toml: file[0].fetch[0]: \"36\" is no network code; expected three digits\n\
                 #/parameters.toml: file[0].fetch[1]: no terminal fetches by \"301\"; expected one of the listeners' \
                 dialects': {codes}\n\
                 #/parameters.toml: file[0].fetch[3]: 7 is no network code; expected three digits\n\
                 #/parameters.toml: file[1].fetch[0]: \"361\" stands in file[0].end; expected another\n\
                 #/parameters.toml: file[1].requirement: 0 is none; expected a digit from 1 to 9\n\
                 #/ca.hex:3: not hex; expected pairs of 0 to 9 and A to F\n\
                 #/ca.hex:4: one word; expected an identifier and a record\n\
                 #/parameters.toml: file[1].x: unknown key"
            )
        );
    }

    #[test]
    fn a_code_and_a_name_stand_once() {
        let both = PAGED.replace("[\"361\"]", "[\"361\", \"360\"]");
        let place = "#/parameters.toml: file";
        assert_eq!(
            faults(&both, ""),
            format!("{place}[0].end[1]: \"360\" stands in file[0].fetch; expected another")
        );
        assert_eq!(
            faults(&PAGED.repeat(2), ""),
            format!(
                "{place}[1].name: \"magnetic\" stands in file[0].name; expected another\n\
                 {place}[1].fetch[0]: \"360\" stands in file[0].fetch; expected another\n\
                 {place}[1].end[0]: \"361\" stands in file[0].end; expected another"
            )
        );
    }

    #[test]
    fn what_is_missing_and_what_is_no_index_is_named() {
        let place = "#/parameters.toml: file[0]";
        assert_eq!(
            faults("[[file]]\nname = 1\nfetch = []\nrecords = \"none.txt\"", ""),
            format!(
                "{place}.name: 1 is none; expected a text\n\
                 {place}.fetch: empty; expected network codes\n\
                 {place}.requirement: missing; expected a digit from 1 to 9\n\
                 {place}.records: #/none.txt cannot be read: No such file or directory (os error 2)"
            )
        );
        assert!(faults("[[file", "").starts_with("#/parameters.toml: TOML parse error"));
        assert!(matches!(
            Parameters::load(Path::new("/nowhere"), &[]),
            Err(ParametersError::Unreadable { .. })
        ));
    }
}
