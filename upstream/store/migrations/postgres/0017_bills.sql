-- What holders pay to billers, such as for the network. State 1 held, 2 sent, 3
-- checking, 4 paid, 5 released, 6 referred to people. In 1, 2, 3 and 6 the amount
-- is held on the account. Cause, of what was released: 1 the biller says no, 2 not
-- reached in time, 3 ended by the holder, 4 the biller has not booked it, 5 people
-- have found out.
CREATE TABLE bills (
	order_no    TEXT    PRIMARY KEY CHECK (order_no ~ '^[0-9A-Za-z_]{1,64}$'),
	terminal    TEXT    NOT NULL REFERENCES terminals (id),
	account     TEXT    NOT NULL REFERENCES accounts (account),
	biller      TEXT    NOT NULL CHECK (biller ~ '^[a-z0-9-]+$'),
	target      TEXT    NOT NULL CHECK (target <> ''), -- in the adapter's words
	title       TEXT    NOT NULL, -- in people's
	amount_fen  BIGINT  NOT NULL CHECK (amount_fen > 0),
	created_ms  BIGINT  NOT NULL,
	deadline_ms BIGINT  NOT NULL, -- until when it may be sent
	state       BIGINT  NOT NULL DEFAULT 1 CHECK (state BETWEEN 1 AND 6),
	cause       BIGINT  NOT NULL DEFAULT 0 CHECK (cause BETWEEN 0 AND 5),
	sent_ms     BIGINT, -- when the biller may first have heard of it
	record_no   TEXT    NOT NULL DEFAULT '', -- the biller's
	entry_id    BIGINT  UNIQUE REFERENCES entries (id),
	late        BOOLEAN NOT NULL DEFAULT false, -- paid after it was released
	tries       BIGINT  NOT NULL DEFAULT 0,
	next_ms     BIGINT, -- when to see to it again; NULL is never
	CHECK ((state = 4) = (entry_id IS NOT NULL)),
	CHECK (state NOT IN (2, 3, 4, 6) OR sent_ms IS NOT NULL)
);
CREATE INDEX bills_due ON bills (next_ms) WHERE next_ms IS NOT NULL;
CREATE INDEX bills_of_an_account ON bills (account, created_ms);
CREATE INDEX bills_on_an_account ON bills (account) WHERE state IN (1, 2, 3, 6);

-- What of a paid bill was given back to its account, and who has said so.
CREATE TABLE bill_refunds (
	order_no   TEXT    NOT NULL REFERENCES bills (order_no),
	refund_no  TEXT    NOT NULL CHECK (refund_no ~ '^[0-9A-Za-z_]{1,64}$'),
	amount_fen BIGINT  NOT NULL CHECK (amount_fen > 0),
	entry_id   BIGINT  NOT NULL UNIQUE REFERENCES entries (id),
	reason     TEXT    NOT NULL CHECK (reason <> ''),
	by_one     TEXT    NOT NULL CHECK (by_one <> ''),
	by_two     TEXT    NOT NULL CHECK (by_two <> ''),
	at_ms      BIGINT  NOT NULL,
	PRIMARY KEY (order_no, refund_no),
	CHECK (by_one <> by_two)
);
