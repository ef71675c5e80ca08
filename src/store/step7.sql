-- Targets that people keep at a commit.
CREATE TABLE pins (
    application TEXT NOT NULL,
    cluster TEXT NOT NULL,
    commit_id TEXT NOT NULL,
    who TEXT NOT NULL,
    why TEXT NOT NULL,
    since INTEGER NOT NULL,
    PRIMARY KEY (application, cluster)
) WITHOUT ROWID;

PRAGMA user_version = 7;
