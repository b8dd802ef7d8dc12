-- A value derived from the key that protects card data, never the key: a node with another key does not start. Null until
-- the first start that knows of it.
ALTER TABLE meta ADD COLUMN card_key_check TEXT;

-- The newest version whose stored numbers a node's binary reads, said with the beat `reads_beat`. An older binary beats
-- without saying it, so that a `reads_beat` that is not the present beat means version 4.
ALTER TABLE node ADD COLUMN reads INTEGER NOT NULL DEFAULT 4;
ALTER TABLE node ADD COLUMN reads_beat INTEGER NOT NULL DEFAULT 0;

-- Days that a person set, where a clock had spoiled the day or the shop was closed for long.
CREATE TABLE day_change (
    at     INTEGER PRIMARY KEY,
    former INTEGER NOT NULL,
    day    INTEGER NOT NULL,
    who    TEXT    NOT NULL,
    reason TEXT    NOT NULL
) STRICT;
