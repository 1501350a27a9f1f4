-- What a card centre's terminal has closed: an act of that name is never done,
-- although a request for it may still be on its way.
CREATE TABLE centre_closed (
	ref      TEXT    PRIMARY KEY CHECK (length(ref) BETWEEN 1 AND 64),
	terminal TEXT    NOT NULL REFERENCES terminals (id),
	at_ms    INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TRIGGER centre_closed_is_never_changed BEFORE UPDATE ON centre_closed
BEGIN SELECT RAISE(ABORT, 'store: what was closed is never changed'); END;
CREATE TRIGGER centre_closed_is_never_deleted BEFORE DELETE ON centre_closed
BEGIN SELECT RAISE(ABORT, 'store: what was closed is never deleted'); END;

-- Cards that are being made for a holder, each with the number that it was given.
-- Which keys it has is known when the first of them is asked for. It is in cards
-- once the act of the same name has issued it.
CREATE TABLE centre_cards (
	ref      TEXT    PRIMARY KEY CHECK (length(ref) BETWEEN 1 AND 64),
	terminal TEXT    NOT NULL REFERENCES terminals (id),
	clerk    TEXT    NOT NULL CHECK (clerk <> ''),
	account  TEXT    NOT NULL REFERENCES holders (account),
	card_no  TEXT    NOT NULL UNIQUE CHECK (length(card_no) = 20 AND card_no NOT GLOB '*[^0-9A-F]*'),
	uid      TEXT    NOT NULL,
	factor   BLOB    UNIQUE CHECK (length(factor) = 8),
	at_ms    INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TRIGGER centre_cards_are_never_changed BEFORE UPDATE ON centre_cards
WHEN OLD.factor IS NOT NULL OR (NEW.ref, NEW.terminal, NEW.clerk, NEW.account, NEW.card_no, NEW.uid, NEW.at_ms)
	IS NOT (OLD.ref, OLD.terminal, OLD.clerk, OLD.account, OLD.card_no, OLD.uid, OLD.at_ms)
BEGIN SELECT RAISE(ABORT, 'store: a card that was begun only gets its keys'); END;
CREATE TRIGGER centre_cards_are_never_deleted BEFORE DELETE ON centre_cards
BEGIN SELECT RAISE(ABORT, 'store: cards that were begun are never deleted'); END;

-- What terminals' journals say of acts: each as it was announced, and how it ended
-- once they have said so. It is held against centre_acts.
CREATE TABLE centre_told (
	terminal TEXT    NOT NULL,
	ref      TEXT    NOT NULL,
	clerk    TEXT    NOT NULL,
	kind     INTEGER NOT NULL,
	account  TEXT    NOT NULL, -- account number
	card_no  TEXT    NOT NULL, -- '' for none
	document INTEGER NOT NULL,
	told_ms  INTEGER NOT NULL, -- by the terminal's clock
	outcome  INTEGER CHECK (outcome IN (21, 22)),
	ended_ms INTEGER,
	PRIMARY KEY (terminal, ref),
	CHECK ((outcome IS NULL) = (ended_ms IS NULL))
) STRICT, WITHOUT ROWID;

CREATE TRIGGER centre_told_ends_once BEFORE UPDATE ON centre_told
WHEN OLD.outcome IS NOT NULL OR (NEW.terminal, NEW.ref, NEW.clerk, NEW.kind, NEW.account, NEW.card_no, NEW.document, NEW.told_ms)
	IS NOT (OLD.terminal, OLD.ref, OLD.clerk, OLD.kind, OLD.account, OLD.card_no, OLD.document, OLD.told_ms)
BEGIN SELECT RAISE(ABORT, 'store: what was told of an act is never changed'); END;
CREATE TRIGGER centre_told_is_never_deleted BEFORE DELETE ON centre_told
BEGIN SELECT RAISE(ABORT, 'store: what was told of an act is never deleted'); END;
