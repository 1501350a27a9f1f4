-- What holders have said of their cards: whether the name and the number that are
-- registered are those on the card. The newest of a card counts.
CREATE TABLE card_checks (
	card_no  TEXT    NOT NULL REFERENCES cards (card_no),
	at_ms    BIGINT  NOT NULL CHECK (at_ms > 0),
	terminal TEXT    NOT NULL REFERENCES terminals (id),
	agrees   BOOLEAN NOT NULL,
	PRIMARY KEY (card_no, at_ms)
);
