-- Codes for which a terminal was given a hold: no other gets one. They are
-- forgotten when such a code can be shown no more.
CREATE TABLE code_asks (
	device   TEXT    NOT NULL CHECK (length(device) = 32),
	made_s   INTEGER NOT NULL CHECK (made_s > 0),
	counter  INTEGER NOT NULL CHECK (counter BETWEEN 0 AND 65535),
	terminal TEXT    NOT NULL REFERENCES terminals (id),
	PRIMARY KEY (device, made_s, counter)
) STRICT, WITHOUT ROWID;

CREATE TRIGGER code_asks_are_never_changed BEFORE UPDATE ON code_asks
BEGIN SELECT RAISE(ABORT, 'store: who asked for a code is never changed'); END;
