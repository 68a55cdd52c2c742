-- Made by `go test ./internal/store -run TestFreshIsWhatMigrationsMake -update` of the migrations.
CREATE TABLE inbox (
    seq         INTEGER PRIMARY KEY,
    flow        TEXT NOT NULL,
    id          TEXT NOT NULL,
    delivery_id TEXT NOT NULL,
    headers     TEXT NOT NULL,
    body        BLOB NOT NULL,
    trace       TEXT NOT NULL,
    received    BIGINT NOT NULL,
    ekey        TEXT NOT NULL DEFAULT '',
    places      TEXT
, again TEXT, event TEXT, fold TEXT NOT NULL DEFAULT '');
CREATE UNIQUE INDEX inbox_id ON inbox (id, flow);
CREATE INDEX inbox_unpublished ON inbox (flow, seq) WHERE places IS NULL;
CREATE TABLE replay (
    flow        TEXT NOT NULL,
    delivery_id TEXT NOT NULL,
    hash        BLOB NOT NULL,
    seq         BIGINT NOT NULL,
    received    BIGINT NOT NULL,
    PRIMARY KEY (flow, delivery_id)
) WITHOUT ROWID;
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
CREATE TABLE partitions (
    flow      TEXT NOT NULL,
    topic     TEXT NOT NULL,
    part      BIGINT NOT NULL,
    cluster   TEXT NOT NULL,
    topic_id  TEXT NOT NULL,
    first_off BIGINT NOT NULL,
    epoch     BIGINT NOT NULL,
    next_off  BIGINT NOT NULL,
    done      BLOB,
    finished  BIGINT NOT NULL,
    forgotten BIGINT NOT NULL DEFAULT 0, life BIGINT NOT NULL DEFAULT 0,
    PRIMARY KEY (flow, topic, part)
) WITHOUT ROWID;
CREATE TABLE totals (
    flow    TEXT NOT NULL,
    topic   TEXT NOT NULL,
    part    BIGINT NOT NULL,
    outcome TEXT NOT NULL,
    reason  TEXT NOT NULL,
    n       BIGINT NOT NULL,
    newest  BIGINT NOT NULL,
    PRIMARY KEY (flow, topic, part, outcome, reason)
) WITHOUT ROWID;
CREATE TABLE objects (
    entity   TEXT NOT NULL,
    hub      TEXT NOT NULL,
    external TEXT NOT NULL,
    event_id TEXT NOT NULL,
    created  BIGINT NOT NULL,
    PRIMARY KEY (entity, hub)
) WITHOUT ROWID;
CREATE INDEX objects_external ON objects (external);
CREATE INDEX objects_hub ON objects (hub);
CREATE TABLE refs (
    entity      TEXT NOT NULL,
    hub         TEXT NOT NULL,
    system      TEXT NOT NULL,
    local       TEXT NOT NULL,
    deleted     BIGINT NOT NULL,
    known       BLOB,
    known_flow  TEXT NOT NULL,
    received    TEXT NOT NULL,
    known_event TEXT NOT NULL,
    etag        TEXT NOT NULL,
    updated     BIGINT NOT NULL, ekey TEXT NOT NULL DEFAULT '', fold TEXT NOT NULL DEFAULT '',
    PRIMARY KEY (entity, hub, system)
) WITHOUT ROWID;
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
) WITHOUT ROWID;
CREATE TABLE intents (
    entity    TEXT NOT NULL,
    hub       TEXT NOT NULL,
    system    TEXT NOT NULL,
    event_id  TEXT NOT NULL,
    flow      TEXT NOT NULL,
    is_create BIGINT NOT NULL,
    external  TEXT NOT NULL,
    opened    BIGINT NOT NULL, topic TEXT NOT NULL DEFAULT '', part BIGINT NOT NULL DEFAULT 0, epoch BIGINT NOT NULL DEFAULT 0, claim BIGINT NOT NULL DEFAULT 0, begun BIGINT NOT NULL DEFAULT 0,
    PRIMARY KEY (entity, hub, system, event_id)
) WITHOUT ROWID;
CREATE INDEX intents_create ON intents (system, entity) WHERE is_create = 1;
CREATE TABLE target_objects (
    entity   TEXT NOT NULL,
    system   TEXT NOT NULL,
    external TEXT NOT NULL,
    local    TEXT NOT NULL,
    deleted  BIGINT NOT NULL,
    extra    BIGINT NOT NULL,
    seen     BIGINT NOT NULL,
    PRIMARY KEY (entity, system, external, local)
) WITHOUT ROWID;
CREATE INDEX target_objects_extra ON target_objects (extra) WHERE extra = 1;
CREATE TABLE queue (
    id         INTEGER PRIMARY KEY,
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
    data       BLOB,
    original   BLOB,
    edited_by  TEXT NOT NULL DEFAULT '',
    edit_note  TEXT NOT NULL DEFAULT '',
    attempts   BIGINT NOT NULL,
    since      BIGINT NOT NULL,
    not_before BIGINT NOT NULL,
    mark       TEXT NOT NULL,
    marked_by  TEXT NOT NULL,
    mark_note  TEXT NOT NULL
, cause TEXT NOT NULL DEFAULT '', edits BIGINT NOT NULL DEFAULT 0, rev BIGINT NOT NULL DEFAULT 0, tried BIGINT NOT NULL DEFAULT 0, accepted BIGINT NOT NULL DEFAULT 0, fold TEXT NOT NULL DEFAULT '');
CREATE INDEX queue_lane ON queue (flow, lane, topic, part, blocking, id);
CREATE INDEX queue_heads ON queue (flow, topic, part, not_before) WHERE follower = 0;
CREATE INDEX queue_marked ON queue (flow, topic, part) WHERE mark <> '';
CREATE INDEX queue_missing_hub ON queue (m_entity, m_system, m_hub) WHERE m_entity <> '' AND mark = '';
CREATE INDEX queue_missing_local ON queue (m_entity, m_system, m_local) WHERE m_entity <> '' AND mark = '';
CREATE INDEX queue_state ON queue (flow, state, since);
CREATE INDEX queue_event ON queue (event_id);
CREATE INDEX queue_hub ON queue (hub) WHERE hub <> '';
CREATE TABLE journal (
    id       INTEGER PRIMARY KEY,
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
, action TEXT NOT NULL DEFAULT '', field TEXT NOT NULL DEFAULT '', told TEXT NOT NULL DEFAULT '', fold TEXT NOT NULL DEFAULT '');
CREATE TABLE audit (
    id     INTEGER PRIMARY KEY,
    time   BIGINT NOT NULL,
    who    TEXT NOT NULL,
    action TEXT NOT NULL,
    object TEXT NOT NULL,
    detail TEXT NOT NULL
, was TEXT NOT NULL DEFAULT '', became TEXT NOT NULL DEFAULT '', act BIGINT NOT NULL DEFAULT 0);
CREATE TABLE runs (
    id       INTEGER PRIMARY KEY,
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
CREATE TABLE counters (name TEXT PRIMARY KEY, value BIGINT NOT NULL);
CREATE INDEX queue_oldest ON queue (flow, state, since) WHERE follower = 0;
CREATE TABLE acts (
    id       INTEGER PRIMARY KEY,
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
    prior    BLOB,
    edited   BLOB
);
CREATE INDEX acts_message ON acts (message, id);
CREATE INDEX acts_event ON acts (event_id);
CREATE INDEX acts_key ON acts (ekey, id) WHERE ekey <> '';
CREATE INDEX acts_hub ON acts (hub, id) WHERE hub <> '';
CREATE TABLE logs (
    topic    TEXT PRIMARY KEY,
    life     BIGINT NOT NULL,
    cluster  TEXT NOT NULL,
    topic_id TEXT NOT NULL,
    base     BIGINT NOT NULL,
    ends     TEXT NOT NULL,
    foreigners BIGINT NOT NULL DEFAULT 0
);
CREATE TABLE outbox (
    id      INTEGER PRIMARY KEY,
    flow    TEXT NOT NULL,
    topic   TEXT NOT NULL,
    life    BIGINT NOT NULL,
    lost    BIGINT NOT NULL,
    places  BLOB NOT NULL,
    records BLOB NOT NULL
);
CREATE INDEX outbox_topic ON outbox (topic, id);
CREATE INDEX outbox_lost ON outbox (topic, id) WHERE lost > 0;
CREATE TABLE source_wishes (
    flow   TEXT NOT NULL,
    kind   TEXT NOT NULL,
    id     BIGINT NOT NULL,
    detail TEXT NOT NULL,
    who    TEXT NOT NULL,
    since  BIGINT NOT NULL,
    PRIMARY KEY (flow, kind)
) WITHOUT ROWID;
CREATE INDEX queue_accepted ON queue (flow, state, accepted);
CREATE TABLE timely (
    flow      TEXT NOT NULL,
    slot      BIGINT NOT NULL,
    delivered BIGINT NOT NULL,
    late      BIGINT NOT NULL,
    PRIMARY KEY (flow, slot)
);
CREATE TABLE chores (name TEXT PRIMARY KEY);
CREATE INDEX queue_fold ON queue ((COALESCE(NULLIF(fold, ''), ekey) ));
CREATE INDEX inbox_fold ON inbox ((COALESCE(NULLIF(fold, ''), ekey) )) WHERE ekey <> '';
CREATE INDEX refs_fold ON refs ((COALESCE(NULLIF(fold, ''), local) ));
CREATE TABLE documents (
    id     INTEGER PRIMARY KEY,
    time   BIGINT NOT NULL,
    failed BIGINT NOT NULL,
    size   BIGINT NOT NULL,
    body   BLOB NOT NULL
);
CREATE INDEX documents_newest ON documents (id, size) WHERE failed = 0;
CREATE TABLE inbox_slices (
    seq    BIGINT NOT NULL,
    next   BIGINT NOT NULL,
    life   BIGINT NOT NULL,
    ekey   TEXT NOT NULL,
    places TEXT NOT NULL,
    PRIMARY KEY (seq, next)
) WITHOUT ROWID;
CREATE TABLE resumes (
    flow TEXT PRIMARY KEY,
    n    BIGINT NOT NULL
) WITHOUT ROWID;
CREATE TABLE bulks (
    id     INTEGER PRIMARY KEY,
    time   BIGINT NOT NULL,
    who    TEXT NOT NULL,
    action TEXT NOT NULL,
    about  TEXT NOT NULL,
    n      BIGINT NOT NULL
);
CREATE TABLE comparisons (
    id         INTEGER PRIMARY KEY,
    kind       TEXT NOT NULL,
    name       TEXT NOT NULL,
    cause      TEXT NOT NULL,
    who        TEXT NOT NULL,
    why        TEXT NOT NULL,
    options    TEXT NOT NULL,
    state      TEXT NOT NULL,
    attempt    BIGINT NOT NULL,
    wanted     BIGINT NOT NULL,
    started    BIGINT NOT NULL,
    updated    BIGINT NOT NULL,
    finished   BIGINT NOT NULL,
    cancel     TEXT NOT NULL,
    detail     TEXT NOT NULL,
    progress   TEXT NOT NULL,
    summary    TEXT NOT NULL,
    keep       BIGINT NOT NULL,
    keep_until BIGINT NOT NULL,
    last       BIGINT NOT NULL
);
CREATE INDEX comparisons_name ON comparisons (kind, name, id);
CREATE UNIQUE INDEX comparisons_open ON comparisons (kind, name) WHERE finished = 0;
CREATE INDEX comparisons_last ON comparisons (kind, name, id) WHERE last > 0;
CREATE INDEX comparisons_old ON comparisons (keep_until) WHERE last = 0 AND finished > 0;
CREATE TABLE differences (
    run    BIGINT NOT NULL,
    n      BIGINT NOT NULL,
    kind   TEXT NOT NULL,
    reason TEXT NOT NULL,
    drift  BIGINT NOT NULL,
    mark   BIGINT NOT NULL,
    since  BIGINT NOT NULL,
    body   BLOB NOT NULL, hub TEXT NOT NULL DEFAULT '', ekey TEXT NOT NULL DEFAULT '',
    PRIMARY KEY (run, n)
);
CREATE INDEX differences_mark ON differences (run, mark);
CREATE INDEX differences_reason ON differences (run, reason, n);
CREATE TABLE rule_memory (
    rule       TEXT NOT NULL,
    object     TEXT  NOT NULL,
    doc        BLOB NOT NULL,
    keep_until BIGINT NOT NULL,
    PRIMARY KEY (rule, object)
) WITHOUT ROWID;
CREATE INDEX rule_memory_old ON rule_memory (keep_until);
CREATE TABLE listings (
    name       TEXT NOT NULL,
    side       TEXT NOT NULL,
    about      TEXT NOT NULL,
    at         TEXT NOT NULL,
    turn       BIGINT NOT NULL,
    began      BIGINT NOT NULL,
    whole      BIGINT NOT NULL,
    keep_until BIGINT NOT NULL,
    PRIMARY KEY (name, side)
);
CREATE INDEX listings_old ON listings (keep_until);
CREATE TABLE listed (
    name    TEXT NOT NULL,
    side    TEXT NOT NULL,
    id      TEXT  NOT NULL,
    version TEXT NOT NULL,
    turn    BIGINT NOT NULL,
    bad     TEXT NOT NULL,
    doc     BLOB NOT NULL,
    PRIMARY KEY (name, side, id)
) WITHOUT ROWID;
CREATE TABLE alerts (
    receiver TEXT NOT NULL,
    name     TEXT NOT NULL,
    what     TEXT NOT NULL,
    subject  TEXT NOT NULL,
    text     TEXT NOT NULL,
    since    BIGINT NOT NULL,
    told     BIGINT NOT NULL,
    gone     BIGINT NOT NULL,
    PRIMARY KEY (receiver, name)
);
CREATE TABLE search_objects (
    object      INTEGER PRIMARY KEY,
    entity   TEXT NOT NULL,
    name     TEXT  NOT NULL,
    hub      TEXT NOT NULL,
    ekey     TEXT  NOT NULL,
    newest   BIGINT NOT NULL,
    time     BIGINT NOT NULL,
    flow     TEXT NOT NULL,
    event_id TEXT NOT NULL,
    system   TEXT NOT NULL,
    outcome  TEXT NOT NULL,
    terms    BLOB NOT NULL
);
CREATE UNIQUE INDEX search_objects_name ON search_objects (entity, name);
CREATE INDEX search_objects_key ON search_objects (entity, ekey);
CREATE INDEX search_objects_newest ON search_objects (newest);
CREATE TABLE search_terms (
    term TEXT  NOT NULL,
    object  BIGINT NOT NULL,
    PRIMARY KEY (term, object)
) WITHOUT ROWID;
CREATE TABLE search_links (
    object    BIGINT NOT NULL,
    field  TEXT NOT NULL,
    entity TEXT NOT NULL,
    value  TEXT  NOT NULL,
    since  BIGINT NOT NULL,
    PRIMARY KEY (object, field, entity, value)
) WITHOUT ROWID;
CREATE INDEX search_links_to ON search_links (entity, value, since);
CREATE TABLE search_place (
    one      BIGINT PRIMARY KEY,
    fate     BIGINT NOT NULL,
    time     BIGINT NOT NULL,
    settings TEXT NOT NULL,
    secret   TEXT NOT NULL DEFAULT ''
);
CREATE INDEX differences_hub ON differences (hub, run) WHERE hub <> '';
CREATE INDEX differences_key ON differences (ekey, run) WHERE ekey <> '';
CREATE TABLE exchange_sent (
  pair     TEXT  NOT NULL,
  number   BIGINT NOT NULL,
  token    TEXT  NOT NULL,
  message  TEXT NOT NULL,
  at       BIGINT NOT NULL,
  due      BIGINT NOT NULL,
  answered BIGINT NOT NULL DEFAULT 0,
  answer   TEXT NOT NULL DEFAULT '',
  PRIMARY KEY (pair, number)
) WITHOUT ROWID;
CREATE UNIQUE INDEX exchange_sent_token ON exchange_sent (pair, token);
CREATE INDEX exchange_sent_open ON exchange_sent (pair, due) WHERE due > 0 AND answer <> 'accepted';
CREATE TABLE exchange_received (
  pair    TEXT  NOT NULL,
  control TEXT  NOT NULL,
  token   TEXT NOT NULL,
  at      BIGINT NOT NULL,
  PRIMARY KEY (pair, control)
) WITHOUT ROWID;
CREATE TABLE backfills (
    id         INTEGER PRIMARY KEY,
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
CREATE INDEX audit_who ON audit (who, id);
CREATE INDEX audit_action ON audit (action, id);
CREATE INDEX audit_object ON audit (object, id);
CREATE TABLE paces (
    act      INTEGER PRIMARY KEY,
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
CREATE TABLE requests (
    who    TEXT  NOT NULL,
    token  TEXT  NOT NULL,
    sum    TEXT NOT NULL,
    began  BIGINT NOT NULL,
    status BIGINT NOT NULL DEFAULT 0,
    answer TEXT NOT NULL DEFAULT '',
    PRIMARY KEY (who, token)
) WITHOUT ROWID;
CREATE INDEX requests_began ON requests (began);
CREATE TABLE queue_counts (
    flow     TEXT NOT NULL,
    topic    TEXT NOT NULL,
    part     BIGINT NOT NULL,
    state    TEXT NOT NULL,
    cause    TEXT NOT NULL,
    kind     TEXT NOT NULL,
    code     TEXT NOT NULL,
    follower BIGINT NOT NULL,
    n        BIGINT NOT NULL,
    PRIMARY KEY (flow, topic, part, state, cause, kind, code, follower)
) WITHOUT ROWID;
CREATE INDEX queue_group ON queue (flow, state, cause, follower, id, since);
CREATE INDEX queue_group_age ON queue (flow, state, cause, follower, since, id);
CREATE TRIGGER queue_counts_in AFTER INSERT ON queue BEGIN INSERT INTO queue_counts (flow, topic, part, state, cause, kind, code, follower, n) VALUES (NEW.flow, NEW.topic, NEW.part, NEW.state, NEW.cause, NEW.kind, NEW.code, NEW.follower, 1) ON CONFLICT (flow, topic, part, state, cause, kind, code, follower) DO UPDATE SET n = n + 1; END;
CREATE TRIGGER queue_counts_out AFTER DELETE ON queue BEGIN UPDATE queue_counts SET n = n - 1 WHERE flow = OLD.flow AND topic = OLD.topic AND part = OLD.part AND state = OLD.state AND cause = OLD.cause AND kind = OLD.kind AND code = OLD.code AND follower = OLD.follower; DELETE FROM queue_counts WHERE flow = OLD.flow AND topic = OLD.topic AND part = OLD.part AND state = OLD.state AND cause = OLD.cause AND kind = OLD.kind AND code = OLD.code AND follower = OLD.follower AND n = 0; END;
CREATE TRIGGER queue_counts_change AFTER UPDATE OF flow, topic, part, state, cause, kind, code, follower ON queue WHEN OLD.flow <> NEW.flow OR OLD.topic <> NEW.topic OR OLD.part <> NEW.part OR OLD.state <> NEW.state OR OLD.cause <> NEW.cause OR OLD.kind <> NEW.kind OR OLD.code <> NEW.code OR OLD.follower <> NEW.follower BEGIN UPDATE queue_counts SET n = n - 1 WHERE flow = OLD.flow AND topic = OLD.topic AND part = OLD.part AND state = OLD.state AND cause = OLD.cause AND kind = OLD.kind AND code = OLD.code AND follower = OLD.follower; DELETE FROM queue_counts WHERE flow = OLD.flow AND topic = OLD.topic AND part = OLD.part AND state = OLD.state AND cause = OLD.cause AND kind = OLD.kind AND code = OLD.code AND follower = OLD.follower AND n = 0; INSERT INTO queue_counts (flow, topic, part, state, cause, kind, code, follower, n) VALUES (NEW.flow, NEW.topic, NEW.part, NEW.state, NEW.cause, NEW.kind, NEW.code, NEW.follower, 1) ON CONFLICT (flow, topic, part, state, cause, kind, code, follower) DO UPDATE SET n = n + 1; END;
CREATE TABLE journal_index (
    seg  INTEGER NOT NULL,
    term NOT NULL,
    fate INTEGER NOT NULL,
    PRIMARY KEY (seg, term, fate)
) WITHOUT ROWID;
CREATE TABLE journal_indexed (one INTEGER PRIMARY KEY CHECK (one = 1), upto INTEGER NOT NULL);
CREATE TABLE inbox_bundles (
    seq  INTEGER PRIMARY KEY,
    n    BIGINT NOT NULL,
    ids  BLOB NOT NULL,
    body BLOB NOT NULL
);
CREATE TABLE inbox_bundle_keys (
    seq  INTEGER PRIMARY KEY,
    keys BLOB NOT NULL
);
INSERT INTO chores (name) VALUES ('fold');
INSERT INTO search_place (one, fate, time, settings, secret) VALUES (1, 0, 0, '', '');
INSERT INTO journal_indexed (one, upto) VALUES (1, 0);
