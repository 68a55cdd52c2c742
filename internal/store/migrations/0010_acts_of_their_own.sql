-- How often people have resumed a flow: other hubs learn of a resume by it. The audit tells people, and no program reads it.
CREATE TABLE resumes (
    flow TEXT PRIMARY KEY,
    n    BIGINT NOT NULL
) {bare};

-- A bulk replay or discard by its number, which is its audit row's: whose it is, what it is about, how many messages it has marked so far.
CREATE TABLE bulks (
    id     {rowid} PRIMARY KEY,
    time   BIGINT NOT NULL,
    who    TEXT NOT NULL,
    action TEXT NOT NULL,
    about  TEXT NOT NULL,
    n      BIGINT NOT NULL
);
INSERT INTO bulks (id, time, who, action, about, n)
    SELECT a.id, a.time, a.who, a.action, a.object, COALESCE(c.n, 0)
    FROM audit a LEFT JOIN (SELECT bulk, COUNT(*) AS n FROM acts WHERE bulk > 0 GROUP BY bulk) AS c ON c.bulk = a.id
    WHERE a.action IN ('bulk replay', 'bulk discard');
