-- What was done: the operation, the field that was refused, and what there is to say of it beyond the reason. fold is the key as a search sees
-- it (see folded in fold.go), and empty where it is the key itself: most keys are, and cost nothing more then.
ALTER TABLE journal ADD COLUMN action TEXT NOT NULL DEFAULT '';
ALTER TABLE journal ADD COLUMN field TEXT NOT NULL DEFAULT '';
ALTER TABLE journal ADD COLUMN told TEXT NOT NULL DEFAULT '';
ALTER TABLE journal ADD COLUMN fold TEXT NOT NULL DEFAULT '';
ALTER TABLE queue ADD COLUMN fold TEXT NOT NULL DEFAULT '';
ALTER TABLE inbox ADD COLUMN fold TEXT NOT NULL DEFAULT '';
ALTER TABLE refs ADD COLUMN fold TEXT NOT NULL DEFAULT '';

-- The rest, keys with letters beyond ASCII, is folded when the store is opened: the databases do not agree on it.
UPDATE journal SET fold = lower(ekey {bytes}) WHERE lower(ekey {bytes}) <> ekey;
UPDATE queue SET fold = lower(ekey {bytes}) WHERE lower(ekey {bytes}) <> ekey;
UPDATE inbox SET fold = lower(ekey {bytes}) WHERE lower(ekey {bytes}) <> ekey;
UPDATE refs SET fold = lower(local {bytes}) WHERE lower(local {bytes}) <> local;
CREATE TABLE chores (name TEXT PRIMARY KEY);
INSERT INTO chores (name) VALUES ('fold');

DROP INDEX journal_key;
DROP INDEX queue_key;
DROP INDEX inbox_key;
CREATE INDEX journal_fold ON journal ((COALESCE(NULLIF(fold, ''), ekey) {bytes}), id);
CREATE INDEX queue_fold ON queue ((COALESCE(NULLIF(fold, ''), ekey) {bytes}));
CREATE INDEX inbox_fold ON inbox ((COALESCE(NULLIF(fold, ''), ekey) {bytes})) WHERE ekey <> '';
CREATE INDEX refs_fold ON refs ((COALESCE(NULLIF(fold, ''), local) {bytes}));

-- The documents of a journal row, compressed and with personal data masked. Those of failures stay as long as the row.
CREATE TABLE documents (
    id     {rowid} PRIMARY KEY,
    time   BIGINT NOT NULL,
    failed BIGINT NOT NULL,
    size   BIGINT NOT NULL,
    body   {blob} NOT NULL
);
CREATE INDEX documents_newest ON documents (id, size) WHERE failed = 0;
