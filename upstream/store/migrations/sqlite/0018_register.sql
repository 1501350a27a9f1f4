-- The school's own register, as it was loaded last: how those are called who may
-- come to the card centre. Nothing else refers to it.
CREATE TABLE centre_register (
	number TEXT PRIMARY KEY CHECK (number <> ''), -- student or staff number
	name   TEXT NOT NULL CHECK (name <> '')
) STRICT, WITHOUT ROWID;
