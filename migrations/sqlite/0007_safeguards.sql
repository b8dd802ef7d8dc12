-- A value derived from the key that protects card data, never the key: a node with another key does not start. Null until
-- the first start that knows of it.
ALTER TABLE meta ADD COLUMN card_key_check TEXT;

-- The newest version whose stored numbers a node's binary reads, said with the beat `reads_beat`. An older binary beats
-- without saying it, so that a `reads_beat` that is not the present beat means version 4.
ALTER TABLE node ADD COLUMN reads INTEGER NOT NULL DEFAULT 4;
ALTER TABLE node ADD COLUMN reads_beat INTEGER NOT NULL DEFAULT 0;
