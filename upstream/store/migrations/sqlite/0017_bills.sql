-- What holders pay to billers, such as for the network. State 1 held, 2 sent, 3
-- checking, 4 paid, 5 released, 6 referred to people. In 1, 2, 3 and 6 the amount
-- is held on the account. Cause, of what was released: 1 the biller says no, 2 not
-- reached in time, 3 ended by the holder, 4 the biller has not booked it, 5 people
-- have found out.
CREATE TABLE bills (
	order_no    TEXT    PRIMARY KEY CHECK (length(order_no) BETWEEN 1 AND 64 AND order_no NOT GLOB '*[^0-9A-Za-z_]*'),
	terminal    TEXT    NOT NULL REFERENCES terminals (id),
	account     TEXT    NOT NULL REFERENCES accounts (account),
	biller      TEXT    NOT NULL CHECK (biller <> '' AND biller NOT GLOB '*[^a-z0-9-]*'),
	target      TEXT    NOT NULL CHECK (target <> ''), -- in the adapter's words
	title       TEXT    NOT NULL, -- in people's
	amount_fen  INTEGER NOT NULL CHECK (amount_fen > 0),
	created_ms  INTEGER NOT NULL,
	deadline_ms INTEGER NOT NULL, -- until when it may be sent
	state       INTEGER NOT NULL DEFAULT 1 CHECK (state BETWEEN 1 AND 6),
	cause       INTEGER NOT NULL DEFAULT 0 CHECK (cause BETWEEN 0 AND 5),
	sent_ms     INTEGER, -- when the biller may first have heard of it
	record_no   TEXT    NOT NULL DEFAULT '', -- the biller's
	entry_id    INTEGER UNIQUE REFERENCES entries (id),
	late        INTEGER NOT NULL DEFAULT 0 CHECK (late IN (0, 1)), -- paid after it was released
	tries       INTEGER NOT NULL DEFAULT 0,
	next_ms     INTEGER, -- when to see to it again; NULL is never
	CHECK ((state = 4) = (entry_id IS NOT NULL)),
	CHECK (state NOT IN (2, 3, 4, 6) OR sent_ms IS NOT NULL)
) STRICT;
CREATE INDEX bills_due ON bills (next_ms) WHERE next_ms IS NOT NULL;
CREATE INDEX bills_of_an_account ON bills (account, created_ms);
CREATE INDEX bills_on_an_account ON bills (account) WHERE state IN (1, 2, 3, 6);

CREATE TRIGGER bills_begin_unpaid BEFORE INSERT ON bills
WHEN NEW.state NOT IN (1, 5) OR NEW.sent_ms IS NOT NULL
BEGIN SELECT RAISE(ABORT, 'store: a bill begins unpaid'); END;

CREATE TRIGGER bills_keep_their_content BEFORE UPDATE ON bills
WHEN (OLD.order_no, OLD.terminal, OLD.account, OLD.biller, OLD.target, OLD.title, OLD.amount_fen, OLD.created_ms,
		OLD.deadline_ms)
	IS NOT (NEW.order_no, NEW.terminal, NEW.account, NEW.biller, NEW.target, NEW.title, NEW.amount_fen, NEW.created_ms,
		NEW.deadline_ms)
BEGIN SELECT RAISE(ABORT, 'store: a bill keeps its content'); END;

-- One that was sent goes back to held only when it has certainly not left.
CREATE TRIGGER bills_move_forward BEFORE UPDATE OF state, entry_id ON bills
WHEN OLD.state <> NEW.state AND (OLD.state, NEW.state) NOT IN (VALUES
		(1, 2), (1, 5),
		(2, 1), (2, 3), (2, 4), (2, 5), (2, 6),
		(3, 4), (3, 5), (3, 6),
		(5, 4),
		(6, 4), (6, 5))
	OR OLD.entry_id IS NOT NULL AND OLD.entry_id IS NOT NEW.entry_id
	OR OLD.state = 5 AND NEW.state = 4 AND OLD.sent_ms IS NULL
BEGIN SELECT RAISE(ABORT, 'store: a bill moves forward only'); END;

-- What is paid is one movement of the same amount, from the account to the biller.
CREATE TRIGGER bills_are_paid_by_their_entry BEFORE UPDATE OF entry_id ON bills
WHEN NEW.entry_id IS NOT NULL AND NOT EXISTS (SELECT 1 FROM entries e WHERE e.id = NEW.entry_id AND e.kind = 16
	AND e.debit = NEW.account AND e.credit = 'biller/' || NEW.biller AND e.amount_fen = NEW.amount_fen)
BEGIN SELECT RAISE(ABORT, 'store: this entry does not pay this bill'); END;

CREATE TRIGGER bills_are_never_deleted BEFORE DELETE ON bills
BEGIN SELECT RAISE(ABORT, 'store: bills are never deleted'); END;

-- What of a paid bill was given back to its account, and who has said so.
CREATE TABLE bill_refunds (
	order_no   TEXT    NOT NULL REFERENCES bills (order_no),
	refund_no  TEXT    NOT NULL CHECK (length(refund_no) BETWEEN 1 AND 64 AND refund_no NOT GLOB '*[^0-9A-Za-z_]*'),
	amount_fen INTEGER NOT NULL CHECK (amount_fen > 0),
	entry_id   INTEGER NOT NULL UNIQUE REFERENCES entries (id),
	reason     TEXT    NOT NULL CHECK (reason <> ''),
	by_one     TEXT    NOT NULL CHECK (by_one <> ''),
	by_two     TEXT    NOT NULL CHECK (by_two <> ''),
	at_ms      INTEGER NOT NULL,
	PRIMARY KEY (order_no, refund_no),
	CHECK (by_one <> by_two)
) STRICT;

CREATE TRIGGER bill_refunds_are_of_what_was_paid BEFORE INSERT ON bill_refunds
WHEN NEW.amount_fen + (SELECT coalesce(sum(amount_fen), 0) FROM bill_refunds WHERE order_no = NEW.order_no)
	> (SELECT coalesce(sum(amount_fen), 0) FROM bills WHERE order_no = NEW.order_no AND state = 4)
BEGIN SELECT RAISE(ABORT, 'store: more would be given back than was paid'); END;
CREATE TRIGGER bill_refunds_are_never_changed BEFORE UPDATE ON bill_refunds
BEGIN SELECT RAISE(ABORT, 'store: refunds of bills are never changed'); END;
CREATE TRIGGER bill_refunds_are_never_deleted BEFORE DELETE ON bill_refunds
BEGIN SELECT RAISE(ABORT, 'store: refunds of bills are never deleted'); END;
