use switch_core::{Commit, Day, Durable, Instant, TxnId};

fn main() {
    let _ = Durable::of_commit(TxnId(1), Commit { day: Day(1), since: Instant(0) });
}
