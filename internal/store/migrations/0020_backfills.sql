-- Loads of everything that a flow's source holds. about, place, as_of, moved and rounds are those of a BackfillPlace; progress is JSON.
CREATE TABLE backfills (
    id         {rowid} PRIMARY KEY,
    flow       TEXT NOT NULL,
    again      BIGINT NOT NULL,
    who        TEXT NOT NULL,
    why        TEXT NOT NULL,
    since      BIGINT NOT NULL,
    state      TEXT NOT NULL,
    attempt    BIGINT NOT NULL,
    wanted     BIGINT NOT NULL,
    started    BIGINT NOT NULL,
    updated    BIGINT NOT NULL,
    finished   BIGINT NOT NULL,
    cancel     TEXT NOT NULL,
    detail     TEXT NOT NULL,
    about      TEXT NOT NULL,
    place      TEXT NOT NULL,
    as_of      BIGINT NOT NULL,
    moved      BIGINT NOT NULL,
    rounds     BIGINT NOT NULL,
    progress   TEXT NOT NULL
);
CREATE UNIQUE INDEX backfills_open ON backfills (flow) WHERE finished = 0;
CREATE INDEX backfills_flow ON backfills (flow, id);
CREATE INDEX backfills_old ON backfills (finished) WHERE finished > 0;
