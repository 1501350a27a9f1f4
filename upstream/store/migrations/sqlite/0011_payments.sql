-- Sales by the payer's own code, which a channel collects. State 1 created, 2
-- waiting, 3 checking, 4 paid, 5 closed, 6 returned. Cause, of what was closed:
-- 1 the code, 2 the payer, 3 the channel, 4 time. The code itself is not kept.
CREATE TABLE payments (
	order_no    TEXT    PRIMARY KEY CHECK (length(order_no) BETWEEN 1 AND 64 AND order_no NOT GLOB '*[^0-9A-Za-z_]*'),
	terminal    TEXT    NOT NULL REFERENCES terminals (id),
	merchant    TEXT    NOT NULL CHECK (merchant <> ''),
	amount_fen  INTEGER NOT NULL CHECK (amount_fen > 0),
	created_ms  INTEGER NOT NULL,
	expires_ms  INTEGER NOT NULL, -- when nobody waits any more
	state       INTEGER NOT NULL DEFAULT 1 CHECK (state BETWEEN 1 AND 6),
	cause       INTEGER NOT NULL DEFAULT 0 CHECK (cause BETWEEN 0 AND 4),
	trade_no    TEXT    NOT NULL DEFAULT '',
	paid_ms     INTEGER,
	mismatch    INTEGER NOT NULL DEFAULT 0 CHECK (mismatch IN (0, 1)), -- the channel has another amount
	tries       INTEGER NOT NULL DEFAULT 0,
	next_ms     INTEGER, -- when to ask the channel again; NULL is never
	CHECK ((state = 4) = (paid_ms IS NOT NULL))
) STRICT;
CREATE INDEX payments_due ON payments (next_ms) WHERE next_ms IS NOT NULL;

CREATE TRIGGER payments_keep_their_content BEFORE UPDATE ON payments
WHEN (OLD.order_no, OLD.terminal, OLD.merchant, OLD.amount_fen, OLD.created_ms, OLD.expires_ms)
	IS NOT (NEW.order_no, NEW.terminal, NEW.merchant, NEW.amount_fen, NEW.created_ms, NEW.expires_ms)
BEGIN SELECT RAISE(ABORT, 'store: a payment keeps its content'); END;

-- What was closed is given back if it comes all the same, and is never a sale.
CREATE TRIGGER payments_move_forward BEFORE UPDATE OF state ON payments
WHEN OLD.state <> NEW.state AND (OLD.state, NEW.state) NOT IN (VALUES
	(1, 2), (1, 3), (1, 4), (1, 5), (1, 6),
	(2, 3), (2, 4), (2, 5), (2, 6),
	(3, 4), (3, 5), (3, 6),
	(5, 6))
BEGIN SELECT RAISE(ABORT, 'store: a payment moves forward only'); END;

CREATE TRIGGER payments_are_never_deleted BEFORE DELETE ON payments
BEGIN SELECT RAISE(ABORT, 'store: payments are never deleted'); END;

-- What of a payment the channel is asked to give back, written down before it
-- is asked. State 1 asked, 2 done, 3 refused.
CREATE TABLE payment_refunds (
	order_no   TEXT    NOT NULL REFERENCES payments (order_no),
	refund_no  TEXT    NOT NULL CHECK (length(refund_no) BETWEEN 1 AND 64 AND refund_no NOT GLOB '*[^0-9A-Za-z_]*'),
	amount_fen INTEGER NOT NULL CHECK (amount_fen > 0),
	state      INTEGER NOT NULL DEFAULT 1 CHECK (state BETWEEN 1 AND 3),
	asked_ms   INTEGER NOT NULL,
	ended_ms   INTEGER,
	tries      INTEGER NOT NULL DEFAULT 0,
	next_ms    INTEGER,
	PRIMARY KEY (order_no, refund_no),
	CHECK ((state = 1) = (ended_ms IS NULL)),
	CHECK (state = 1 OR next_ms IS NULL)
) STRICT;
CREATE INDEX payment_refunds_due ON payment_refunds (next_ms) WHERE next_ms IS NOT NULL;

CREATE TRIGGER payment_refunds_are_of_what_was_paid BEFORE INSERT ON payment_refunds
WHEN NEW.amount_fen + (SELECT coalesce(sum(amount_fen), 0) FROM payment_refunds
		WHERE order_no = NEW.order_no AND state <> 3)
	> (SELECT coalesce(sum(amount_fen), 0) FROM payments WHERE order_no = NEW.order_no AND state = 4)
BEGIN SELECT RAISE(ABORT, 'store: more would be given back than was paid'); END;

CREATE TRIGGER payment_refunds_move_forward BEFORE UPDATE ON payment_refunds
WHEN OLD.state <> 1 OR (OLD.order_no, OLD.refund_no, OLD.amount_fen, OLD.asked_ms)
	IS NOT (NEW.order_no, NEW.refund_no, NEW.amount_fen, NEW.asked_ms)
BEGIN SELECT RAISE(ABORT, 'store: a refund of a payment moves forward only'); END;

CREATE TRIGGER payment_refunds_are_never_deleted BEFORE DELETE ON payment_refunds
BEGIN SELECT RAISE(ABORT, 'store: refunds of payments are never deleted'); END;

-- Which sales and refunds by code are booked, whichever entry said so first. A
-- terminal that was restored from a copy may say it again, under another number.
CREATE TABLE channel_bookings (
	terminal TEXT    NOT NULL REFERENCES terminals (id),
	ref      TEXT    NOT NULL CHECK (ref <> ''),
	journal  INTEGER NOT NULL REFERENCES journals (id),
	seq      INTEGER NOT NULL,
	PRIMARY KEY (terminal, ref)
) STRICT, WITHOUT ROWID;

CREATE TRIGGER channel_bookings_are_never_changed BEFORE UPDATE ON channel_bookings
BEGIN SELECT RAISE(ABORT, 'store: bookings of a channel are never changed'); END;
CREATE TRIGGER channel_bookings_are_never_deleted BEFORE DELETE ON channel_bookings
BEGIN SELECT RAISE(ABORT, 'store: bookings of a channel are never deleted'); END;
