-- The last business day that was over, as often as clearing has believed it, and who has
-- said so where the clock alone is not believed: a clock that has jumped ahead closes nothing.
CREATE TABLE business_days (
	day     TEXT   PRIMARY KEY CHECK (day ~ '^[0-9]{4}-[0-9]{2}-[0-9]{2}$'),
	seen_ms BIGINT NOT NULL,
	said_by TEXT   NOT NULL -- '' for the clock
);
