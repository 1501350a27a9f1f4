-- References of reservations that terminals have given up before they came.
CREATE TABLE bath_ended (
	ref      TEXT    PRIMARY KEY CHECK (length(ref) BETWEEN 1 AND 64 AND ref NOT GLOB '*[^0-9A-Za-z_]*'),
	terminal TEXT    NOT NULL REFERENCES terminals (id),
	ended_ms INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TRIGGER bath_ended_is_never_changed BEFORE UPDATE ON bath_ended
BEGIN SELECT RAISE(ABORT, 'store: what was ended stays ended'); END;
CREATE TRIGGER bath_ended_is_never_deleted BEFORE DELETE ON bath_ended
BEGIN SELECT RAISE(ABORT, 'store: what was ended stays ended'); END;
