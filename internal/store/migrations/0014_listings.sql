-- What reconciliations have read of systems last, from run to run. name is the reconciliation's; at, began and whole are those of a Listing.
CREATE TABLE listings (
    name       TEXT NOT NULL,
    side       TEXT NOT NULL,
    about      TEXT NOT NULL,
    at         TEXT NOT NULL,
    turn       BIGINT NOT NULL,
    began      BIGINT NOT NULL,
    whole      BIGINT NOT NULL,
    keep_until BIGINT NOT NULL,
    PRIMARY KEY (name, side)
);
CREATE INDEX listings_old ON listings (keep_until);
CREATE TABLE listed (
    name    TEXT NOT NULL,
    side    TEXT NOT NULL,
    id      TEXT {bytes} NOT NULL,
    version TEXT NOT NULL,
    turn    BIGINT NOT NULL,
    bad     TEXT NOT NULL,
    doc     {blob} NOT NULL,
    PRIMARY KEY (name, side, id)
) {bare};
