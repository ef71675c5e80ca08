-- The trace of the report that made a status say what it says, so that the post of it goes on there.
ALTER TABLE statuses ADD COLUMN trace TEXT;

PRAGMA user_version = 4;
