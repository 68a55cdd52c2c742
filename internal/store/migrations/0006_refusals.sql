-- event is the one event that an inbox row stands for, where a list had it or it was refused before, as JSON; NULL: the row is read as it came.
ALTER TABLE inbox ADD COLUMN event TEXT;

-- What a relay had parked had no place, and was counted under 'direct'. It becomes what flows have refused since: messages of the first
-- partition, whose owner works them, and that count as finished there. A partition that nobody has opened yet is one without a position.
INSERT INTO partitions (flow, topic, part, cluster, topic_id, first_off, epoch, next_off, finished, forgotten, life)
    SELECT flow, topic, 0, '', '', 0, 0, 0, CAST(SUM(n) AS BIGINT), 1, 0 FROM totals WHERE part = -1 AND outcome = 'direct' GROUP BY flow, topic
    ON CONFLICT (flow, topic, part) DO UPDATE SET finished = partitions.finished + excluded.finished;
INSERT INTO totals (flow, topic, part, outcome, reason, n, newest)
    SELECT flow, topic, 0, outcome, reason, n, newest FROM totals WHERE part = -1 AND outcome <> 'direct'
    ON CONFLICT (flow, topic, part, outcome, reason) DO UPDATE SET n = totals.n + excluded.n,
    newest = CASE WHEN excluded.newest > totals.newest THEN excluded.newest ELSE totals.newest END;
DELETE FROM totals WHERE part = -1;
UPDATE queue SET part = 0, blocking = 0, follower = 0,
    event = CASE WHEN event = '{}' THEN '{"refused":{}}' ELSE SUBSTR(event, 1, LENGTH(event) - 1) || ',"refused":{}}' END
    WHERE part = -1;
