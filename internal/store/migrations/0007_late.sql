-- accepted is when the hub accepted a queued message first: its age counts from there. What is queued already counts from when it was queued.
ALTER TABLE queue ADD COLUMN accepted BIGINT NOT NULL DEFAULT 0;
UPDATE queue SET accepted = since;
CREATE INDEX queue_accepted ON queue (flow, state, accepted);

-- How many messages a flow has delivered in five minutes (slot: since 1970), and how many of them were older by then than slo.late-after.
CREATE TABLE timely (
    flow      TEXT NOT NULL,
    slot      BIGINT NOT NULL,
    delivered BIGINT NOT NULL,
    late      BIGINT NOT NULL,
    PRIMARY KEY (flow, slot)
);
