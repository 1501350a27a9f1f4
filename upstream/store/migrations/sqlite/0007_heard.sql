-- What a terminal has said at its last greeting: the version of each feed that
-- it has, as JSON ('' before it has said that), and what is wrong with its
-- journal, '' for nothing.
ALTER TABLE terminals ADD COLUMN feeds TEXT NOT NULL DEFAULT '';
ALTER TABLE terminals ADD COLUMN fault TEXT NOT NULL DEFAULT '';
