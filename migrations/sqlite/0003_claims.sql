-- What claims that stand have taken of a transaction, and the one whose claim on it is open (M11).
ALTER TABLE txn ADD COLUMN claimed INTEGER NOT NULL DEFAULT 0;
ALTER TABLE txn ADD COLUMN claiming INTEGER;
-- Pre-authorisations are looked for by their card (kind 5); neither column ever changes.
CREATE INDEX txn_held ON txn (card_hash) WHERE kind = 5;

-- What a void, refund, completion or adjustment takes of its original: one a transaction. `id` is the taker's number.
CREATE TABLE claim (
    id       INTEGER PRIMARY KEY,
    original INTEGER NOT NULL,
    key      BLOB    NOT NULL,          -- the original's identity
    day      INTEGER NOT NULL,          -- the day of the original's row
    amount   INTEGER NOT NULL,          -- below zero where it adds to the original
    status   INTEGER NOT NULL,          -- 1 open, 2 stands, 3 released
    opened   INTEGER NOT NULL,
    closed   INTEGER
) STRICT;
CREATE INDEX claim_original ON claim (original);
CREATE INDEX claim_day ON claim (day);
