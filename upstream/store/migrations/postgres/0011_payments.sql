-- Sales by the payer's own code, which a channel collects. State 1 created, 2
-- waiting, 3 checking, 4 paid, 5 closed, 6 returned. Cause, of what was closed:
-- 1 the code, 2 the payer, 3 the channel, 4 time. The code itself is not kept.
CREATE TABLE payments (
	order_no    TEXT    PRIMARY KEY CHECK (order_no ~ '^[0-9A-Za-z_]{1,64}$'),
	terminal    TEXT    NOT NULL REFERENCES terminals (id),
	merchant    TEXT    NOT NULL CHECK (merchant <> ''),
	amount_fen  BIGINT  NOT NULL CHECK (amount_fen > 0),
	created_ms  BIGINT  NOT NULL,
	expires_ms  BIGINT  NOT NULL, -- when nobody waits any more
	state       BIGINT  NOT NULL DEFAULT 1 CHECK (state BETWEEN 1 AND 6),
	cause       BIGINT  NOT NULL DEFAULT 0 CHECK (cause BETWEEN 0 AND 4),
	trade_no    TEXT    NOT NULL DEFAULT '',
	paid_ms     BIGINT,
	mismatch    BOOLEAN NOT NULL DEFAULT false, -- the channel has another amount
	tries       BIGINT  NOT NULL DEFAULT 0,
	next_ms     BIGINT, -- when to ask the channel again; NULL is never
	CHECK ((state = 4) = (paid_ms IS NOT NULL))
);
CREATE INDEX payments_due ON payments (next_ms) WHERE next_ms IS NOT NULL;

-- What of a payment the channel is asked to give back, written down before it
-- is asked. State 1 asked, 2 done, 3 refused.
CREATE TABLE payment_refunds (
	order_no   TEXT   NOT NULL REFERENCES payments (order_no),
	refund_no  TEXT   NOT NULL CHECK (refund_no ~ '^[0-9A-Za-z_]{1,64}$'),
	amount_fen BIGINT NOT NULL CHECK (amount_fen > 0),
	state      BIGINT NOT NULL DEFAULT 1 CHECK (state BETWEEN 1 AND 3),
	asked_ms   BIGINT NOT NULL,
	ended_ms   BIGINT,
	tries      BIGINT NOT NULL DEFAULT 0,
	next_ms    BIGINT,
	PRIMARY KEY (order_no, refund_no),
	CHECK ((state = 1) = (ended_ms IS NULL)),
	CHECK (state = 1 OR next_ms IS NULL)
);
CREATE INDEX payment_refunds_due ON payment_refunds (next_ms) WHERE next_ms IS NOT NULL;

-- Which sales and refunds by code are booked, whichever entry said so first. A
-- terminal that was restored from a copy may say it again, under another number.
CREATE TABLE channel_bookings (
	terminal TEXT   NOT NULL REFERENCES terminals (id),
	ref      TEXT   NOT NULL CHECK (ref <> ''),
	journal  BIGINT NOT NULL REFERENCES journals (id),
	seq      BIGINT NOT NULL,
	PRIMARY KEY (terminal, ref)
);
