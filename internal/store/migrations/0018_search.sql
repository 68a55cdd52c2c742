-- What a search finds, written behind from the journal. name is the hub id, or "=" and the business key where no hub id is known; newest is the journal row of
-- the newest fate, whose flow, event, system and outcome stand beside it. terms is what search_terms holds of the object, as search_save.go packs it.
CREATE TABLE search_objects (
    object      {rowid} PRIMARY KEY,
    entity   TEXT NOT NULL,
    name     TEXT {bytes} NOT NULL,
    hub      TEXT NOT NULL,
    ekey     TEXT {bytes} NOT NULL,
    newest   BIGINT NOT NULL,
    time     BIGINT NOT NULL,
    flow     TEXT NOT NULL,
    event_id TEXT NOT NULL,
    system   TEXT NOT NULL,
    outcome  TEXT NOT NULL,
    terms    {blob} NOT NULL
);
CREATE UNIQUE INDEX search_objects_name ON search_objects (entity, name);
CREATE INDEX search_objects_key ON search_objects (entity, ekey);
CREATE INDEX search_objects_newest ON search_objects (newest);
CREATE TABLE search_terms (
    term TEXT {bytes} NOT NULL,
    object  BIGINT NOT NULL,
    PRIMARY KEY (term, object)
) {bare};
-- An object's document names another object in a field: value is its hub id, or its number.
CREATE TABLE search_links (
    object    BIGINT NOT NULL,
    field  TEXT NOT NULL,
    entity TEXT NOT NULL,
    value  TEXT {bytes} NOT NULL,
    since  BIGINT NOT NULL,
    PRIMARY KEY (object, field, entity, value)
) {bare};
CREATE INDEX search_links_to ON search_links (entity, value, since);
-- How far the journal is indexed, and for which settings: with others it is read anew. secret is what personal values are hashed with. One row.
CREATE TABLE search_place (
    one      BIGINT PRIMARY KEY,
    fate     BIGINT NOT NULL,
    time     BIGINT NOT NULL,
    settings TEXT NOT NULL,
    secret   TEXT NOT NULL DEFAULT ''
);
INSERT INTO search_place (one, fate, time, settings) VALUES (1, 0, 0, '');
-- Whose difference it is, for traces. Those of earlier versions are not found there; they go with their runs.
ALTER TABLE differences ADD COLUMN hub TEXT NOT NULL DEFAULT '';
ALTER TABLE differences ADD COLUMN ekey TEXT NOT NULL DEFAULT '';
CREATE INDEX differences_hub ON differences (hub, run) WHERE hub <> '';
CREATE INDEX differences_key ON differences (ekey, run) WHERE ekey <> '';
-- only postgres
CREATE SEQUENCE search_ids;
