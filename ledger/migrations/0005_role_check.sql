-- The same check of a role, in other words.
--
-- For a list of more than two values SQLite makes a table of them, here for each
-- entry anew, which cost a seventh of what an entry costs there. Rows and rule stay
-- as they are, so only the words are changed: this is SQLite's own procedure for
-- that (lang_altertable, "making other kinds of table schema changes"). To copy ten
-- million rows would keep a terminal from starting.
PRAGMA writable_schema = ON;
UPDATE sqlite_schema SET sql = replace(sql, 'role IN (1, 2, 4, 8)', 'role = 1 OR role = 2 OR role = 4 OR role = 8')
	WHERE type = 'table' AND name = 'journal';
PRAGMA writable_schema = RESET; -- which reads it again, and is OFF after that
