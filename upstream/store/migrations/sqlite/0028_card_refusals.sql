-- That a card was seen to refuse another name of its holder, and by which status word. It
-- is not written at again, at whichever terminal: three wrong MACs lock a card for good.
-- An act that says it was rewritten later ends that.
CREATE TABLE card_refusals (
	ref      TEXT    PRIMARY KEY CHECK (ref <> ''),
	card_no  TEXT    NOT NULL REFERENCES cards (card_no),
	terminal TEXT    NOT NULL REFERENCES terminals (id),
	clerk    TEXT    NOT NULL,
	status   INTEGER NOT NULL CHECK (status BETWEEN 1 AND 65535),
	at_ms    INTEGER NOT NULL CHECK (at_ms > 0)
) STRICT, WITHOUT ROWID;
CREATE INDEX refusals_of_a_card ON card_refusals (card_no, at_ms);

CREATE TRIGGER card_refusals_are_never_changed BEFORE UPDATE ON card_refusals
BEGIN SELECT RAISE(ABORT, 'store: refusals of cards are never changed'); END;
CREATE TRIGGER card_refusals_are_never_deleted BEFORE DELETE ON card_refusals
BEGIN SELECT RAISE(ABORT, 'store: refusals of cards are never deleted'); END;
