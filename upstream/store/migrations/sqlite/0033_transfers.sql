-- What the bank has paid to merchants, by its own numbers: so that none is entered twice,
-- in whatever copy of the books somebody does it.
CREATE TABLE transfers (
	account    TEXT    NOT NULL REFERENCES accounts (account),
	no         TEXT    NOT NULL CHECK (no <> ''), -- the bank's
	amount_fen INTEGER NOT NULL CHECK (amount_fen > 0),
	entry_id   INTEGER REFERENCES entries (id), -- that has paid days; NULL if none was paid
	carried_id INTEGER REFERENCES entries (id), -- what it differs by, a line of a later day
	said_by    TEXT    NOT NULL CHECK (said_by <> ''),
	at_ms      INTEGER NOT NULL,
	PRIMARY KEY (account, no),
	CHECK (entry_id IS NOT NULL OR carried_id IS NOT NULL)
) STRICT, WITHOUT ROWID;

CREATE TRIGGER transfers_are_never_changed BEFORE UPDATE ON transfers
BEGIN SELECT RAISE(ABORT, 'store: transfers are never changed'); END;
CREATE TRIGGER transfers_are_never_deleted BEFORE DELETE ON transfers
BEGIN SELECT RAISE(ABORT, 'store: transfers are never deleted'); END;
