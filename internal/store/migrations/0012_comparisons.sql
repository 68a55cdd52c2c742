-- Runs of reconciliations and rules. options, progress and summary are JSON. last marks what says how a name stands: 2 the newest whole run that says
-- it, 1 a failed one since, 3 repairs of its differences since; 0 the rest, which goes once keep_until is over.
CREATE TABLE comparisons (
    id         {rowid} PRIMARY KEY,
    kind       TEXT NOT NULL,
    name       TEXT NOT NULL,
    cause      TEXT NOT NULL,
    who        TEXT NOT NULL,
    why        TEXT NOT NULL,
    options    TEXT NOT NULL,
    state      TEXT NOT NULL,
    attempt    BIGINT NOT NULL,
    wanted     BIGINT NOT NULL,
    started    BIGINT NOT NULL,
    updated    BIGINT NOT NULL,
    finished   BIGINT NOT NULL,
    cancel     TEXT NOT NULL,
    detail     TEXT NOT NULL,
    progress   TEXT NOT NULL,
    summary    TEXT NOT NULL,
    keep       BIGINT NOT NULL,
    keep_until BIGINT NOT NULL,
    last       BIGINT NOT NULL
);
CREATE INDEX comparisons_name ON comparisons (kind, name, id);
CREATE UNIQUE INDEX comparisons_open ON comparisons (kind, name) WHERE finished = 0;
CREATE INDEX comparisons_last ON comparisons (kind, name, id) WHERE last > 0;
CREATE INDEX comparisons_old ON comparisons (keep_until) WHERE last = 0 AND finished > 0;

-- What runs have found. mark is a hash of what makes a difference the same one in the next run. body is the whole, as the code that reads it says.
CREATE TABLE differences (
    run    BIGINT NOT NULL,
    n      BIGINT NOT NULL,
    kind   TEXT NOT NULL,
    reason TEXT NOT NULL,
    drift  BIGINT NOT NULL,
    mark   BIGINT NOT NULL,
    since  BIGINT NOT NULL,
    body   {blob} NOT NULL,
    PRIMARY KEY (run, n)
);
CREATE INDEX differences_mark ON differences (run, mark);
CREATE INDEX differences_reason ON differences (run, reason, n);

-- only postgres
CREATE SEQUENCE comparisons_ids;
