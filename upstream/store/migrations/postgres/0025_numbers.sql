-- A person types the letters of a number as the keys have them, and whoever wrote it
-- into the books did as they liked. "C" changes ASCII letters only, as SQLite does.
CREATE INDEX holders_by_number ON holders (lower(number COLLATE "C"));
