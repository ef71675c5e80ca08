-- Passes that people want may prune what left one commit, whatever the guard says.
ALTER TABLE wishes ADD COLUMN prunes TEXT;

PRAGMA user_version = 8;
