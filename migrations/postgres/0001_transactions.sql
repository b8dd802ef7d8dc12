-- The lowest schema version that a binary must know, and what all processes on this database must agree on.
CREATE TABLE meta (
    one         integer PRIMARY KEY CHECK (one = 1),
    min_version bigint NOT NULL,
    zone        text,
    cutover     text,
    day         integer                 -- the current business day, days since 1970-01-01
);
INSERT INTO meta (one, min_version) VALUES (1, 1);

-- The next transaction number that nobody has drawn.
CREATE TABLE number (
    one  integer PRIMARY KEY CHECK (one = 1),
    next bigint NOT NULL
) WITH (fillfactor = 50);
INSERT INTO number (one, next) VALUES (1, 1);

CREATE TABLE node (
    node        integer PRIMARY KEY GENERATED ALWAYS AS IDENTITY,
    name        text    NOT NULL UNIQUE,
    host        text    NOT NULL,
    beat        bigint  NOT NULL DEFAULT 0,
    lowest_open bigint  NOT NULL DEFAULT 0, -- no transaction of it below this number is open
    taken_by    integer,                    -- the node that conducts its estate, until it returns
    taken_epoch integer                     -- the epoch that the take-over set
) WITH (fillfactor = 50);

-- One row a writer: a batch is written only under its node's epoch and day.
CREATE TABLE fence (
    node  integer  NOT NULL,
    lane  smallint NOT NULL,            -- 1 intents, 2 outcomes
    epoch integer  NOT NULL,
    day   integer  NOT NULL,
    PRIMARY KEY (node, lane)
) WITH (fillfactor = 50);

-- The business days. `opened` is null until the day was current; `former` is the day that it followed.
CREATE TABLE day (
    day    integer PRIMARY KEY,
    former integer,
    opened bigint,                      -- microseconds since 1970, as every time here
    number bigint,                      -- the next number when it was opened
    closed bigint                       -- when its deliveries of unknown result became cases
);

-- The transactions: a leaf a business day, `txn_YYYYMMDD`, made and dropped by the store. Bytes that come from outside
-- are bytea. Columns from `version` on change; none of them may ever be indexed, nor stand in an index predicate, or
-- updates stop being heap-only.
CREATE TABLE txn (
    id          bigint   NOT NULL CHECK (id BETWEEN 1 AND 999999999999),
    created     bigint   NOT NULL,
    amount      bigint   NOT NULL CHECK (amount >= 0),
    day         integer  NOT NULL,
    node        integer  NOT NULL,
    epoch       integer  NOT NULL,
    stan        integer  NOT NULL,
    kind        smallint NOT NULL,
    key         bytea    NOT NULL CHECK (length(key) = 15),
    listener    text     NOT NULL,
    merchant    bytea    NOT NULL,
    terminal    bytea    NOT NULL,
    currency    bytea    NOT NULL,
    digest      bytea    NOT NULL,
    issuer      text,
    card_hash   bytea    NOT NULL,
    card_first6 bytea    NOT NULL,
    card_last4  bytea    NOT NULL,
    card_sealed bytea    NOT NULL,
    carried     bytea    NOT NULL,
    version     integer  NOT NULL,
    change      bigint   NOT NULL,
    state       smallint NOT NULL,
    cause       smallint NOT NULL,
    code        text,
    approved    bigint   NOT NULL,
    answer      bytea    NOT NULL,
    copies      integer  NOT NULL,
    late        integer  NOT NULL,
    concluded   bigint
) PARTITION BY LIST (day);

-- The duty to reverse a transaction: one a transaction, with all that the message needs.
CREATE TABLE obligation (
    id          bigint   PRIMARY KEY,
    opened      bigint   NOT NULL,
    due         bigint   NOT NULL,
    owner       integer  NOT NULL,
    attempts    integer  NOT NULL,
    status      smallint NOT NULL,
    cause       smallint NOT NULL,
    parked      boolean  NOT NULL,
    day         integer  NOT NULL,
    key         bytea    NOT NULL,
    kind        smallint NOT NULL,
    created     bigint   NOT NULL,
    amount      bigint   NOT NULL,
    stan        integer  NOT NULL,
    listener    text     NOT NULL,
    merchant    bytea    NOT NULL,
    terminal    bytea    NOT NULL,
    currency    bytea    NOT NULL,
    issuer      text,
    card_hash   bytea    NOT NULL,
    card_first6 bytea    NOT NULL,
    card_last4  bytea    NOT NULL,
    card_sealed bytea    NOT NULL,
    carried     bytea    NOT NULL
) WITH (fillfactor = 70);
CREATE INDEX obligation_open ON obligation (owner, id) WHERE status IN (1, 3);
CREATE INDEX obligation_day ON obligation (day);

-- The unusual of a transaction's timeline. `detail` is for people.
CREATE TABLE note (
    seq    bigint   PRIMARY KEY GENERATED ALWAYS AS IDENTITY,
    id     bigint   NOT NULL,
    day    integer  NOT NULL,
    at     bigint   NOT NULL,
    kind   smallint NOT NULL,
    detail bytea    NOT NULL
);
CREATE INDEX note_id ON note (id);
CREATE INDEX note_day ON note (day, kind);

-- What a person must look at. Open until `resolved`.
CREATE TABLE cases (
    id       bigint   NOT NULL,
    kind     smallint NOT NULL,
    opened   bigint   NOT NULL,
    resolved bigint,
    PRIMARY KEY (id, kind)
);
CREATE INDEX cases_open ON cases (id) WHERE resolved IS NULL;
