-- Where terminals stand, for people. A terminal that is moved gets another row, so that
-- what happened before is still said to have happened where it did. The first row of a
-- terminal counts for what it did before that, too.
CREATE TABLE terminal_places (
	terminal TEXT   NOT NULL REFERENCES terminals (id),
	since_ms BIGINT NOT NULL CHECK (since_ms > 0),
	zh       TEXT   NOT NULL CHECK (zh <> ''),
	en       TEXT   NOT NULL,
	PRIMARY KEY (terminal, since_ms)
);
