-- A temporary holder (临时人员) has an end, and an account that was retired (销户)
-- has one too: from then on nothing is approved for it. What was sold in the
-- dark before is posted all the same.
ALTER TABLE holders ADD COLUMN until_ms INTEGER;  -- NULL: for good
ALTER TABLE holders ADD COLUMN closed_ms INTEGER; -- NULL: in use
