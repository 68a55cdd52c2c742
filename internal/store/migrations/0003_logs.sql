-- What is known of each topic's log. life rises when a person lets the hub go on with another log; ends is a JSON list.
CREATE TABLE logs (
    topic    TEXT PRIMARY KEY,
    life     BIGINT NOT NULL,
    cluster  TEXT NOT NULL,
    topic_id TEXT NOT NULL,
    base     BIGINT NOT NULL,
    ends     TEXT NOT NULL,
    foreigners BIGINT NOT NULL DEFAULT 0
);

ALTER TABLE partitions ADD COLUMN life BIGINT NOT NULL DEFAULT 0;

-- again names the events of a row that are to be published again, as a JSON list of their numbers; NULL: all.
ALTER TABLE inbox ADD COLUMN again TEXT;

-- What flows have put on topics that other flows read, one row per commit, until those have read it. lost counts the records of the row
-- that are to be put there again.
CREATE TABLE outbox (
    id      {rowid} PRIMARY KEY,
    flow    TEXT NOT NULL,
    topic   TEXT NOT NULL,
    life    BIGINT NOT NULL,
    lost    BIGINT NOT NULL,
    places  {blob} NOT NULL,
    records {blob} NOT NULL
);
CREATE INDEX outbox_topic ON outbox (topic, id);
CREATE INDEX outbox_lost ON outbox (topic, id) WHERE lost > 0;

-- only postgres
CREATE SEQUENCE outbox_ids;
