-- Which state of a status the forge was last sent, while it is not known whether it arrived; written before each request.
ALTER TABLE statuses ADD COLUMN sent BIGINT;

