-- What the card centre has done for a holder, as in ../sqlite.

CREATE TABLE centre_acts (
	ref      TEXT   PRIMARY KEY CHECK (length(ref) BETWEEN 1 AND 64),
	place    TEXT   NOT NULL CHECK (place <> ''),
	clerk    TEXT   NOT NULL CHECK (clerk <> ''),
	kind     BIGINT NOT NULL CHECK (kind BETWEEN 1 AND 99),
	account  TEXT   NOT NULL REFERENCES holders (account),
	card_no  TEXT   NOT NULL,
	document BIGINT NOT NULL CHECK (document BETWEEN 1 AND 9),
	before   TEXT   NOT NULL,
	after    TEXT   NOT NULL,
	at_ms    BIGINT NOT NULL
);
CREATE INDEX acts_for_a_holder ON centre_acts (account, at_ms);
