-- Losses that holders have reported at a terminal with a number and their PIN. Which
-- cards were stopped is in hot_changes: those of the account that are hot since
-- version or before. From free_ms on the school bears what is spent with them.
CREATE TABLE lost_reports (
	ref        TEXT    PRIMARY KEY CHECK (length(ref) BETWEEN 1 AND 64 AND ref NOT GLOB '*[^0-9A-Za-z_]*'),
	terminal   TEXT    NOT NULL REFERENCES terminals (id),
	account    TEXT    NOT NULL REFERENCES holders (account),
	version    INTEGER NOT NULL,
	again      INTEGER NOT NULL CHECK (again IN (0, 1)), -- the cards were stopped before
	stopped_ms INTEGER NOT NULL,
	free_ms    INTEGER NOT NULL CHECK (free_ms >= stopped_ms),
	at_ms      INTEGER NOT NULL CHECK (at_ms >= stopped_ms)
) STRICT, WITHOUT ROWID;
CREATE INDEX lost_reports_of_an_account ON lost_reports (account, at_ms);

CREATE TRIGGER lost_reports_are_never_changed BEFORE UPDATE ON lost_reports
BEGIN SELECT RAISE(ABORT, 'store: reports of losses are never changed'); END;
CREATE TRIGGER lost_reports_are_never_deleted BEFORE DELETE ON lost_reports
BEGIN SELECT RAISE(ABORT, 'store: reports of losses are never deleted'); END;

-- Reports that a terminal has given up: they are never made, although a request may
-- still be on its way.
CREATE TABLE lost_ended (
	ref      TEXT    PRIMARY KEY CHECK (length(ref) BETWEEN 1 AND 64),
	terminal TEXT    NOT NULL REFERENCES terminals (id),
	at_ms    INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TRIGGER lost_ended_is_never_changed BEFORE UPDATE ON lost_ended
BEGIN SELECT RAISE(ABORT, 'store: what was given up is never changed'); END;
CREATE TRIGGER lost_ended_is_never_deleted BEFORE DELETE ON lost_ended
BEGIN SELECT RAISE(ABORT, 'store: what was given up is never deleted'); END;

-- Wrong tries of the last day. who is a keyed hash of what was typed as a number.
CREATE TABLE lost_tries (
	id       INTEGER PRIMARY KEY,
	who      BLOB    NOT NULL CHECK (length(who) = 32),
	terminal TEXT    NOT NULL,
	at_ms    INTEGER NOT NULL
) STRICT;
CREATE INDEX lost_tries_for_a_number ON lost_tries (who);
CREATE INDEX lost_tries_at_a_terminal ON lost_tries (terminal, at_ms);
CREATE INDEX lost_tries_by_time ON lost_tries (at_ms);

CREATE TRIGGER lost_tries_are_never_changed BEFORE UPDATE ON lost_tries
BEGIN SELECT RAISE(ABORT, 'store: tries are never changed'); END;

-- Lost cards that somebody has laid on a terminal's reader, once for each terminal
-- and loss. version is that with which the card went onto the hotlist.
CREATE TABLE found_cards (
	version  INTEGER NOT NULL,
	terminal TEXT    NOT NULL REFERENCES terminals (id),
	card_no  TEXT    NOT NULL REFERENCES cards (card_no),
	at_ms    INTEGER NOT NULL, -- by the terminal's clock
	told_ms  INTEGER NOT NULL,
	PRIMARY KEY (version, terminal)
) STRICT, WITHOUT ROWID;
CREATE INDEX found_cards_of_a_card ON found_cards (card_no, version);

CREATE TRIGGER found_cards_are_never_changed BEFORE UPDATE ON found_cards
BEGIN SELECT RAISE(ABORT, 'store: found cards are never changed'); END;
CREATE TRIGGER found_cards_are_never_deleted BEFORE DELETE ON found_cards
BEGIN SELECT RAISE(ABORT, 'store: found cards are never deleted'); END;
