-- What was exchanged with partners: numbers of interchanges that were sent, and what was answered to each; control references of those that came.
CREATE TABLE exchange_sent (
  pair     TEXT {bytes} NOT NULL,
  number   BIGINT NOT NULL,
  token    TEXT {bytes} NOT NULL,
  message  TEXT NOT NULL,
  at       BIGINT NOT NULL,
  due      BIGINT NOT NULL,
  answered BIGINT NOT NULL DEFAULT 0,
  answer   TEXT NOT NULL DEFAULT '',
  PRIMARY KEY (pair, number)
) {bare};
CREATE UNIQUE INDEX exchange_sent_token ON exchange_sent (pair, token);
CREATE INDEX exchange_sent_open ON exchange_sent (pair, due) WHERE due > 0 AND answer <> 'accepted';

CREATE TABLE exchange_received (
  pair    TEXT {bytes} NOT NULL,
  control TEXT {bytes} NOT NULL,
  token   TEXT NOT NULL,
  at      BIGINT NOT NULL,
  PRIMARY KEY (pair, control)
) {bare};
