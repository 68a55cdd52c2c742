-- What people ask of sources that are polled: to read again, or to look for what was deleted. Whoever reads the source carries it out. A later wish of
-- a kind takes the place of an earlier one.
CREATE TABLE source_wishes (
    flow   TEXT NOT NULL,
    kind   TEXT NOT NULL,
    id     BIGINT NOT NULL,
    detail TEXT NOT NULL,
    who    TEXT NOT NULL,
    since  BIGINT NOT NULL,
    PRIMARY KEY (flow, kind)
) {bare};

-- The business key of the newest event that came of the object from the system: what is deleted without a trace has no document to compute it from.
ALTER TABLE refs ADD COLUMN ekey TEXT NOT NULL DEFAULT '';

-- only postgres
CREATE SEQUENCE wishes_ids;
