-- What is published of an inbox row that is not on its topic as a whole yet: its list's elements before next, with their places. A row of
-- a short list has none; the last slice takes them away and writes all places to the inbox row.
CREATE TABLE inbox_slices (
    seq    BIGINT NOT NULL,
    next   BIGINT NOT NULL,
    life   BIGINT NOT NULL,
    ekey   TEXT NOT NULL,
    places TEXT NOT NULL,
    PRIMARY KEY (seq, next)
) {bare};
