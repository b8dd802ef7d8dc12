-- The terminals that are known, and where each stands. `seq` grows with each change, so that nodes can ask for the newer
-- ones.
CREATE TABLE terminal (
    terminal  bytea   PRIMARY KEY CHECK (length(terminal) = 8),
    merchant  bytea   NOT NULL,
    name      bytea   NOT NULL,         -- the terminal's own identifier (41)
    domain    text    NOT NULL,
    listener  text    NOT NULL,
    batch     integer,                  -- the open batch that it uses; null where none is known
    last      integer NOT NULL,         -- the newest number, for the next
    signed    integer,                  -- STAN of the sign-in that handed `batch` out
    signed_at bigint,
    reported  text,                     -- network code of its last status report
    report_at bigint,
    seq       bigint  NOT NULL
);
CREATE INDEX terminal_seq ON terminal (seq);

-- The batches. Its transactions are those under its key range from `day` on. A number that comes again begins anew.
CREATE TABLE batch (
    terminal   bytea    NOT NULL,
    number     integer  NOT NULL,
    day        integer  NOT NULL,       -- no transaction of it is of an earlier business day
    opened     bigint   NOT NULL,
    closed     bigint,                  -- null while it is open
    closed_day integer,
    covered    integer,                 -- the batch that the settlement named, which may cover several
    stan       integer,                 -- of the settlement
    asked      text,                    -- the totals (48) as the terminal sent them
    held       text,                    -- the switch's
    answer     text,                    -- as answered: the terminal's, with the result digits
    result     smallint,                -- 1 balanced, 2 not
    ended      bigint,                  -- when its upload was complete
    cases      integer,                 -- differences that were found
    PRIMARY KEY (terminal, number)
);
CREATE INDEX batch_closed ON batch (closed_day) WHERE closed_day IS NOT NULL;

-- Lines of a settled batch's upload, without card numbers. `day` is that of the settlement.
CREATE TABLE upload (
    terminal  bytea    NOT NULL,
    batch     integer  NOT NULL,
    day       integer  NOT NULL,
    source    smallint NOT NULL,        -- 1 list, 2 detail, 3 chip
    trace     integer  NOT NULL,
    kind      smallint NOT NULL,        -- 0 where the line does not say
    amount    bigint   NOT NULL,
    card_hash bytea    NOT NULL,
    card_first6 bytea  NOT NULL,
    card_last4  bytea  NOT NULL,
    PRIMARY KEY (terminal, batch, day, source, trace, kind)
);
CREATE INDEX upload_day ON upload (day);

-- Which version of a parameter file a terminal has, and which it has begun to fetch.
CREATE TABLE fetched (
    terminal bytea NOT NULL,
    file     text  NOT NULL,
    version  text,
    begun    text,
    PRIMARY KEY (terminal, file)
);

-- For people: what differs. Never a card number.
ALTER TABLE cases ADD COLUMN detail bytea;
