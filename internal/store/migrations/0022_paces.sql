-- Replays that go on at a rate, by the number of their bulk: what they select, as JSON, where they are (at, of top), and how they ended.
CREATE TABLE paces (
    act      {rowid} PRIMARY KEY,
    filter   TEXT NOT NULL,
    note     TEXT NOT NULL,
    rate     TEXT NOT NULL,
    matched  BIGINT NOT NULL,
    top      BIGINT NOT NULL,
    at       BIGINT NOT NULL,
    state    TEXT NOT NULL,
    ended    BIGINT NOT NULL,
    ended_by TEXT NOT NULL
);
