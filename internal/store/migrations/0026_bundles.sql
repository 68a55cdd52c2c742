-- Changes of a log that were read together lie in one row of the inbox, whose body is empty: they are here, n of them. ids are the digests of the names of their
-- events, 8 bytes each, for those who look for one.
CREATE TABLE inbox_bundles (
    seq  {rowid} PRIMARY KEY,
    n    BIGINT NOT NULL,
    ids  {blob} NOT NULL,
    body {blob} NOT NULL
);
-- The business keys of a bundle's events, as the relay has read them, in their order.
CREATE TABLE inbox_bundle_keys (
    seq  {rowid} PRIMARY KEY,
    keys {blob} NOT NULL
);
