-- Is this a target that a roster names, and not only one that a run told of? Only those are waited for.
ALTER TABLE ledger ADD COLUMN called BIGINT NOT NULL DEFAULT 1;
DROP INDEX ledger_by_phase;
CREATE INDEX ledger_by_phase ON ledger (source, commit_id, phase, called);
