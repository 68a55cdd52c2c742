-- How many rows of the queue there are, by what people ask for: kept with every write of them, for nobody counts a hundred thousand rows while somebody looks. By
-- partition, so that hubs which share a flow do not wait for each other's rows.
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
) {bare};
INSERT INTO queue_counts (flow, topic, part, state, cause, kind, code, follower, n)
    SELECT flow, topic, part, state, cause, kind, code, follower, COUNT(*) FROM queue GROUP BY flow, topic, part, state, cause, kind, code, follower;

-- The rows of a group in the order of their numbers, and of their age: what a list selects by age is seen in the index.
DROP INDEX queue_cause;
CREATE INDEX queue_group ON queue (flow, state, cause, follower, id, since);
CREATE INDEX queue_group_age ON queue (flow, state, cause, follower, since, id);

-- A statement ends at the end of a line: bodies stand on one. PostgreSQL counts statement by statement, for every change of a row that one transaction has changed before
-- goes through all its versions.
-- only sqlite
CREATE TRIGGER queue_counts_in AFTER INSERT ON queue BEGIN INSERT INTO queue_counts (flow, topic, part, state, cause, kind, code, follower, n) VALUES (NEW.flow, NEW.topic, NEW.part, NEW.state, NEW.cause, NEW.kind, NEW.code, NEW.follower, 1) ON CONFLICT (flow, topic, part, state, cause, kind, code, follower) DO UPDATE SET n = n + 1; END;
CREATE TRIGGER queue_counts_out AFTER DELETE ON queue BEGIN UPDATE queue_counts SET n = n - 1 WHERE flow = OLD.flow AND topic = OLD.topic AND part = OLD.part AND state = OLD.state AND cause = OLD.cause AND kind = OLD.kind AND code = OLD.code AND follower = OLD.follower; DELETE FROM queue_counts WHERE flow = OLD.flow AND topic = OLD.topic AND part = OLD.part AND state = OLD.state AND cause = OLD.cause AND kind = OLD.kind AND code = OLD.code AND follower = OLD.follower AND n = 0; END;
CREATE TRIGGER queue_counts_change AFTER UPDATE OF flow, topic, part, state, cause, kind, code, follower ON queue WHEN OLD.flow <> NEW.flow OR OLD.topic <> NEW.topic OR OLD.part <> NEW.part OR OLD.state <> NEW.state OR OLD.cause <> NEW.cause OR OLD.kind <> NEW.kind OR OLD.code <> NEW.code OR OLD.follower <> NEW.follower BEGIN UPDATE queue_counts SET n = n - 1 WHERE flow = OLD.flow AND topic = OLD.topic AND part = OLD.part AND state = OLD.state AND cause = OLD.cause AND kind = OLD.kind AND code = OLD.code AND follower = OLD.follower; DELETE FROM queue_counts WHERE flow = OLD.flow AND topic = OLD.topic AND part = OLD.part AND state = OLD.state AND cause = OLD.cause AND kind = OLD.kind AND code = OLD.code AND follower = OLD.follower AND n = 0; INSERT INTO queue_counts (flow, topic, part, state, cause, kind, code, follower, n) VALUES (NEW.flow, NEW.topic, NEW.part, NEW.state, NEW.cause, NEW.kind, NEW.code, NEW.follower, 1) ON CONFLICT (flow, topic, part, state, cause, kind, code, follower) DO UPDATE SET n = n + 1; END;
-- only postgres
CREATE FUNCTION queue_counts_in() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN INSERT INTO queue_counts (flow, topic, part, state, cause, kind, code, follower, n) SELECT flow, topic, part, state, cause, kind, code, follower, SUM(d) FROM (SELECT flow, topic, part, state, cause, kind, code, follower, 1 AS d FROM came) AS r GROUP BY flow, topic, part, state, cause, kind, code, follower HAVING SUM(d) <> 0 ORDER BY flow, topic, part, state, cause, kind, code, follower ON CONFLICT (flow, topic, part, state, cause, kind, code, follower) DO UPDATE SET n = queue_counts.n + excluded.n; RETURN NULL; END $$;
CREATE FUNCTION queue_counts_out() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN INSERT INTO queue_counts (flow, topic, part, state, cause, kind, code, follower, n) SELECT flow, topic, part, state, cause, kind, code, follower, SUM(d) FROM (SELECT flow, topic, part, state, cause, kind, code, follower, -1 AS d FROM gone) AS r GROUP BY flow, topic, part, state, cause, kind, code, follower HAVING SUM(d) <> 0 ORDER BY flow, topic, part, state, cause, kind, code, follower ON CONFLICT (flow, topic, part, state, cause, kind, code, follower) DO UPDATE SET n = queue_counts.n + excluded.n; DELETE FROM queue_counts c USING (SELECT DISTINCT flow, topic, part, state, cause, kind, code, follower FROM gone) AS o WHERE c.flow = o.flow AND c.topic = o.topic AND c.part = o.part AND c.state = o.state AND c.cause = o.cause AND c.kind = o.kind AND c.code = o.code AND c.follower = o.follower AND c.n = 0; RETURN NULL; END $$;
CREATE FUNCTION queue_counts_change() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN INSERT INTO queue_counts (flow, topic, part, state, cause, kind, code, follower, n) SELECT flow, topic, part, state, cause, kind, code, follower, SUM(d) FROM (SELECT flow, topic, part, state, cause, kind, code, follower, 1 AS d FROM came UNION ALL SELECT flow, topic, part, state, cause, kind, code, follower, -1 AS d FROM gone) AS r GROUP BY flow, topic, part, state, cause, kind, code, follower HAVING SUM(d) <> 0 ORDER BY flow, topic, part, state, cause, kind, code, follower ON CONFLICT (flow, topic, part, state, cause, kind, code, follower) DO UPDATE SET n = queue_counts.n + excluded.n; DELETE FROM queue_counts c USING (SELECT DISTINCT flow, topic, part, state, cause, kind, code, follower FROM gone) AS o WHERE c.flow = o.flow AND c.topic = o.topic AND c.part = o.part AND c.state = o.state AND c.cause = o.cause AND c.kind = o.kind AND c.code = o.code AND c.follower = o.follower AND c.n = 0; RETURN NULL; END $$;
CREATE TRIGGER queue_counts_in AFTER INSERT ON queue REFERENCING NEW TABLE AS came FOR EACH STATEMENT EXECUTE FUNCTION queue_counts_in();
CREATE TRIGGER queue_counts_out AFTER DELETE ON queue REFERENCING OLD TABLE AS gone FOR EACH STATEMENT EXECUTE FUNCTION queue_counts_out();
CREATE TRIGGER queue_counts_change AFTER UPDATE ON queue REFERENCING OLD TABLE AS gone NEW TABLE AS came FOR EACH STATEMENT EXECUTE FUNCTION queue_counts_change();
