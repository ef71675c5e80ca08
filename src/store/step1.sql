-- What dispatch last made for each target. `dispatch` alone may close a row.
CREATE TABLE memory (
    application TEXT NOT NULL,
    cluster TEXT NOT NULL,
    source TEXT NOT NULL,
    reference TEXT NOT NULL,
    inputs TEXT NOT NULL,
    commit_id TEXT NOT NULL,
    definition INTEGER NOT NULL,
    dispatch TEXT NOT NULL,
    state TEXT NOT NULL,
    PRIMARY KEY (application, cluster)
) WITHOUT ROWID;
CREATE INDEX memory_by_source ON memory (source);

-- The number of each application's definition.
CREATE TABLE definitions (
    application TEXT NOT NULL PRIMARY KEY,
    number INTEGER NOT NULL,
    digest TEXT NOT NULL
) WITHOUT ROWID;

-- Where dispatch last saw each ref.
CREATE TABLE refs (
    source TEXT NOT NULL,
    reference TEXT NOT NULL,
    commit_id TEXT NOT NULL,
    PRIMARY KEY (source, reference)
) WITHOUT ROWID;

-- The commits whose targets were called: only they are summed up. A run may make a commit true before its own event is
-- dispatched, and its other targets are not known then.
CREATE TABLE rosters (
    source TEXT NOT NULL,
    commit_id TEXT NOT NULL,
    PRIMARY KEY (source, commit_id)
) WITHOUT ROWID;

-- Runs in the order in which they were first heard of; `state` is a row of the ledger's form.
CREATE TABLE runs (
    seq INTEGER PRIMARY KEY,
    run TEXT NOT NULL UNIQUE,
    source TEXT NOT NULL,
    application TEXT NOT NULL,
    cluster TEXT NOT NULL,
    commit_id TEXT NOT NULL,
    inputs TEXT NOT NULL,
    state TEXT NOT NULL,
    problems TEXT NOT NULL,
    received_at INTEGER NOT NULL,
    at INTEGER NOT NULL
);
CREATE INDEX runs_by_application ON runs (application, seq);

CREATE TABLE changes (
    run TEXT NOT NULL,
    object TEXT NOT NULL,
    change TEXT NOT NULL,
    PRIMARY KEY (run, object)
) WITHOUT ROWID;

-- One row for each commit and target; `state` says it all, `phase` and `open` (1 until final) are there to be found by.
CREATE TABLE ledger (
    source TEXT NOT NULL,
    commit_id TEXT NOT NULL,
    application TEXT NOT NULL,
    cluster TEXT NOT NULL,
    phase TEXT NOT NULL,
    open INTEGER NOT NULL,
    state TEXT NOT NULL,
    opened_at INTEGER NOT NULL,
    moved_at INTEGER NOT NULL,
    PRIMARY KEY (source, commit_id, application, cluster)
) WITHOUT ROWID;
CREATE INDEX ledger_by_phase ON ledger (source, commit_id, phase);
CREATE INDEX ledger_open ON ledger (moved_at) WHERE open = 1;

-- Who shares the fate of a run.
CREATE TABLE covered (
    run TEXT NOT NULL,
    application TEXT NOT NULL,
    cluster TEXT NOT NULL,
    source TEXT NOT NULL,
    commit_id TEXT NOT NULL,
    dispatch TEXT NOT NULL,
    PRIMARY KEY (run, application, cluster, source, commit_id, dispatch)
) WITHOUT ROWID;

-- What a forge is to be told, and what it was told last. `wanting` is 1 while the two differ and nobody gave up;
-- `muted` is 1 for a target of a commit that has too many for a status each.
CREATE TABLE statuses (
    id INTEGER PRIMARY KEY,
    source TEXT NOT NULL,
    commit_id TEXT NOT NULL,
    context TEXT NOT NULL,
    application TEXT,
    cluster TEXT,
    run TEXT,
    phase TEXT NOT NULL,
    description TEXT NOT NULL,
    version INTEGER NOT NULL DEFAULT 1,
    posted_phase TEXT,
    posted_description TEXT,
    posted_at INTEGER,
    wanting INTEGER NOT NULL DEFAULT 1,
    muted INTEGER NOT NULL DEFAULT 0,
    due_at INTEGER NOT NULL DEFAULT 0,
    tries INTEGER NOT NULL DEFAULT 0,
    why TEXT,
    UNIQUE (source, commit_id, context)
);
CREATE INDEX statuses_due ON statuses (due_at, id) WHERE wanting = 1 AND muted = 0;

PRAGMA user_version = 1;
