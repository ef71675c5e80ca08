-- Passes that people want may prune what left one commit, whatever the guard says.
ALTER TABLE wishes ADD COLUMN prunes TEXT COLLATE "C";
