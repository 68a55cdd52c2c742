-- An intent is opened under a partition's epoch; claim is 1 while its call keeps other hubs from the object. tried is how long a message's delivery was tried, in
-- nanoseconds.
ALTER TABLE intents ADD COLUMN topic TEXT NOT NULL DEFAULT '';
ALTER TABLE intents ADD COLUMN part BIGINT NOT NULL DEFAULT 0;
ALTER TABLE intents ADD COLUMN epoch BIGINT NOT NULL DEFAULT 0;
ALTER TABLE intents ADD COLUMN claim BIGINT NOT NULL DEFAULT 0;
ALTER TABLE queue ADD COLUMN tried BIGINT NOT NULL DEFAULT 0;

-- Only hubs that share a database claim objects from each other.
-- only postgres
CREATE UNIQUE INDEX intents_claim ON intents (entity, hub, system) WHERE claim = 1;
