-- cause names what has stopped a row, or its head, without what differs from message to message; rev counts what people have done to the row.
ALTER TABLE queue ADD COLUMN cause TEXT NOT NULL DEFAULT '';
ALTER TABLE queue ADD COLUMN edits BIGINT NOT NULL DEFAULT 0;
ALTER TABLE queue ADD COLUMN rev BIGINT NOT NULL DEFAULT 0;
CREATE INDEX queue_cause ON queue (cause, id) WHERE cause <> '';
CREATE INDEX queue_oldest ON queue (flow, state, since) WHERE follower = 0;

-- What people did to messages, kept when the message has long gone. prior is the document that an act has replaced or given up.
CREATE TABLE acts (
    id       {rowid} PRIMARY KEY,
    time     BIGINT NOT NULL,
    flow     TEXT NOT NULL,
    message  BIGINT NOT NULL,
    event_id TEXT NOT NULL,
    ekey     TEXT NOT NULL,
    hub      TEXT NOT NULL,
    action   TEXT NOT NULL,
    who      TEXT NOT NULL,
    note     TEXT NOT NULL,
    bulk     BIGINT NOT NULL,
    prior    {blob},
    edited   {blob}
);
CREATE INDEX acts_message ON acts (message, id);
CREATE INDEX acts_event ON acts (event_id);
CREATE INDEX acts_key ON acts (ekey, id) WHERE ekey <> '';
CREATE INDEX acts_hub ON acts (hub, id) WHERE hub <> '';

-- only postgres
CREATE SEQUENCE acts_ids;
