-- The school's own register, as it was loaded last, as in ../sqlite.
CREATE TABLE centre_register (
	number TEXT PRIMARY KEY CHECK (number <> ''),
	name   TEXT NOT NULL CHECK (name <> '')
);
