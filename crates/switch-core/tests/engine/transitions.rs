//! docs/transitions.md: what each event does in each state, told by the engine itself.

use std::{fmt::Write as _, path::Path, time::Duration};

use iso8583::Kind;
use switch_core::{Event, Key, Named, Persisted, ReversalUnsent, Takes, TerminalKey, Unsent};

use crate::rig::{Rig, key};

type Step = fn(&mut Rig);

/// Each state, with how a transaction comes there.
const STATES: &[(&str, Step)] = &[
    ("(unknown)", |_| {}),
    ("Looking", |rig| {
        rig.hold = true;
        rig.reverse(1, 100);
        rig.hold = false;
    }),
    ("Recording", |rig| {
        rig.hold = true;
        rig.buy(1);
        rig.hold = false;
    }),
    ("Forwarding", |rig| rig.buy(1)),
    ("AwaitingIssuer", |rig| {
        rig.buy(1);
        rig.written();
    }),
    ("Concluding", |rig| {
        rig.buy(1);
        rig.written();
        rig.hold = true;
        rig.answered("00");
        rig.hold = false;
    }),
    ("ReversalAsked", |rig| {
        rig.buy(1);
        rig.written();
        rig.reverse(2, 100);
    }),
    ("Following", following),
    ("Approved", |rig| {
        rig.buy(1);
        rig.written();
        rig.answered("00");
    }),
    ("(approved, taken)", |rig| {
        rig.buy(1);
        rig.written();
        rig.answered("00");
        rig.taken(1);
    }),
    ("Undelivered", |rig| {
        rig.buy(1);
        rig.written();
        rig.answered("00");
        rig.dropped(1);
    }),
    ("(declined)", |rig| {
        rig.buy(1);
        rig.written();
        rig.answered("51");
    }),
    ("(never sent)", |rig| {
        rig.buy(1);
        let id = rig.id();
        rig.tell(Event::NeverSent { id, why: Unsent::NoLink });
    }),
    ("TimedOut", |rig| {
        rig.buy(1);
        rig.written();
        rig.pass(Duration::from_secs(15));
    }),
    ("TimedOut, reversal written", |rig| {
        rig.buy(1);
        rig.written();
        rig.pass(Duration::from_secs(15));
        rig.reversal_written();
    }),
    ("(timed out, reversal confirmed)", |rig| {
        rig.buy(1);
        rig.written();
        rig.pass(Duration::from_secs(15));
        rig.reversal_written();
        rig.reversal_answered("00");
    }),
    ("Undone", |rig| {
        rig.buy(1);
        rig.written();
        rig.answered("00");
        rig.taken(1);
        rig.reverse(2, 100);
    }),
    ("(reversed before arrival)", |rig| rig.reverse(1, 100)),
    ("Looking, for the original of a void", |rig| {
        rig.hold_originals = true;
        void(rig);
    }),
    ("Recording, the claim of a void", |rig| {
        rig.hold = true;
        void(rig);
        rig.hold = false;
    }),
    ("AwaitingIssuer, with the claim of a void", voiding),
    ("Approved, a void whose claim stands", |rig| {
        voiding(rig);
        rig.answered("00");
    }),
    ("TimedOut, a void whose claim is open", |rig| {
        voiding(rig);
        rig.pass(Duration::from_secs(15));
        rig.reversal_written();
    }),
    ("Undone, a void whose claim stood", |rig| {
        voiding(rig);
        rig.answered("00");
        rig.taken(1);
        rig.reverse(2, 100);
        rig.reversal_written();
    }),
    ("Approved, the original of an open void", |rig| {
        voiding(rig);
        rig.focus = key();
        rig.reverse(2, 100);
    }),
    ("AwaitingIssuer, of an advice", advised),
    ("Accepted", |rig| {
        advised(rig);
        rig.pass(Duration::from_secs(15));
        rig.reversal_written();
    }),
    ("Accepted, never sent", |rig| {
        rig.focus = Key::new(TerminalKey([1; 8]), 1, 44, Kind::OfflineSale);
        rig.buy(1);
        let id = rig.id();
        rig.tell(Event::NeverSent { id, why: Unsent::NoLink });
    }),
    ("Accepted, at an issuer that takes no repeats", |rig| {
        rig.take_no_repeats(&[]);
        advised(rig);
        rig.pass(Duration::from_secs(15));
    }),
    ("Disputed", |rig| {
        advised(rig);
        rig.pass(Duration::from_secs(15));
        rig.reversal_written();
        rig.answered("51");
    }),
];

/// A sale that its terminal has, and its void, asked for.
fn void(rig: &mut Rig) {
    let (hold, held) = (std::mem::take(&mut rig.hold), rig.hold_originals);
    rig.buy(1);
    rig.written();
    rig.answered("00");
    rig.taken(1);
    (rig.hold, rig.hold_originals) = (hold, held);
    rig.focus = Key::new(TerminalKey([1; 8]), 1, 43, Kind::Void);
    let sale = Named::Trace { batch: 1, stan: 42 };
    rig.ask_about(1, 100, sale, &[Kind::Purchase], Takes::Equal);
}

fn voiding(rig: &mut Rig) {
    void(rig);
    rig.written();
}

fn advised(rig: &mut Rig) {
    rig.focus = Key::new(TerminalKey([1; 8]), 1, 44, Kind::OfflineSale);
    rig.buy(1);
    rig.written();
}

/// Each event.
const EVENTS: &[(&str, Step)] = &[
    ("the request, or a copy", |rig| rig.buy(11)),
    ("a copy with other content", |rig| {
        let mut request = rig.request(11);
        request.digest = switch_core::Digest([7; 16]);
        rig.tell(Event::Request(Box::new(request)));
    }),
    ("the terminal's reversal", |rig| rig.reverse(12, 100)),
    ("its reversal of another amount", |rig| rig.reverse(12, 99)),
    ("record applied", |rig| rig.release()),
    ("record failed", |rig| rig.end_held(&Persisted::Failed)),
    ("record unknown", |rig| rig.end_held(&Persisted::Unknown)),
    ("original read", |rig| rig.find_originals()),
    ("row read", |rig| {
        for read in std::mem::take(&mut rig.reads) {
            rig.answer_read(read);
        }
        rig.pass(Duration::ZERO);
    }),
    ("request written", |rig| rig.written()),
    ("request never sent", |rig| {
        let id = rig.id();
        rig.tell(Event::NeverSent { id, why: Unsent::NoLink });
    }),
    ("issuer approves", |rig| rig.answered("00")),
    ("issuer refuses (51)", |rig| rig.answered("51")),
    ("issuer does not know (68)", |rig| rig.answered("68")),
    ("issuer alters the amount", |rig| {
        let mut answer = rig.answer("00");
        answer.amount = Some(1);
        rig.tell(Event::Answer(Box::new(answer)));
    }),
    ("15 s pass", |rig| rig.pass(Duration::from_secs(15))),
    ("61 s pass", |rig| rig.pass(Duration::from_secs(61))),
    ("answer taken", |rig| rig.taken(1)),
    ("answer dropped", |rig| rig.dropped(1)),
    ("terminal gone", |rig| rig.gone(1)),
    ("reversal written", |rig| rig.reversal_written()),
    ("reversal never sent", |rig| {
        let id = rig.id();
        rig.tell(Event::ReversalNeverSent { id, why: ReversalUnsent::NoLink });
    }),
    ("reversal cannot be made", |rig| {
        let id = rig.id();
        rig.tell(Event::ReversalNeverSent { id, why: ReversalUnsent::Unwritable });
    }),
    ("reversal answered 00", |rig| rig.reversal_answered("00")),
    ("reversal answered 25", |rig| rig.reversal_answered("25")),
    ("reversal answered 96", |rig| rig.reversal_answered("96")),
    ("store down", |rig| rig.tell(Event::StoreDown)),
    ("recovery tells it", |rig| {
        if let Some(found) = rig.rows.get(&rig.focus).cloned() {
            rig.tell(Event::Recovered(Box::new(found)));
        }
    }),
    ("drain", |rig| rig.tell(Event::Drain)),
];

/// In flight at another node.
fn following(rig: &mut Rig) {
    let mut other = Rig::new();
    other.buy(1);
    other.written();
    let mut found = other.rows.get(&key()).expect("row").clone();
    found.row.fixed_mut().node = switch_core::NodeNo(2);
    rig.rows.insert(key(), found);
    rig.buy(1);
    rig.log.clear();
}

fn table() -> String {
    let mut text = String::from(
        "# What each event does in each state\n\n\
         Made by the test `transitions` of `switch-core` from the engine itself; to make it anew after a change that is meant:\n\
         `UPDATE=1 cargo test -p switch-core transitions`. A state in parentheses is the row's, of a transaction that is no\n\
         longer in memory. Numbers behind `approve`, `refuse`, `done` and `silent` are asks: 1 the first request, 2 an earlier\n\
         reversal, 11 and 12 the message of this event. Events that change nothing and do nothing are left out.\n",
    );
    for (state, come) in STATES {
        let _ = write!(text, "\n## {state}\n\n| event | then | what is done |\n|---|---|---|\n");
        for (event, happen) in EVENTS {
            let mut rig = Rig::new();
            come(&mut rig);
            let before = rig.state();
            rig.look();
            happen(&mut rig);
            let (after, done) = (rig.state(), rig.look());
            if after != before || !done.is_empty() {
                let _ = writeln!(text, "| {event} | {after} | {done} |");
            }
        }
    }
    text
}

#[test]
fn every_state_is_reached() {
    for (name, come) in STATES {
        let mut rig = Rig::new();
        come(&mut rig);
        let state = rig.state();
        let named = name.split(',').next().expect("name");
        let meant =
            state == named || (named.starts_with('(') && (state.starts_with('(') || state == "-"));
        assert!(meant, "{name}: {state}");
    }
}

#[test]
fn transitions_are_as_published() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/transitions.md");
    let made = table();
    if std::env::var_os("UPDATE").is_some() {
        std::fs::write(&path, &made).expect("write");
    }
    let published = std::fs::read_to_string(&path).unwrap_or_default();
    let differs = made.lines().zip(published.lines()).find(|(made, published)| made != published);
    assert!(
        made == published,
        "docs/transitions.md differs ({differs:?}); if the change is meant: UPDATE=1 cargo test -p switch-core transitions"
    );
}
