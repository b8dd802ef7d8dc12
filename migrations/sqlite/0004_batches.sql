-- The terminals that are known, and where each stands. `seq` grows with each change, so that nodes can ask for the newer
-- ones.
CREATE TABLE terminal (
    terminal  BLOB   PRIMARY KEY CHECK (length(terminal) = 8),
    merchant  BLOB   NOT NULL,
    name      BLOB   NOT NULL,         -- the terminal's own identifier (41)
    domain    TEXT    NOT NULL,
    listener  TEXT    NOT NULL,
    batch     INTEGER,                  -- the open batch that it uses; null where none is known
    last      INTEGER NOT NULL,         -- the newest number, for the next
    signed    INTEGER,                  -- STAN of the sign-in that handed `batch` out
    signed_at INTEGER,
    reported  TEXT,                     -- network code of its last status report
    report_at INTEGER,
    seq       INTEGER  NOT NULL
) STRICT;
CREATE INDEX terminal_seq ON terminal (seq);

-- The batches. Its transactions are those under its key range from `day` on. A number that comes again begins anew.
CREATE TABLE batch (
    terminal   BLOB    NOT NULL,
    number     INTEGER  NOT NULL,
    day        INTEGER  NOT NULL,       -- no transaction of it is of an earlier business day
    opened     INTEGER   NOT NULL,
    closed     INTEGER,                  -- null while it is open
    closed_day INTEGER,
    covered    INTEGER,                 -- the batch that the settlement named, which may cover several
    stan       INTEGER,                 -- of the settlement
    asked      TEXT,                    -- the totals (48) as the terminal sent them
    held       TEXT,                    -- the switch's
    answer     TEXT,                    -- as answered: the terminal's, with the result digits
    result     INTEGER,                -- 1 balanced, 2 not
    ended      INTEGER,                  -- when its upload was complete
    cases      INTEGER,                 -- differences that were found
    PRIMARY KEY (terminal, number)
) STRICT;
CREATE INDEX batch_closed ON batch (closed_day) WHERE closed_day IS NOT NULL;

-- Lines of a settled batch's upload, without card numbers. `day` is that of the settlement.
CREATE TABLE upload (
    terminal  BLOB    NOT NULL,
    batch     INTEGER  NOT NULL,
    day       INTEGER  NOT NULL,
    source    INTEGER NOT NULL,        -- 1 list, 2 detail, 3 chip
    trace     INTEGER  NOT NULL,
    kind      INTEGER NOT NULL,        -- 0 where the line does not say
    amount    INTEGER   NOT NULL,
    card_hash BLOB    NOT NULL,
    card_first6 BLOB  NOT NULL,
    card_last4  BLOB  NOT NULL,
    PRIMARY KEY (terminal, batch, day, source, trace, kind)
) STRICT;
CREATE INDEX upload_day ON upload (day);

-- Which version of a parameter file a terminal has, and which it has begun to fetch.
CREATE TABLE fetched (
    terminal BLOB NOT NULL,
    file     TEXT  NOT NULL,
    version  TEXT,
    begun    TEXT,
    PRIMARY KEY (terminal, file)
) STRICT;

-- For people: what differs. Never a card number.
ALTER TABLE cases ADD COLUMN detail BLOB;
