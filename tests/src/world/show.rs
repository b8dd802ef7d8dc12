//! Short texts of events, effects and records for the timeline.

use switch_core::{Effect, Event, Persisted, Read, Record, Reply, Row};

use super::edge;

fn row(row: &Row) -> String {
    format!("{} v{} {}", row.id.0, row.version, row.state.name())
}

pub(super) fn event(event: &Event) -> String {
    match event {
        Event::Request(request) => {
            format!("request ask {} key {:?}", request.asked.ask.0, request.key)
        }
        Event::Reversal(request) => {
            format!("reversal ask {} key {:?}", request.asked.ask.0, request.key)
        }
        Event::Persisted { record, result } => {
            format!("persisted record {}: {}", record.0, persisted(result))
        }
        Event::RowRead { read, found } => {
            let found = match found {
                Ok(Some(found)) => format!("{} {:?}", row(&found.row), found.obligation),
                Ok(None) => "nothing".to_owned(),
                Err(_) => "failed".to_owned(),
            };
            format!("read {}: {found}", self::read(read))
        }
        Event::Answer(answer) => format!(
            "answer {} to {}{}",
            answer.code,
            edge::named_by(answer).0,
            if answer.to_reversal { " reversal" } else { "" }
        ),
        Event::Recovered(found) => format!("recovered {} {:?}", row(&found.row), found.obligation),
        other => format!("{other:?}"),
    }
}

fn read(read: &Read) -> String {
    format!("{read:?}")
}

pub(super) fn persisted(result: &Persisted) -> String {
    match result {
        Persisted::Applied(_) => "applied".to_owned(),
        Persisted::Lost(Some(found)) => {
            format!("lost to {} {:?}", row(&found.row), found.obligation)
        }
        Persisted::Lost(None) => "lost to nothing".to_owned(),
        Persisted::Failed => "failed".to_owned(),
        Persisted::Unknown => "unknown".to_owned(),
    }
}

pub(super) fn effect(effect: &Effect) -> String {
    match effect {
        Effect::Persist { record, what } => format!("persist record {} {}", record.0, text(what)),
        Effect::Forward(forward) => format!("forward {}", forward.durable.id().0),
        Effect::Reverse(out) => format!(
            "reverse {}{} on {:?}",
            out.owed.id().0,
            if out.repeat { " repeat" } else { "" },
            out.link
        ),
        Effect::Reply { ask, reply } => match reply {
            Reply::Approved { durable, .. } => {
                format!("reply ask {} approved {}", ask.0, durable.id().0)
            }
            Reply::Refused(outcome) | Reply::Shed(outcome) => {
                format!("reply ask {} refused {:?} {:?}", ask.0, outcome.cause, outcome.code)
            }
            Reply::Done(id) => format!("reply ask {} done {id:?}", ask.0),
        },
        other => format!("{other:?}"),
    }
}

fn text(record: &Record) -> String {
    match record {
        Record::Intent(intent) => format!("intent {}", row(intent)),
        Record::Claim(claim) => {
            format!("intent {} claims {} of {}", row(&claim.row), claim.amount, claim.original.0)
        }
        Record::Change(change) => format!(
            "change {} obligation {:?}",
            row(&change.row),
            change.obligation.map(|write| (write.status, write.cause))
        ),
        Record::Progress(progress) => format!("{progress:?}"),
        Record::Case(case) => format!("{case:?}"),
        Record::Note(note) => format!("note {} {:?}", note.id.0, note.kind),
    }
}

/// The text of a record, where someone reads it.
pub(super) fn record(record: &Record, wanted: bool) -> Option<String> {
    wanted.then(|| text(record))
}
