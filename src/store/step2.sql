-- Deliveries in the order in which they were recorded; one that a forge sends again is another row with the same name.
CREATE TABLE deliveries (
    seq INTEGER PRIMARY KEY,
    delivery TEXT NOT NULL,
    forge TEXT NOT NULL,
    received_at INTEGER NOT NULL,
    heard TEXT NOT NULL,
    UNIQUE (forge, delivery, received_at)
);
CREATE INDEX deliveries_by_delivery ON deliveries (delivery);

-- When a delivery last told of a push to each source.
CREATE TABLE told (
    source TEXT NOT NULL PRIMARY KEY,
    at INTEGER NOT NULL
) WITHOUT ROWID;

-- What dispatch made of the events of deliveries.
CREATE TABLE considered (
    event TEXT NOT NULL PRIMARY KEY,
    at INTEGER NOT NULL,
    considered TEXT NOT NULL
) WITHOUT ROWID;
CREATE INDEX considered_by_time ON considered (at);

-- What is known of the check run that shows a status, where a forge has such; written before each request about it.
ALTER TABLE statuses ADD COLUMN shown TEXT;

PRAGMA user_version = 2;
