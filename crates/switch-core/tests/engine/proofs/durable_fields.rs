use switch_core::{Commit, Day, Durable, Instant, OwedProof, TxnId};

fn main() {
    let _ = Durable { id: TxnId(1), commit: Commit { day: Day(1), since: Instant(0) } };
    let _ = OwedProof { id: TxnId(1) };
}
