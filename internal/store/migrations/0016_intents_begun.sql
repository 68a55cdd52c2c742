-- When the first call of an intent was announced; opened is when the last one was.
ALTER TABLE intents ADD COLUMN begun BIGINT NOT NULL DEFAULT 0;
UPDATE intents SET begun = opened;
