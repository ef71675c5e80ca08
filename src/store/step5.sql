-- What somebody else changed in clusters, as JSON, in the order in which it was recorded.
CREATE TABLE drifts (
    seq INTEGER PRIMARY KEY,
    run TEXT NOT NULL UNIQUE,
    application TEXT NOT NULL,
    cluster TEXT NOT NULL,
    at INTEGER NOT NULL,
    drift TEXT NOT NULL
);
CREATE INDEX drifts_of_application ON drifts (application, seq);

PRAGMA user_version = 5;
