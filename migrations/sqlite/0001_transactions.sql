-- The lowest schema version that a binary must know, and what all processes on this database must agree on.
CREATE TABLE meta (
    one         INTEGER PRIMARY KEY CHECK (one = 1),
    min_version INTEGER NOT NULL,
    zone        TEXT,
    cutover     TEXT,
    day         INTEGER                 -- the current business day, days since 1970-01-01
) STRICT;
INSERT INTO meta (one, min_version) VALUES (1, 1);

-- The next transaction number that nobody has drawn.
CREATE TABLE number (
    one  INTEGER PRIMARY KEY CHECK (one = 1),
    next INTEGER NOT NULL
) STRICT;
INSERT INTO number (one, next) VALUES (1, 1);

CREATE TABLE node (
    node        INTEGER PRIMARY KEY,
    name        TEXT    NOT NULL UNIQUE,
    host        TEXT    NOT NULL,
    beat        INTEGER NOT NULL DEFAULT 0,
    lowest_open INTEGER NOT NULL DEFAULT 0, -- no transaction of it below this number is open
    taken_by    INTEGER,                    -- the node that conducts its estate, until it returns
    taken_epoch INTEGER                     -- the epoch that the take-over set
) STRICT;

-- One row a writer: a batch is written only under its node's epoch and day.
CREATE TABLE fence (
    node  INTEGER NOT NULL,
    lane  INTEGER NOT NULL,             -- 1 intents, 2 outcomes
    epoch INTEGER NOT NULL,
    day   INTEGER NOT NULL,
    PRIMARY KEY (node, lane)
) STRICT;

-- The business days. `opened` is null until the day was current; `former` is the day that it followed.
CREATE TABLE day (
    day    INTEGER PRIMARY KEY,
    former INTEGER,
    opened INTEGER,                     -- microseconds since 1970, as every time here
    number INTEGER,                     -- the next number when it was opened
    closed INTEGER                      -- when its deliveries of unknown result became cases
) STRICT;

-- The transactions. Bytes that come from outside are blobs. Columns from `version` on change.
CREATE TABLE txn (
    id          INTEGER PRIMARY KEY CHECK (id BETWEEN 1 AND 999999999999),
    created     INTEGER NOT NULL,
    amount      INTEGER NOT NULL CHECK (amount >= 0),
    day         INTEGER NOT NULL,
    node        INTEGER NOT NULL,
    epoch       INTEGER NOT NULL,
    stan        INTEGER NOT NULL,
    kind        INTEGER NOT NULL,
    key         BLOB    NOT NULL CHECK (length(key) = 15),
    listener    TEXT    NOT NULL,
    merchant    BLOB    NOT NULL,
    terminal    BLOB    NOT NULL,
    currency    BLOB    NOT NULL,
    digest      BLOB    NOT NULL,
    issuer      TEXT,
    card_hash   BLOB    NOT NULL,
    card_first6 BLOB    NOT NULL,
    card_last4  BLOB    NOT NULL,
    card_sealed BLOB    NOT NULL,
    carried     BLOB    NOT NULL,
    version     INTEGER NOT NULL,
    change      INTEGER NOT NULL,
    state       INTEGER NOT NULL,
    cause       INTEGER NOT NULL,
    code        TEXT,
    approved    INTEGER NOT NULL,
    answer      BLOB    NOT NULL,
    copies      INTEGER NOT NULL,
    late        INTEGER NOT NULL,
    concluded   INTEGER
) STRICT;
CREATE UNIQUE INDEX txn_key ON txn (day, key);

-- The duty to reverse a transaction: one a transaction, with all that the message needs.
CREATE TABLE obligation (
    id          INTEGER PRIMARY KEY,
    opened      INTEGER NOT NULL,
    due         INTEGER NOT NULL,
    owner       INTEGER NOT NULL,
    attempts    INTEGER NOT NULL,
    status      INTEGER NOT NULL,
    cause       INTEGER NOT NULL,
    parked      INTEGER NOT NULL,
    day         INTEGER NOT NULL,
    key         BLOB    NOT NULL,
    kind        INTEGER NOT NULL,
    created     INTEGER NOT NULL,
    amount      INTEGER NOT NULL,
    stan        INTEGER NOT NULL,
    listener    TEXT    NOT NULL,
    merchant    BLOB    NOT NULL,
    terminal    BLOB    NOT NULL,
    currency    BLOB    NOT NULL,
    issuer      TEXT,
    card_hash   BLOB    NOT NULL,
    card_first6 BLOB    NOT NULL,
    card_last4  BLOB    NOT NULL,
    card_sealed BLOB    NOT NULL,
    carried     BLOB    NOT NULL
) STRICT;
CREATE INDEX obligation_open ON obligation (owner, id) WHERE status IN (1, 3);
CREATE INDEX obligation_day ON obligation (day);

-- The unusual of a transaction's timeline. `detail` is for people.
CREATE TABLE note (
    seq    INTEGER PRIMARY KEY,
    id     INTEGER NOT NULL,
    day    INTEGER NOT NULL,
    at     INTEGER NOT NULL,
    kind   INTEGER NOT NULL,
    detail BLOB    NOT NULL
) STRICT;
CREATE INDEX note_id ON note (id);
CREATE INDEX note_day ON note (day, kind);

-- What a person must look at. Open until `resolved`.
CREATE TABLE cases (
    id       INTEGER NOT NULL,
    kind     INTEGER NOT NULL,
    opened   INTEGER NOT NULL,
    resolved INTEGER,
    PRIMARY KEY (id, kind)
) STRICT;
CREATE INDEX cases_open ON cases (id) WHERE resolved IS NULL;
