-- What holders have said of their cards: whether the name and the number that are
-- registered are those on the card. The newest of a card counts.
CREATE TABLE card_checks (
	card_no  TEXT    NOT NULL REFERENCES cards (card_no),
	at_ms    INTEGER NOT NULL CHECK (at_ms > 0),
	terminal TEXT    NOT NULL REFERENCES terminals (id),
	agrees   INTEGER NOT NULL CHECK (agrees IN (0, 1)),
	PRIMARY KEY (card_no, at_ms)
) STRICT, WITHOUT ROWID;

CREATE TRIGGER card_checks_are_never_changed BEFORE UPDATE ON card_checks
BEGIN SELECT RAISE(ABORT, 'store: checks of cards are never changed'); END;
CREATE TRIGGER card_checks_are_never_deleted BEFORE DELETE ON card_checks
BEGIN SELECT RAISE(ABORT, 'store: checks of cards are never deleted'); END;
