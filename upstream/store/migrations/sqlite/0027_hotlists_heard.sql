-- Which version of the hotlist a terminal has said that it has, when it said so first and
-- when last. Whoever looks at a sale with a lost card sees whether the till could know.
CREATE TABLE hotlists_heard (
	terminal TEXT    NOT NULL REFERENCES terminals (id),
	version  INTEGER NOT NULL CHECK (version >= 0),
	first_ms INTEGER NOT NULL CHECK (first_ms > 0),
	last_ms  INTEGER NOT NULL,
	PRIMARY KEY (terminal, version),
	CHECK (first_ms <= last_ms)
) STRICT, WITHOUT ROWID;

CREATE TRIGGER hotlists_heard_go_forward BEFORE UPDATE ON hotlists_heard
WHEN (OLD.terminal, OLD.version, OLD.first_ms) IS NOT (NEW.terminal, NEW.version, NEW.first_ms)
	OR NEW.last_ms < OLD.last_ms
BEGIN SELECT RAISE(ABORT, 'store: what was heard is not changed'); END;
CREATE TRIGGER hotlists_heard_are_never_deleted BEFORE DELETE ON hotlists_heard
BEGIN SELECT RAISE(ABORT, 'store: what was heard is never deleted'); END;
