-- Requests that name themselves by an Idempotency-Key, each by whom: what was asked, as a digest, and what was answered. Of one without a status nobody has said yet how it ended.
CREATE TABLE requests (
    who    TEXT {bytes} NOT NULL,
    token  TEXT {bytes} NOT NULL,
    sum    TEXT NOT NULL,
    began  BIGINT NOT NULL,
    status BIGINT NOT NULL DEFAULT 0,
    answer TEXT NOT NULL DEFAULT '',
    PRIMARY KEY (who, token)
) {bare};
CREATE INDEX requests_began ON requests (began);
