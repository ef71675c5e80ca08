-- What is known of the check run that shows a status, where a forge has such; written before each request about it.
ALTER TABLE statuses ADD COLUMN shown TEXT;

PRAGMA user_version = 2;
