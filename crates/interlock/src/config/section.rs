//! How sections are read: declared as plain structs with a default in TOML for each key, so that the documents can be
//! made from the same declaration.

use ::config::{Map, Value, ValueKind};

use super::{source::Source, value::Leaf};

/// What holds where a key is missing.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Absent {
    /// It has to be there.
    Required,
    /// This, written in TOML.
    Default(&'static str),
    /// What this gives, described by the text.
    Computed(fn() -> String, &'static str),
    /// The value's own emptiness: no array, no option, a section of defaults.
    Nothing,
}

/// One line of the configuration reference.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Line {
    /// The key with its tables, such as `listener[].listen`.
    pub(crate) key: String,
    /// The default as it would be written.
    pub(crate) default: String,
    /// What values are accepted.
    pub(crate) accepts: String,
    /// What it means.
    pub(crate) meaning: String,
}

/// A value, a list or a section that is taken out of the tree.
pub(crate) trait Take: Sized {
    /// Takes the value at `key`; notes faults in `source` and gives a stand-in where there are any.
    fn take(source: &Source, key: &str, value: Option<&Value>, absent: Absent) -> Self;

    /// Adds the lines of the reference.
    fn describe(key: &str, meaning: &str, absent: Absent, lines: &mut Vec<Line>);
}

/// A table of named keys.
pub(crate) trait Section: Sized {
    /// Takes its keys out of `table`, of which others are faults.
    fn read(source: &Source, key: &str, table: &Map<String, Value>) -> Self;

    /// Adds the lines of its keys.
    fn lines(prefix: &str, lines: &mut Vec<Line>);
}

impl<T: Leaf> Take for T {
    fn take(source: &Source, key: &str, value: Option<&Value>, absent: Absent) -> Self {
        let computed;
        let value = match (value, absent) {
            (Some(value), _) => value,
            (None, Absent::Computed(make, _)) => {
                computed = Value::from(make());
                &computed
            }
            (None, Absent::Default(text)) => {
                return T::of_default(text).unwrap_or_else(|| {
                    source.fault(key, format!("the built-in default {text} is not valid"));
                    T::stand_in()
                });
            }
            (None, Absent::Required | Absent::Nothing) => {
                source.fault(key, format!("missing; expected {}", T::expected()));
                return T::stand_in();
            }
        };
        let lenient = source.variable(key).is_some();
        T::parse(value, lenient).unwrap_or_else(|found| {
            source.fault(key, format!("{found}; expected {}", T::expected()));
            T::stand_in()
        })
    }

    fn describe(key: &str, meaning: &str, absent: Absent, lines: &mut Vec<Line>) {
        let default = match absent {
            Absent::Required => "required".to_owned(),
            Absent::Default(text) => format!("`{text}`"),
            Absent::Computed(_, text) => text.to_owned(),
            Absent::Nothing => String::new(),
        };
        lines.push(Line {
            key: key.to_owned(),
            default,
            accepts: T::expected(),
            meaning: meaning.to_owned(),
        });
    }
}

/// A key that may be missing and then says nothing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Maybe<T>(pub(crate) Option<T>);

impl<T: Leaf> Take for Maybe<T> {
    fn take(source: &Source, key: &str, value: Option<&Value>, _absent: Absent) -> Self {
        Self(value.map(|value| T::take(source, key, Some(value), Absent::Required)))
    }

    fn describe(key: &str, meaning: &str, _absent: Absent, lines: &mut Vec<Line>) {
        T::describe(key, meaning, Absent::Computed(String::new, "none"), lines);
    }
}

/// An array of plain values.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct List<T>(pub(crate) Vec<T>);

impl<T: Leaf> Take for List<T> {
    fn take(source: &Source, key: &str, value: Option<&Value>, absent: Absent) -> Self {
        let Some(value) = value else {
            return match absent {
                Absent::Default(text) => {
                    Self(super::value::default_list(text).iter().filter_map(of_text).collect())
                }
                Absent::Required => {
                    source.fault(key, format!("missing; expected a list of: {}", T::expected()));
                    Self(Vec::new())
                }
                Absent::Computed(..) | Absent::Nothing => Self(Vec::new()),
            };
        };
        let single;
        let list = match &value.kind {
            ValueKind::Array(list) => list,
            ValueKind::String(text) if source.variable(key).is_some() => {
                single = text.split(',').map(|part| Value::from(part.trim())).collect();
                &single
            }
            _ => {
                source.fault(key, format!("not a list; expected a list of: {}", T::expected()));
                return Self(Vec::new());
            }
        };
        if list.is_empty() && matches!(absent, Absent::Required) {
            source.fault(key, format!("empty; expected at least one of: {}", T::expected()));
        }
        let element = |(at, value): (usize, &Value)| {
            T::take(source, &format!("{key}[{at}]"), Some(value), Absent::Required)
        };
        Self(list.iter().enumerate().map(element).collect())
    }

    fn describe(key: &str, meaning: &str, absent: Absent, lines: &mut Vec<Line>) {
        T::describe(key, meaning, absent, lines);
        if let Some(line) = lines.last_mut() {
            line.accepts = format!("list of: {}", line.accepts);
            if line.default.is_empty() {
                "`[]`".clone_into(&mut line.default);
            }
        }
    }
}

fn of_text<T: Leaf>(value: &Value) -> Option<T> {
    T::parse(value, false).ok()
}

/// One table.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct One<T>(pub(crate) T);

impl<T: Section> Take for One<T> {
    fn take(source: &Source, key: &str, value: Option<&Value>, _absent: Absent) -> Self {
        let empty = Map::new();
        match value.map(|value| &value.kind) {
            None => Self(T::read(source, key, &empty)),
            Some(ValueKind::Table(table)) => Self(T::read(source, key, table)),
            Some(_) => {
                source.fault(key, format!("not a table; expected [{key}]"));
                Self(T::read(source, key, &empty))
            }
        }
    }

    fn describe(key: &str, _meaning: &str, _absent: Absent, lines: &mut Vec<Line>) {
        T::lines(key, lines);
    }
}

/// An array of tables.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Many<T>(pub(crate) Vec<T>);

impl<T: Section> Take for Many<T> {
    fn take(source: &Source, key: &str, value: Option<&Value>, _absent: Absent) -> Self {
        let list = match value.map(|value| &value.kind) {
            None => return Self(Vec::new()),
            Some(ValueKind::Array(list)) => list,
            Some(_) => {
                source.fault(key, format!("not a list of tables; expected [[{key}]]"));
                return Self(Vec::new());
            }
        };
        let element = |(at, value): (usize, &Value)| {
            let key = format!("{key}[{at}]");
            match &value.kind {
                ValueKind::Table(table) => Some(T::read(source, &key, table)),
                _ => {
                    source.fault(&key, "not a table; expected keys and values");
                    None
                }
            }
        };
        Self(list.iter().enumerate().filter_map(element).collect())
    }

    fn describe(key: &str, _meaning: &str, _absent: Absent, lines: &mut Vec<Line>) {
        T::lines(&format!("{key}[]"), lines);
    }
}

/// Declares sections: `name: Type = how absence is met;`, the doc comment being the meaning in the reference.
macro_rules! section {
    ($(#[doc = $about:literal])* $vis:vis struct $name:ident {
        $($(#[doc = $meaning:literal])+ $key:ident: $type:ty = $absent:expr;)*
    }) => {
        $(#[doc = $about])*
        #[derive(Debug, Clone, PartialEq)]
        $vis struct $name { $($(#[doc = $meaning])+ pub(crate) $key: $type,)* }

        impl $crate::config::section::Section for $name {
            fn read(
                source: &$crate::config::source::Source,
                key: &str,
                table: &::config::Map<String, ::config::Value>,
            ) -> Self {
                const KNOWN: &[&str] = &[$(stringify!($key)),*];
                $crate::config::section::refuse_unknown(source, key, table, KNOWN);
                Self {
                    $($key: $crate::config::section::Take::take(
                        source,
                        &$crate::config::section::join(key, stringify!($key)),
                        table.get(stringify!($key)),
                        $absent,
                    ),)*
                }
            }

            fn lines(prefix: &str, lines: &mut Vec<$crate::config::section::Line>) {
                $(<$type as $crate::config::section::Take>::describe(
                    &$crate::config::section::join(prefix, stringify!($key)),
                    concat!($($meaning),+).trim(),
                    $absent,
                    lines,
                );)*
            }
        }
    };
}
pub(crate) use section;

/// `key` in the table `prefix`.
pub(crate) fn join(prefix: &str, key: &str) -> String {
    if prefix.is_empty() { key.to_owned() } else { format!("{prefix}.{key}") }
}

/// Notes each key of `table` that is not among the `known`, with the nearest known one.
pub(crate) fn refuse_unknown(
    source: &Source,
    key: &str,
    table: &Map<String, Value>,
    known: &[&str],
) {
    for name in table.keys().filter(|name| !known.contains(&name.as_str())) {
        source
            .fault(&join(key, name), format!("unknown key; expected one of {}", known.join(", ")));
    }
}
