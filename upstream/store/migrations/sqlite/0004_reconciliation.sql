-- What is compared with the books of others, and what merchants are owed. Days
-- are those of the calendar in Beijing, written 2026-03-01.

-- What a source says of a day: a channel's bill, a biller's records. Another
-- opinion of the same day supersedes the one before. absent is 1 where the
-- source had none and we have nothing of that day either.
CREATE TABLE statements (
	id            INTEGER PRIMARY KEY,
	source        TEXT    NOT NULL CHECK (source <> ''),
	day           TEXT    NOT NULL CHECK (day GLOB '[0-9][0-9][0-9][0-9]-[0-9][0-9]-[0-9][0-9]'),
	absent        INTEGER NOT NULL CHECK (absent IN (0, 1)),
	digest        BLOB    NOT NULL CHECK (length(digest) = 32), -- SHA-256 of its lines
	lines         INTEGER NOT NULL CHECK (lines >= 0),
	paid_fen      INTEGER NOT NULL,
	returned_fen  INTEGER NOT NULL,
	fee_fen       INTEGER NOT NULL,
	read_ms       INTEGER NOT NULL,
	compared_ms   INTEGER, -- when it was last compared with our books
	superseded_ms INTEGER,
	CHECK (absent = 0 OR lines = 0)
) STRICT;
CREATE UNIQUE INDEX a_day_has_one_statement ON statements (source, day) WHERE superseded_ms IS NULL;

CREATE TRIGGER statements_keep_their_content BEFORE UPDATE ON statements
WHEN OLD.superseded_ms IS NOT NULL
	OR (OLD.id, OLD.source, OLD.day, OLD.absent, OLD.digest, OLD.lines, OLD.paid_fen, OLD.returned_fen, OLD.fee_fen,
		OLD.read_ms)
	IS NOT (NEW.id, NEW.source, NEW.day, NEW.absent, NEW.digest, NEW.lines, NEW.paid_fen, NEW.returned_fen,
		NEW.fee_fen, NEW.read_ms)
BEGIN SELECT RAISE(ABORT, 'store: a statement keeps its content'); END;
CREATE TRIGGER statements_are_never_deleted BEFORE DELETE ON statements
BEGIN SELECT RAISE(ABORT, 'store: statements are never deleted'); END;

-- about is the order, or for a line without one the trade. Kind 1 payment, 2
-- refund.
CREATE TABLE statement_lines (
	statement  INTEGER NOT NULL REFERENCES statements (id),
	line       INTEGER NOT NULL CHECK (line > 0),
	about      TEXT    NOT NULL,
	kind       INTEGER NOT NULL CHECK (kind IN (1, 2)),
	order_no   TEXT    NOT NULL,
	refund_no  TEXT    NOT NULL,
	trade_no   TEXT    NOT NULL,
	amount_fen INTEGER NOT NULL CHECK (amount_fen > 0),
	fee_fen    INTEGER NOT NULL,
	at_ms      INTEGER NOT NULL,
	PRIMARY KEY (statement, line)
) STRICT, WITHOUT ROWID;
CREATE INDEX statement_lines_about ON statement_lines (about);

CREATE TRIGGER statement_lines_are_never_changed BEFORE UPDATE ON statement_lines
BEGIN SELECT RAISE(ABORT, 'store: lines of statements are never changed'); END;
CREATE TRIGGER statement_lines_are_never_deleted BEFORE DELETE ON statement_lines
BEGIN SELECT RAISE(ABORT, 'store: lines of statements are never deleted'); END;

-- Our own side: the postings on a source's account, by what they are about,
-- '' for what no statement has a line of. A projection of the ledger that goes
-- as far as somebody has compared. at_ms is when it moved by the source's
-- clock, where we know.
CREATE TABLE movements (
	account    TEXT    NOT NULL REFERENCES accounts (account),
	entry_id   INTEGER NOT NULL REFERENCES entries (id),
	about      TEXT    NOT NULL,
	refund_no  TEXT    NOT NULL,
	amount_fen INTEGER NOT NULL CHECK (amount_fen <> 0), -- as posted
	at_ms      INTEGER NOT NULL,
	PRIMARY KEY (account, entry_id)
) STRICT, WITHOUT ROWID;
CREATE INDEX movements_about ON movements (account, about);
CREATE INDEX movements_in_time ON movements (account, at_ms);

CREATE TRIGGER movements_are_never_changed BEFORE UPDATE ON movements
BEGIN SELECT RAISE(ABORT, 'store: movements are never changed'); END;
CREATE TRIGGER movements_are_never_deleted BEFORE DELETE ON movements
BEGIN SELECT RAISE(ABORT, 'store: movements are never deleted'); END;

-- A line of the inbox that is a difference with a source: what it is about, by
-- how much more has come in by the source's books, and what the text of its
-- next step needs, as JSON.
CREATE TABLE differences (
	exception_id INTEGER PRIMARY KEY REFERENCES exceptions (id),
	source       TEXT    NOT NULL,
	about        TEXT    NOT NULL,
	gap_fen      INTEGER NOT NULL CHECK (gap_fen <> 0),
	params       TEXT    NOT NULL
) STRICT;
CREATE INDEX differences_about ON differences (source, about);

CREATE TRIGGER differences_are_never_changed BEFORE UPDATE ON differences
BEGIN SELECT RAISE(ABORT, 'store: differences are never changed'); END;
CREATE TRIGGER differences_are_never_deleted BEFORE DELETE ON differences
BEGIN SELECT RAISE(ABORT, 'store: differences are never deleted'); END;

-- An entry by which people have closed an exception, and who. Kind 1 assigned
-- to a holder, 2 written off, 3 explained by an entry that was there.
CREATE TABLE corrections (
	exception_id INTEGER PRIMARY KEY REFERENCES exceptions (id),
	entry_id     INTEGER NOT NULL REFERENCES entries (id),
	kind         INTEGER NOT NULL CHECK (kind BETWEEN 1 AND 3),
	reason       TEXT    NOT NULL CHECK (reason <> ''),
	by_one       TEXT    NOT NULL CHECK (by_one <> ''),
	by_two       TEXT    NOT NULL,
	at_ms        INTEGER NOT NULL,
	CHECK (by_one <> by_two),
	CHECK (kind <> 2 OR by_two <> '')
) STRICT;
CREATE INDEX corrections_by_an_entry ON corrections (entry_id);

CREATE TRIGGER corrections_are_never_changed BEFORE UPDATE ON corrections
BEGIN SELECT RAISE(ABORT, 'store: corrections are never changed'); END;
CREATE TRIGGER corrections_are_never_deleted BEFORE DELETE ON corrections
BEGIN SELECT RAISE(ABORT, 'store: corrections are never deleted'); END;

-- Money that a source is asked to give back, written down before it is asked.
-- State 1 asked, 2 done, 3 refused. A statement closes the exception then.
CREATE TABLE returns (
	exception_id INTEGER PRIMARY KEY REFERENCES exceptions (id),
	refund_no    TEXT    NOT NULL UNIQUE CHECK (refund_no <> ''),
	amount_fen   INTEGER NOT NULL CHECK (amount_fen > 0),
	state        INTEGER NOT NULL DEFAULT 1 CHECK (state BETWEEN 1 AND 3),
	reason       TEXT    NOT NULL CHECK (reason <> ''),
	by_one       TEXT    NOT NULL CHECK (by_one <> ''),
	by_two       TEXT    NOT NULL,
	asked_ms     INTEGER NOT NULL,
	ended_ms     INTEGER,
	CHECK (by_one <> by_two),
	CHECK ((state = 1) = (ended_ms IS NULL))
) STRICT;

CREATE TRIGGER returns_move_forward BEFORE UPDATE ON returns
WHEN OLD.state <> 1 OR (OLD.exception_id, OLD.refund_no, OLD.amount_fen, OLD.reason, OLD.by_one, OLD.by_two,
		OLD.asked_ms)
	IS NOT (NEW.exception_id, NEW.refund_no, NEW.amount_fen, NEW.reason, NEW.by_one, NEW.by_two, NEW.asked_ms)
BEGIN SELECT RAISE(ABORT, 'store: a return moves forward only'); END;
CREATE TRIGGER returns_are_never_deleted BEFORE DELETE ON returns
BEGIN SELECT RAISE(ABORT, 'store: returns are never deleted'); END;

-- What a merchant's day came to. Once it is here it does not change: what
-- comes later for that day is in a later one. owed_fen may be below zero.
-- swept is the entry up to which all of the account's postings are in a day.
-- entry_id pays it, together with other days of the merchant perhaps, and is
-- NULL if nothing was owed.
CREATE TABLE settlements (
	account     TEXT    NOT NULL REFERENCES accounts (account),
	day         TEXT    NOT NULL CHECK (day GLOB '[0-9][0-9][0-9][0-9]-[0-9][0-9]-[0-9][0-9]'),
	lines       INTEGER NOT NULL CHECK (lines >= 0),
	late_lines  INTEGER NOT NULL CHECK (late_lines BETWEEN 0 AND lines),
	sales_fen   INTEGER NOT NULL,
	refunds_fen INTEGER NOT NULL,
	owed_fen    INTEGER NOT NULL CHECK (owed_fen = sales_fen - refunds_fen),
	swept       INTEGER NOT NULL,
	closed_ms   INTEGER NOT NULL,
	settled_ms  INTEGER,
	entry_id    INTEGER REFERENCES entries (id),
	settled_by  TEXT    NOT NULL DEFAULT '',
	PRIMARY KEY (account, day),
	CHECK (settled_ms IS NOT NULL OR entry_id IS NULL),
	CHECK ((settled_ms IS NULL) = (settled_by = ''))
) STRICT, WITHOUT ROWID;
CREATE INDEX settlements_by_an_entry ON settlements (entry_id) WHERE entry_id IS NOT NULL;

CREATE TRIGGER settlements_keep_their_content BEFORE UPDATE ON settlements
WHEN OLD.settled_ms IS NOT NULL
	OR (OLD.account, OLD.day, OLD.lines, OLD.late_lines, OLD.sales_fen, OLD.refunds_fen, OLD.swept, OLD.closed_ms)
	IS NOT (NEW.account, NEW.day, NEW.lines, NEW.late_lines, NEW.sales_fen, NEW.refunds_fen, NEW.swept,
		NEW.closed_ms)
BEGIN SELECT RAISE(ABORT, 'store: a closed day does not change'); END;
CREATE TRIGGER settlements_are_never_deleted BEFORE DELETE ON settlements
BEGIN SELECT RAISE(ABORT, 'store: settlements are never deleted'); END;

-- In which day a merchant's posting is. late is 1 if its own was closed.
CREATE TABLE settlement_lines (
	account  TEXT    NOT NULL,
	entry_id INTEGER NOT NULL REFERENCES entries (id),
	day      TEXT    NOT NULL,
	late     INTEGER NOT NULL CHECK (late IN (0, 1)),
	PRIMARY KEY (account, entry_id),
	FOREIGN KEY (account, day) REFERENCES settlements (account, day)
) STRICT, WITHOUT ROWID;

CREATE TRIGGER settlement_lines_are_never_changed BEFORE UPDATE ON settlement_lines
BEGIN SELECT RAISE(ABORT, 'store: lines of settlements are never changed'); END;
CREATE TRIGGER settlement_lines_are_never_deleted BEFORE DELETE ON settlement_lines
BEGIN SELECT RAISE(ABORT, 'store: lines of settlements are never deleted'); END;
