-- What people paused; an empty name stands for all applications, or all clusters.
CREATE TABLE pauses (
    application TEXT NOT NULL,
    cluster TEXT NOT NULL,
    who TEXT NOT NULL,
    why TEXT NOT NULL,
    since INTEGER NOT NULL,
    PRIMARY KEY (application, cluster)
) WITHOUT ROWID;

-- What people ordered, for good. Names as in pauses.
CREATE TABLE audit (
    seq INTEGER PRIMARY KEY AUTOINCREMENT,
    at INTEGER NOT NULL,
    who TEXT NOT NULL,
    what TEXT NOT NULL,
    application TEXT NOT NULL,
    cluster TEXT NOT NULL,
    why TEXT NOT NULL
);
CREATE TRIGGER audit_is_not_changed BEFORE UPDATE ON audit BEGIN SELECT RAISE(ABORT, 'the audit is not changed'); END;
CREATE TRIGGER audit_is_not_deleted BEFORE DELETE ON audit BEGIN SELECT RAISE(ABORT, 'the audit is not deleted'); END;

-- Targets that a person wants a pass of, until it is asked for.
CREATE TABLE wishes (
    seq INTEGER PRIMARY KEY AUTOINCREMENT,
    application TEXT NOT NULL,
    cluster TEXT NOT NULL,
    regardless INTEGER NOT NULL
);

-- Targets where something waits for a window to open or a pause to end.
CREATE TABLE held (
    application TEXT NOT NULL,
    cluster TEXT NOT NULL,
    source TEXT NOT NULL,
    commits INTEGER NOT NULL,
    drift INTEGER NOT NULL,
    since INTEGER NOT NULL,
    noted_at INTEGER NOT NULL,
    until INTEGER,
    why TEXT NOT NULL,
    PRIMARY KEY (application, cluster)
) WITHOUT ROWID;

PRAGMA user_version = 6;
