-- Which version of the hotlist a terminal has said that it has, when it said so first and
-- when last. Whoever looks at a sale with a lost card sees whether the till could know.
CREATE TABLE hotlists_heard (
	terminal TEXT   NOT NULL REFERENCES terminals (id),
	version  BIGINT NOT NULL CHECK (version >= 0),
	first_ms BIGINT NOT NULL CHECK (first_ms > 0),
	last_ms  BIGINT NOT NULL,
	PRIMARY KEY (terminal, version),
	CHECK (first_ms <= last_ms)
);
