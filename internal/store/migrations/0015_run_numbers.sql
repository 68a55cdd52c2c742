-- Numbers of runs of reconciliations and rules count on without holes: people type them. A sequence skips some, so they have a counter, in both databases.

-- only postgres
CREATE TABLE counters (name TEXT PRIMARY KEY, value BIGINT NOT NULL);
