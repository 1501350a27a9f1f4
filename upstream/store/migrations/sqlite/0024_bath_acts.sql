-- What holders have asked for about reservations, under the reference that the terminal
-- has written down before: 1 given up, 2 ended by the stub. tries is how many are left
-- after a stub that was wrong; NULL if it was done. Asked again, it is answered as it was.
CREATE TABLE bath_acts (
	ref         TEXT    PRIMARY KEY CHECK (length(ref) BETWEEN 1 AND 64 AND ref NOT GLOB '*[^0-9A-Za-z_]*'),
	terminal    TEXT    NOT NULL REFERENCES terminals (id),
	kind        INTEGER NOT NULL CHECK (kind IN (1, 2)),
	reservation TEXT    NOT NULL REFERENCES bath_reservations (ref),
	tries       INTEGER CHECK (tries IS NULL OR kind = 2 AND tries BETWEEN 0 AND 4),
	at_ms       INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE INDEX bath_acts_reservation ON bath_acts (reservation);

CREATE TRIGGER bath_acts_are_never_changed BEFORE UPDATE ON bath_acts
BEGIN SELECT RAISE(ABORT, 'store: what was done about a bath stays done'); END;
CREATE TRIGGER bath_acts_are_never_deleted BEFORE DELETE ON bath_acts
BEGIN SELECT RAISE(ABORT, 'store: what was done about a bath stays done'); END;
