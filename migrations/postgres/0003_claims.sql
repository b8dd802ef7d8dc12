-- What claims that stand have taken of a transaction, and the one whose claim on it is open (M11). Like every column from
-- `version` on they change, and may never be indexed.
ALTER TABLE txn ADD COLUMN claimed bigint NOT NULL DEFAULT 0;
ALTER TABLE txn ADD COLUMN claiming bigint;

-- What a void, refund, completion or adjustment takes of its original: one a transaction. `id` is the taker's number.
CREATE TABLE claim (
    id       bigint   PRIMARY KEY,
    original bigint   NOT NULL,
    key      bytea    NOT NULL,         -- the original's identity
    day      integer  NOT NULL,         -- the day of the original's row
    amount   bigint   NOT NULL,         -- below zero where it adds to the original
    status   smallint NOT NULL,         -- 1 open, 2 stands, 3 released
    opened   bigint   NOT NULL,
    closed   bigint
) WITH (fillfactor = 70);
CREATE INDEX claim_original ON claim (original);
CREATE INDEX claim_day ON claim (day);
