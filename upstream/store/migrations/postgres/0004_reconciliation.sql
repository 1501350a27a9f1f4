-- What is compared with the books of others, and what merchants are owed. Days
-- are those of the calendar in Beijing, written 2026-03-01.

-- What a source says of a day: a channel's bill, a biller's records. Another
-- opinion of the same day supersedes the one before. absent is true where
-- the source had none and we have nothing of that day either.
CREATE TABLE statements (
	id            BIGINT  GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
	source        TEXT    NOT NULL CHECK (source <> ''),
	day           TEXT    NOT NULL CHECK (day ~ '^[0-9]{4}-[0-9]{2}-[0-9]{2}$'),
	absent        BOOLEAN NOT NULL,
	digest        BYTEA   NOT NULL CHECK (length(digest) = 32), -- SHA-256 of its lines
	lines         BIGINT  NOT NULL CHECK (lines >= 0),
	paid_fen      BIGINT  NOT NULL,
	returned_fen  BIGINT  NOT NULL,
	fee_fen       BIGINT  NOT NULL,
	read_ms       BIGINT  NOT NULL,
	compared_ms   BIGINT, -- when it was last compared with our books
	superseded_ms BIGINT,
	CHECK (NOT absent OR lines = 0)
);
CREATE UNIQUE INDEX a_day_has_one_statement ON statements (source, day) WHERE superseded_ms IS NULL;

-- about is the order, or for a line without one the trade. Kind 1 payment, 2
-- refund.
CREATE TABLE statement_lines (
	statement  BIGINT  NOT NULL REFERENCES statements (id),
	line       BIGINT  NOT NULL CHECK (line > 0),
	about      TEXT    NOT NULL,
	kind       BIGINT  NOT NULL CHECK (kind IN (1, 2)),
	order_no   TEXT    NOT NULL,
	refund_no  TEXT    NOT NULL,
	trade_no   TEXT    NOT NULL,
	amount_fen BIGINT  NOT NULL CHECK (amount_fen > 0),
	fee_fen    BIGINT  NOT NULL,
	at_ms      BIGINT  NOT NULL,
	PRIMARY KEY (statement, line)
);
CREATE INDEX statement_lines_about ON statement_lines (about);

-- Our own side: the postings on a source's account, by what they are about,
-- '' for what no statement has a line of. A projection of the ledger that goes
-- as far as somebody has compared. at_ms is when it moved by the source's
-- clock, where we know.
CREATE TABLE movements (
	account    TEXT    NOT NULL REFERENCES accounts (account),
	entry_id   BIGINT  NOT NULL REFERENCES entries (id),
	about      TEXT    NOT NULL,
	refund_no  TEXT    NOT NULL,
	amount_fen BIGINT  NOT NULL CHECK (amount_fen <> 0), -- as posted
	at_ms      BIGINT  NOT NULL,
	PRIMARY KEY (account, entry_id)
);
CREATE INDEX movements_about ON movements (account, about);
CREATE INDEX movements_in_time ON movements (account, at_ms);

-- A line of the inbox that is a difference with a source: what it is about, by
-- how much more has come in by the source's books, and what the text of its
-- next step needs, as JSON.
CREATE TABLE differences (
	exception_id BIGINT  PRIMARY KEY REFERENCES exceptions (id),
	source       TEXT    NOT NULL,
	about        TEXT    NOT NULL,
	gap_fen      BIGINT  NOT NULL CHECK (gap_fen <> 0),
	params       TEXT    NOT NULL
);
CREATE INDEX differences_about ON differences (source, about);

-- An entry by which people have closed an exception, and who. Kind 1 assigned
-- to a holder, 2 written off, 3 explained by an entry that was there.
CREATE TABLE corrections (
	exception_id BIGINT  PRIMARY KEY REFERENCES exceptions (id),
	entry_id     BIGINT  NOT NULL REFERENCES entries (id),
	kind         BIGINT  NOT NULL CHECK (kind BETWEEN 1 AND 3),
	reason       TEXT    NOT NULL CHECK (reason <> ''),
	by_one       TEXT    NOT NULL CHECK (by_one <> ''),
	by_two       TEXT    NOT NULL,
	at_ms        BIGINT  NOT NULL,
	CHECK (by_one <> by_two),
	CHECK (kind <> 2 OR by_two <> '')
);
CREATE INDEX corrections_by_an_entry ON corrections (entry_id);

-- Money that a source is asked to give back, written down before it is asked.
-- State 1 asked, 2 done, 3 refused. A statement closes the exception then.
CREATE TABLE returns (
	exception_id BIGINT  PRIMARY KEY REFERENCES exceptions (id),
	refund_no    TEXT    NOT NULL UNIQUE CHECK (refund_no <> ''),
	amount_fen   BIGINT  NOT NULL CHECK (amount_fen > 0),
	state        BIGINT  NOT NULL DEFAULT 1 CHECK (state BETWEEN 1 AND 3),
	reason       TEXT    NOT NULL CHECK (reason <> ''),
	by_one       TEXT    NOT NULL CHECK (by_one <> ''),
	by_two       TEXT    NOT NULL,
	asked_ms     BIGINT  NOT NULL,
	ended_ms     BIGINT,
	CHECK (by_one <> by_two),
	CHECK ((state = 1) = (ended_ms IS NULL))
);

-- What a merchant's day came to. Once it is here it does not change: what
-- comes later for that day is in a later one. owed_fen may be below zero.
-- swept is the entry up to which all of the account's postings are in a day.
-- entry_id pays it, together with other days of the merchant perhaps, and is
-- NULL if nothing was owed.
CREATE TABLE settlements (
	account     TEXT    NOT NULL REFERENCES accounts (account),
	day         TEXT    NOT NULL CHECK (day ~ '^[0-9]{4}-[0-9]{2}-[0-9]{2}$'),
	lines       BIGINT  NOT NULL CHECK (lines >= 0),
	late_lines  BIGINT  NOT NULL CHECK (late_lines BETWEEN 0 AND lines),
	sales_fen   BIGINT  NOT NULL,
	refunds_fen BIGINT  NOT NULL,
	owed_fen    BIGINT  NOT NULL CHECK (owed_fen = sales_fen - refunds_fen),
	swept       BIGINT  NOT NULL,
	closed_ms   BIGINT  NOT NULL,
	settled_ms  BIGINT,
	entry_id    BIGINT  REFERENCES entries (id),
	settled_by  TEXT    NOT NULL DEFAULT '',
	PRIMARY KEY (account, day),
	CHECK (settled_ms IS NOT NULL OR entry_id IS NULL),
	CHECK ((settled_ms IS NULL) = (settled_by = ''))
);
CREATE INDEX settlements_by_an_entry ON settlements (entry_id) WHERE entry_id IS NOT NULL;

-- In which day a merchant's posting is. late is true if its own was closed.
CREATE TABLE settlement_lines (
	account  TEXT    NOT NULL,
	entry_id BIGINT  NOT NULL REFERENCES entries (id),
	day      TEXT    NOT NULL,
	late     BOOLEAN NOT NULL,
	PRIMARY KEY (account, entry_id),
	FOREIGN KEY (account, day) REFERENCES settlements (account, day)
);

