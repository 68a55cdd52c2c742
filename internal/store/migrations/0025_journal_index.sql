-- On SQLite each row of the journal went, in no order, into three indexes, and each of them made a page of the file dirty in every small transaction. In their place is one
-- that is written behind the journal, many rows at once and in its own order: see journal_index.go. A term is the folded business key, or a number that stands for a hub id or
-- an event. The rows that are there are indexed when the store is opened, in steps. Other hubs write into PostgreSQL, too: it keeps what it has.
-- only sqlite
CREATE TABLE journal_index (
    seg  INTEGER NOT NULL,
    term NOT NULL,
    fate INTEGER NOT NULL,
    PRIMARY KEY (seg, term, fate)
) WITHOUT ROWID;
CREATE TABLE journal_indexed (one INTEGER PRIMARY KEY CHECK (one = 1), upto INTEGER NOT NULL);
INSERT INTO journal_indexed (one, upto) VALUES (1, 0);
DROP INDEX journal_fold;
DROP INDEX journal_hub;
DROP INDEX journal_event;
