-- What the card centre's terminals have closed, begun and told, as in ../sqlite.
CREATE TABLE centre_closed (
	ref      TEXT   PRIMARY KEY CHECK (length(ref) BETWEEN 1 AND 64),
	terminal TEXT   NOT NULL REFERENCES terminals (id),
	at_ms    BIGINT NOT NULL
);

CREATE TABLE centre_cards (
	ref      TEXT   PRIMARY KEY CHECK (length(ref) BETWEEN 1 AND 64),
	terminal TEXT   NOT NULL REFERENCES terminals (id),
	clerk    TEXT   NOT NULL CHECK (clerk <> ''),
	account  TEXT   NOT NULL REFERENCES holders (account),
	card_no  TEXT   NOT NULL UNIQUE CHECK (length(card_no) = 20 AND card_no !~ '[^0-9A-F]'),
	uid      TEXT   NOT NULL,
	factor   BYTEA  UNIQUE CHECK (length(factor) = 8),
	at_ms    BIGINT NOT NULL
);

CREATE TABLE centre_told (
	terminal TEXT   NOT NULL,
	ref      TEXT   NOT NULL,
	clerk    TEXT   NOT NULL,
	kind     BIGINT NOT NULL,
	account  TEXT   NOT NULL, -- account number
	card_no  TEXT   NOT NULL, -- '' for none
	document BIGINT NOT NULL,
	told_ms  BIGINT NOT NULL, -- by the terminal's clock
	outcome  BIGINT CHECK (outcome IN (21, 22)),
	ended_ms BIGINT,
	PRIMARY KEY (terminal, ref),
	CHECK ((outcome IS NULL) = (ended_ms IS NULL))
);

