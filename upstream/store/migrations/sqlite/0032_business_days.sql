-- The last business day that was over, as often as clearing has believed it, and who has
-- said so where the clock alone is not believed: a clock that has jumped ahead closes nothing.
CREATE TABLE business_days (
	day     TEXT    PRIMARY KEY CHECK (day GLOB '[0-9][0-9][0-9][0-9]-[0-9][0-9]-[0-9][0-9]'),
	seen_ms INTEGER NOT NULL,
	said_by TEXT    NOT NULL -- '' for the clock
) STRICT, WITHOUT ROWID;

CREATE TRIGGER business_days_are_never_changed BEFORE UPDATE ON business_days
BEGIN SELECT RAISE(ABORT, 'store: business days are never changed'); END;
CREATE TRIGGER business_days_are_never_deleted BEFORE DELETE ON business_days
BEGIN SELECT RAISE(ABORT, 'store: business days are never deleted'); END;
