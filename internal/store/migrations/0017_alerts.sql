-- What receivers of alerts are to be told, or were told.
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
