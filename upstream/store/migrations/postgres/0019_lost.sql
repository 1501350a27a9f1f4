-- Losses that holders have reported at a terminal with a number and their PIN. Which
-- cards were stopped is in hot_changes: those of the account that are hot since
-- version or before. From free_ms on the school bears what is spent with them.
CREATE TABLE lost_reports (
	ref        TEXT    PRIMARY KEY CHECK (ref ~ '^[0-9A-Za-z_]{1,64}$'),
	terminal   TEXT    NOT NULL REFERENCES terminals (id),
	account    TEXT    NOT NULL REFERENCES holders (account),
	version    BIGINT  NOT NULL,
	again      BOOLEAN NOT NULL, -- the cards were stopped before
	stopped_ms BIGINT  NOT NULL,
	free_ms    BIGINT  NOT NULL CHECK (free_ms >= stopped_ms),
	at_ms      BIGINT  NOT NULL CHECK (at_ms >= stopped_ms)
);
CREATE INDEX lost_reports_of_an_account ON lost_reports (account, at_ms);

-- Reports that a terminal has given up: they are never made, although a request may
-- still be on its way.
CREATE TABLE lost_ended (
	ref      TEXT    PRIMARY KEY CHECK (length(ref) BETWEEN 1 AND 64),
	terminal TEXT    NOT NULL REFERENCES terminals (id),
	at_ms    BIGINT  NOT NULL
);

-- Wrong tries of the last day. who is a keyed hash of what was typed as a number.
CREATE TABLE lost_tries (
	id       BIGINT  GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
	who      BYTEA  NOT NULL CHECK (length(who) = 32),
	terminal TEXT    NOT NULL,
	at_ms    BIGINT  NOT NULL
);
CREATE INDEX lost_tries_for_a_number ON lost_tries (who);
CREATE INDEX lost_tries_at_a_terminal ON lost_tries (terminal, at_ms);
CREATE INDEX lost_tries_by_time ON lost_tries (at_ms);

-- Lost cards that somebody has laid on a terminal's reader, once for each terminal
-- and loss. version is that with which the card went onto the hotlist.
CREATE TABLE found_cards (
	version  BIGINT  NOT NULL,
	terminal TEXT    NOT NULL REFERENCES terminals (id),
	card_no  TEXT    NOT NULL REFERENCES cards (card_no),
	at_ms    BIGINT  NOT NULL, -- by the terminal's clock
	told_ms  BIGINT  NOT NULL,
	PRIMARY KEY (version, terminal)
);
CREATE INDEX found_cards_of_a_card ON found_cards (card_no, version);
