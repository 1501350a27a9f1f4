-- The upstream's books, as in ../sqlite. Amounts are fen, times milliseconds
-- since 1970 UTC. Enumerations are spelled out in the package; none is ever
-- renumbered.
--
-- Only what CockroachDB, YugabyteDB and Citus take as well: there are no
-- triggers here. What SQLite's triggers promise is kept as follows.
--
--   entries, postings, offers, purse moves are never changed, nothing is ever
--   deleted, an order and a load keep their content: by what the program's
--   role may do, see schema.go
--   stamps of a card only grow: UNIQUE (card_no, stamp); the program takes the
--   next one with the card's row locked, and Verify compares their order
--   an entry is complete and sums to zero, a posting follows the balance, the
--   balance and the mirror are their sums, an order and a load move forward:
--   the program does it with the row locked, and Verify finds what breaks it
--
-- Numbers of rows come from sequences: they grow for what is written under one
-- lock, and have gaps.

CREATE TABLE terminals (
	id           TEXT    PRIMARY KEY CHECK (id <> ''),
	terminal_no  BYTEA   NOT NULL UNIQUE CHECK (length(terminal_no) = 6),
	fingerprint  BYTEA   NOT NULL CHECK (length(fingerprint) = 32), -- SHA-256 of its one good certificate
	added_ms     BIGINT  NOT NULL,
	revoked_ms   BIGINT,
	heard_ms     BIGINT,
	version      TEXT    NOT NULL DEFAULT '',
	drift_ms     BIGINT  NOT NULL DEFAULT 0,
	epoch        TEXT    NOT NULL DEFAULT '',
	journal_head BIGINT  NOT NULL DEFAULT 0
);

-- balance_fen is a projection: the sum of the account's postings.
CREATE TABLE accounts (
	account     TEXT   PRIMARY KEY CHECK (account <> ''),
	balance_fen BIGINT NOT NULL DEFAULT 0
);

-- No ID number is kept. The PIN is Argon2id of a keyed MAC, see the server.
CREATE TABLE holders (
	account   TEXT   PRIMARY KEY REFERENCES accounts (account),
	name      TEXT   NOT NULL,
	number    TEXT   NOT NULL UNIQUE,
	pin_salt  BYTEA  NOT NULL CHECK (length(pin_salt) = 16),
	pin_hash  BYTEA  NOT NULL CHECK (length(pin_hash) = 32),
	pin_wrong BIGINT NOT NULL DEFAULT 0 CHECK (pin_wrong BETWEEN 0 AND 5)
);

-- mirror_fen is a projection: the sum of the card's purse moves, which is what
-- its purse holds by all movements that we know.
CREATE TABLE cards (
	card_no    TEXT   PRIMARY KEY CHECK (card_no ~ '^[0-9A-F]{20}$'),
	account    TEXT   NOT NULL REFERENCES holders (account),
	factor     BYTEA  NOT NULL CHECK (length(factor) = 8),
	uid        TEXT   NOT NULL,
	status     BIGINT NOT NULL CHECK (status IN (1, 2, 4)),
	mirror_fen BIGINT NOT NULL DEFAULT 0
);
CREATE INDEX cards_of_an_account ON cards (account);

-- State 1 created, 2 waiting, 3 checking, 4 paid, 5 closed, 6 returned.
CREATE TABLE orders (
	order_no    TEXT    PRIMARY KEY CHECK (order_no ~ '^[0-9A-Za-z_]{1,64}$'),
	terminal    TEXT    NOT NULL REFERENCES terminals (id),
	card_no     TEXT    NOT NULL REFERENCES cards (card_no),
	account     TEXT    NOT NULL REFERENCES holders (account),
	amount_fen  BIGINT  NOT NULL CHECK (amount_fen > 0),
	created_ms  BIGINT  NOT NULL,
	expires_ms  BIGINT  NOT NULL,
	state       BIGINT  NOT NULL DEFAULT 1 CHECK (state BETWEEN 1 AND 6),
	qr          TEXT    NOT NULL DEFAULT '',
	trade_no    TEXT    NOT NULL DEFAULT '',
	paid_ms     BIGINT,
	late        BOOLEAN NOT NULL DEFAULT false,
	seen_ms     BIGINT, -- when its holder had surely been shown that it came late
	mismatch    BOOLEAN NOT NULL DEFAULT false, -- the channel has another amount
	tries       BIGINT  NOT NULL DEFAULT 0,
	next_ms     BIGINT, -- when to ask the channel again; NULL is never
	CHECK ((state = 4) = (paid_ms IS NOT NULL))
);
CREATE INDEX orders_due ON orders (next_ms) WHERE next_ms IS NOT NULL;
CREATE INDEX orders_of_an_account ON orders (account, state);

-- One row per movement of money between accounts. Kind as on the wire: 1
-- top-up, 3 refund, 4 purchase, 5 opening. lines is how many postings it has.
CREATE TABLE entries (
	id       BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
	kind     BIGINT NOT NULL CHECK (kind IN (1, 3, 4, 5)),
	order_no TEXT   REFERENCES orders (order_no),
	place    TEXT   NOT NULL,
	at_ms    BIGINT NOT NULL,
	lines    BIGINT NOT NULL CHECK (lines >= 2),
	CHECK (kind <> 1 OR order_no IS NOT NULL)
);
CREATE UNIQUE INDEX an_order_is_credited_once ON entries (order_no) WHERE kind = 1;

-- Credits are positive. balance_fen is the account's, after this posting.
CREATE TABLE postings (
	entry_id    BIGINT NOT NULL REFERENCES entries (id),
	account     TEXT   NOT NULL REFERENCES accounts (account),
	amount_fen  BIGINT NOT NULL CHECK (amount_fen <> 0),
	balance_fen BIGINT NOT NULL,
	PRIMARY KEY (entry_id, account)
);
CREATE INDEX postings_of_an_account ON postings (account, entry_id);

-- A load writes a card's purse up; no account moves. State 1 open, 2 written,
-- 3 not written. A load that is called not written may prove written later.
CREATE TABLE loads (
	load_id    TEXT   PRIMARY KEY CHECK (load_id ~ '^[0-9a-f]{32}$'),
	card_no    TEXT   NOT NULL REFERENCES cards (card_no),
	terminal   TEXT   NOT NULL REFERENCES terminals (id),
	amount_fen BIGINT NOT NULL CHECK (amount_fen > 0 AND amount_fen < 4294967296),
	order_no   TEXT   NOT NULL,
	created_ms BIGINT NOT NULL,
	state      BIGINT NOT NULL DEFAULT 1 CHECK (state BETWEEN 1 AND 3),
	claim      TEXT   NOT NULL DEFAULT '', -- what a terminal says without proof
	evidence   TEXT   NOT NULL DEFAULT '', -- what settled it
	settled_ms BIGINT,
	CHECK ((state = 1) = (settled_ms IS NULL))
);
CREATE INDEX loads_of_a_card ON loads (card_no, state);

-- Each offer that was answered with a MAC2. The MAC2 itself is not kept: it is
-- computed again from the offer and the stamp.
CREATE TABLE load_offers (
	id          BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
	load_id     TEXT   NOT NULL REFERENCES loads (load_id),
	card_no     TEXT   NOT NULL REFERENCES cards (card_no),
	balance     BIGINT NOT NULL CHECK (balance BETWEEN 0 AND 4294967295),
	counter     BIGINT NOT NULL CHECK (counter BETWEEN 0 AND 65535),
	key_version BIGINT NOT NULL,
	algorithm   BIGINT NOT NULL,
	random      BYTEA  NOT NULL CHECK (length(random) = 4),
	mac1        BYTEA  NOT NULL CHECK (length(mac1) = 4),
	terminal_no BYTEA  NOT NULL CHECK (length(terminal_no) = 6),
	stamp       BYTEA  NOT NULL CHECK (length(stamp) = 7), -- BCD, Beijing
	UNIQUE (card_no, stamp)
);
CREATE INDEX offers_of_a_load ON load_offers (load_id);

-- Movements of a purse. Kind as on the wire: 2 load, 4 purchase, 5 opening.
-- balance_fen is the account's at that time, for the history.
CREATE TABLE purse_moves (
	id          BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
	card_no     TEXT   NOT NULL REFERENCES cards (card_no),
	kind        BIGINT NOT NULL CHECK (kind IN (2, 4, 5)),
	load_id     TEXT   UNIQUE REFERENCES loads (load_id), -- written at most once
	amount_fen  BIGINT NOT NULL,
	balance_fen BIGINT NOT NULL,
	place       TEXT   NOT NULL,
	at_ms       BIGINT NOT NULL,
	CHECK ((kind = 2) = (load_id IS NOT NULL)),
	CHECK (kind <> 2 OR amount_fen > 0)
);
CREATE INDEX moves_of_a_card ON purse_moves (card_no, at_ms);

-- Something that somebody has to look at. The same again only counts.
CREATE TABLE alarms (
	id       BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
	kind     TEXT   NOT NULL,
	ref      TEXT   NOT NULL,
	detail   TEXT   NOT NULL,
	first_ms BIGINT NOT NULL,
	last_ms  BIGINT NOT NULL,
	times    BIGINT NOT NULL DEFAULT 1,
	UNIQUE (kind, ref)
);
