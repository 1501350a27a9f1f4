-- What the card centre has done for a holder who stood at its counter: which
-- clerk, at which terminal, on sight of which document, and what was so before
-- and after. Nothing secret is in it, and no number of a document.

CREATE TABLE centre_acts (
	ref      TEXT    PRIMARY KEY CHECK (length(ref) BETWEEN 1 AND 64), -- as in the terminal's journal
	place    TEXT    NOT NULL CHECK (place <> ''), -- terminal, or "console" of the upstream
	clerk    TEXT    NOT NULL CHECK (clerk <> ''),
	kind     INTEGER NOT NULL CHECK (kind BETWEEN 1 AND 99),
	account  TEXT    NOT NULL REFERENCES holders (account),
	card_no  TEXT    NOT NULL, -- '' for none
	document INTEGER NOT NULL CHECK (document BETWEEN 1 AND 9),
	before   TEXT    NOT NULL,
	after    TEXT    NOT NULL,
	at_ms    INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX acts_for_a_holder ON centre_acts (account, at_ms);

CREATE TRIGGER centre_acts_are_never_changed BEFORE UPDATE ON centre_acts
BEGIN SELECT RAISE(ABORT, 'store: acts of the card centre are never changed'); END;
CREATE TRIGGER centre_acts_are_never_deleted BEFORE DELETE ON centre_acts
BEGIN SELECT RAISE(ABORT, 'store: acts of the card centre are never deleted'); END;
