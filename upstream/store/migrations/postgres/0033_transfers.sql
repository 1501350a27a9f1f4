-- What the bank has paid to merchants, by its own numbers: so that none is entered twice,
-- in whatever copy of the books somebody does it.
CREATE TABLE transfers (
	account    TEXT   NOT NULL REFERENCES accounts (account),
	no         TEXT   NOT NULL CHECK (no <> ''), -- the bank's
	amount_fen BIGINT NOT NULL CHECK (amount_fen > 0),
	entry_id   BIGINT REFERENCES entries (id), -- that has paid days; NULL if none was paid
	carried_id BIGINT REFERENCES entries (id), -- what it differs by, a line of a later day
	said_by    TEXT   NOT NULL CHECK (said_by <> ''),
	at_ms      BIGINT NOT NULL,
	PRIMARY KEY (account, no),
	CHECK (entry_id IS NOT NULL OR carried_id IS NOT NULL)
);
