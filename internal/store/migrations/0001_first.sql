-- One text for both databases: {blob} is BLOB or BYTEA, {rowid} the type of a key that the store numbers itself,
-- {bare} makes a table of short rows one tree on SQLite. Times are nanoseconds since 1970 in UTC, 0 for none. Truths are 0 or 1.

CREATE TABLE inbox (
    seq         {rowid} PRIMARY KEY,
    flow        TEXT NOT NULL,
    id          TEXT NOT NULL,
    delivery_id TEXT NOT NULL,
    headers     TEXT NOT NULL,
    body        {blob} NOT NULL,
    trace       TEXT NOT NULL,
    received    BIGINT NOT NULL,
    ekey        TEXT NOT NULL DEFAULT '',
    places      TEXT
);
CREATE UNIQUE INDEX inbox_id ON inbox (id, flow);
CREATE INDEX inbox_unpublished ON inbox (flow, seq) WHERE places IS NULL;
CREATE INDEX inbox_key ON inbox (ekey) WHERE ekey <> '';

CREATE TABLE replay (
    flow        TEXT NOT NULL,
    delivery_id TEXT NOT NULL,
    hash        {blob} NOT NULL,
    seq         BIGINT NOT NULL,
    received    BIGINT NOT NULL,
    PRIMARY KEY (flow, delivery_id)
) {bare};
CREATE INDEX replay_received ON replay (received);

CREATE TABLE cursors (
    flow    TEXT PRIMARY KEY,
    value   TEXT NOT NULL,
    updated BIGINT NOT NULL
);

CREATE TABLE leases (
    name    TEXT PRIMARY KEY,
    holder  TEXT NOT NULL,
    token   BIGINT NOT NULL,
    expires BIGINT NOT NULL
);

-- done holds the finished ranges above next_off; finished counts every offset ever finished, apart from the outcomes.
CREATE TABLE partitions (
    flow      TEXT NOT NULL,
    topic     TEXT NOT NULL,
    part      BIGINT NOT NULL,
    cluster   TEXT NOT NULL,
    topic_id  TEXT NOT NULL,
    first_off BIGINT NOT NULL,
    epoch     BIGINT NOT NULL,
    next_off  BIGINT NOT NULL,
    done      {blob},
    finished  BIGINT NOT NULL,
    forgotten BIGINT NOT NULL DEFAULT 0,
    PRIMARY KEY (flow, topic, part)
) {bare};

-- Totals are kept per partition, so that hubs which share a flow do not wait for each other's rows.
CREATE TABLE totals (
    flow    TEXT NOT NULL,
    topic   TEXT NOT NULL,
    part    BIGINT NOT NULL,
    outcome TEXT NOT NULL,
    reason  TEXT NOT NULL,
    n       BIGINT NOT NULL,
    newest  BIGINT NOT NULL,
    PRIMARY KEY (flow, topic, part, outcome, reason)
) {bare};

CREATE TABLE objects (
    entity   TEXT NOT NULL,
    hub      TEXT NOT NULL,
    external TEXT NOT NULL,
    event_id TEXT NOT NULL,
    created  BIGINT NOT NULL,
    PRIMARY KEY (entity, hub)
) {bare};
CREATE INDEX objects_external ON objects (external);
CREATE INDEX objects_hub ON objects (hub);

CREATE TABLE refs (
    entity      TEXT NOT NULL,
    hub         TEXT NOT NULL,
    system      TEXT NOT NULL,
    local       TEXT NOT NULL,
    deleted     BIGINT NOT NULL,
    known       {blob},
    known_flow  TEXT NOT NULL,
    received    TEXT NOT NULL,
    known_event TEXT NOT NULL,
    etag        TEXT NOT NULL,
    updated     BIGINT NOT NULL,
    PRIMARY KEY (entity, hub, system)
) {bare};
CREATE INDEX refs_local ON refs (local, system, entity);
CREATE INDEX refs_system ON refs (entity, system, hub);

CREATE TABLE applied (
    entity   TEXT NOT NULL,
    hub      TEXT NOT NULL,
    system   TEXT NOT NULL,
    origin   TEXT NOT NULL,
    version  TEXT NOT NULL,
    hash     TEXT NOT NULL,
    event_id TEXT NOT NULL,
    PRIMARY KEY (entity, hub, system, origin)
) {bare};

CREATE TABLE intents (
    entity    TEXT NOT NULL,
    hub       TEXT NOT NULL,
    system    TEXT NOT NULL,
    event_id  TEXT NOT NULL,
    flow      TEXT NOT NULL,
    is_create BIGINT NOT NULL,
    external  TEXT NOT NULL,
    opened    BIGINT NOT NULL,
    PRIMARY KEY (entity, hub, system, event_id)
) {bare};
CREATE INDEX intents_create ON intents (system, entity) WHERE is_create = 1;

-- Every id under which a system was ever seen to hold an object; extra marks those beyond the first that is not deleted.
CREATE TABLE target_objects (
    entity   TEXT NOT NULL,
    system   TEXT NOT NULL,
    external TEXT NOT NULL,
    local    TEXT NOT NULL,
    deleted  BIGINT NOT NULL,
    extra    BIGINT NOT NULL,
    seen     BIGINT NOT NULL,
    PRIMARY KEY (entity, system, external, local)
) {bare};
CREATE INDEX target_objects_extra ON target_objects (extra) WHERE extra = 1;

CREATE TABLE queue (
    id         {rowid} PRIMARY KEY,
    flow       TEXT NOT NULL,
    topic      TEXT NOT NULL,
    part       BIGINT NOT NULL,
    lane       TEXT NOT NULL,
    state      TEXT NOT NULL,
    blocking   BIGINT NOT NULL,
    follower   BIGINT NOT NULL,
    kind       TEXT NOT NULL,
    reason     TEXT NOT NULL,
    code       TEXT NOT NULL,
    m_entity   TEXT NOT NULL,
    m_system   TEXT NOT NULL,
    m_hub      TEXT NOT NULL,
    m_local    TEXT NOT NULL,
    m_intents  BIGINT NOT NULL,
    event_id   TEXT NOT NULL,
    ekey       TEXT NOT NULL,
    hub        TEXT NOT NULL,
    event      TEXT NOT NULL,
    data       {blob},
    original   {blob},
    edited_by  TEXT NOT NULL DEFAULT '',
    edit_note  TEXT NOT NULL DEFAULT '',
    attempts   BIGINT NOT NULL,
    since      BIGINT NOT NULL,
    not_before BIGINT NOT NULL,
    mark       TEXT NOT NULL,
    marked_by  TEXT NOT NULL,
    mark_note  TEXT NOT NULL
);
CREATE INDEX queue_lane ON queue (flow, lane, topic, part, blocking, id);
CREATE INDEX queue_heads ON queue (flow, topic, part, not_before) WHERE follower = 0;
CREATE INDEX queue_marked ON queue (flow, topic, part) WHERE mark <> '';
CREATE INDEX queue_missing_hub ON queue (m_entity, m_system, m_hub) WHERE m_entity <> '' AND mark = '';
CREATE INDEX queue_missing_local ON queue (m_entity, m_system, m_local) WHERE m_entity <> '' AND mark = '';
CREATE INDEX queue_state ON queue (flow, state, since);
CREATE INDEX queue_event ON queue (event_id);
CREATE INDEX queue_key ON queue (ekey);
CREATE INDEX queue_hub ON queue (hub) WHERE hub <> '';

CREATE TABLE journal (
    id       {rowid} PRIMARY KEY,
    time     BIGINT NOT NULL,
    flow     TEXT NOT NULL,
    event_id TEXT NOT NULL,
    entity   TEXT NOT NULL,
    ekey     TEXT NOT NULL,
    hub      TEXT NOT NULL,
    outcome  TEXT NOT NULL,
    reason   TEXT NOT NULL,
    system   TEXT NOT NULL,
    local    TEXT NOT NULL,
    external TEXT NOT NULL,
    version  TEXT NOT NULL,
    attempts BIGINT NOT NULL,
    took     BIGINT NOT NULL
);
CREATE INDEX journal_key ON journal (ekey, id);
CREATE INDEX journal_hub ON journal (hub, id);
CREATE INDEX journal_event ON journal (event_id);
CREATE INDEX journal_flow ON journal (flow, outcome, id);

CREATE TABLE audit (
    id     {rowid} PRIMARY KEY,
    time   BIGINT NOT NULL,
    who    TEXT NOT NULL,
    action TEXT NOT NULL,
    object TEXT NOT NULL,
    detail TEXT NOT NULL
);

CREATE TABLE runs (
    id       {rowid} PRIMARY KEY,
    kind     TEXT NOT NULL,
    name     TEXT NOT NULL,
    started  BIGINT NOT NULL,
    finished BIGINT NOT NULL,
    state    TEXT NOT NULL,
    detail   TEXT NOT NULL,
    n        BIGINT NOT NULL
);
CREATE INDEX runs_name ON runs (kind, name, id);

CREATE TABLE paused (
    flow  TEXT PRIMARY KEY,
    who   TEXT NOT NULL,
    since BIGINT NOT NULL
);

-- only sqlite
CREATE TABLE counters (name TEXT PRIMARY KEY, value BIGINT NOT NULL);
-- only postgres
CREATE SEQUENCE inbox_ids;
CREATE SEQUENCE queue_ids;
CREATE SEQUENCE journal_ids;
CREATE SEQUENCE audit_ids;
CREATE SEQUENCE runs_ids;
