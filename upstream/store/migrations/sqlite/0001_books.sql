-- The upstream's books. Amounts are fen, times milliseconds since 1970 UTC.
-- Enumerations are spelled out in the package; none is ever renumbered.

CREATE TABLE terminals (
	id           TEXT    PRIMARY KEY CHECK (id <> ''),
	terminal_no  BLOB    NOT NULL UNIQUE CHECK (length(terminal_no) = 6),
	fingerprint  BLOB    NOT NULL CHECK (length(fingerprint) = 32), -- SHA-256 of its one good certificate
	added_ms     INTEGER NOT NULL,
	revoked_ms   INTEGER,
	heard_ms     INTEGER,
	version      TEXT    NOT NULL DEFAULT '',
	drift_ms     INTEGER NOT NULL DEFAULT 0,
	epoch        TEXT    NOT NULL DEFAULT '',
	journal_head INTEGER NOT NULL DEFAULT 0
) STRICT;

-- balance_fen is a projection: the sum of the account's postings.
CREATE TABLE accounts (
	account     TEXT    PRIMARY KEY CHECK (account <> ''),
	balance_fen INTEGER NOT NULL DEFAULT 0
) STRICT;

-- No ID number is kept. The PIN is Argon2id of a keyed MAC, see the server.
CREATE TABLE holders (
	account   TEXT    PRIMARY KEY REFERENCES accounts (account),
	name      TEXT    NOT NULL,
	number    TEXT    NOT NULL UNIQUE,
	pin_salt  BLOB    NOT NULL CHECK (length(pin_salt) = 16),
	pin_hash  BLOB    NOT NULL CHECK (length(pin_hash) = 32),
	pin_wrong INTEGER NOT NULL DEFAULT 0 CHECK (pin_wrong BETWEEN 0 AND 5)
) STRICT;

-- mirror_fen is a projection: the sum of the card's purse moves, which is what
-- its purse holds by all movements that we know.
CREATE TABLE cards (
	card_no    TEXT    PRIMARY KEY CHECK (length(card_no) = 20 AND card_no NOT GLOB '*[^0-9A-F]*'),
	account    TEXT    NOT NULL REFERENCES holders (account),
	factor     BLOB    NOT NULL CHECK (length(factor) = 8),
	uid        TEXT    NOT NULL,
	status     INTEGER NOT NULL CHECK (status IN (1, 2, 4)),
	mirror_fen INTEGER NOT NULL DEFAULT 0
) STRICT;
CREATE INDEX cards_of_an_account ON cards (account);

-- State 1 created, 2 waiting, 3 checking, 4 paid, 5 closed, 6 returned.
CREATE TABLE orders (
	order_no    TEXT    PRIMARY KEY CHECK (length(order_no) BETWEEN 1 AND 64 AND order_no NOT GLOB '*[^0-9A-Za-z_]*'),
	terminal    TEXT    NOT NULL REFERENCES terminals (id),
	card_no     TEXT    NOT NULL REFERENCES cards (card_no),
	account     TEXT    NOT NULL REFERENCES holders (account),
	amount_fen  INTEGER NOT NULL CHECK (amount_fen > 0),
	created_ms  INTEGER NOT NULL,
	expires_ms  INTEGER NOT NULL,
	state       INTEGER NOT NULL DEFAULT 1 CHECK (state BETWEEN 1 AND 6),
	qr          TEXT    NOT NULL DEFAULT '',
	trade_no    TEXT    NOT NULL DEFAULT '',
	paid_ms     INTEGER,
	late        INTEGER NOT NULL DEFAULT 0 CHECK (late IN (0, 1)),
	seen_ms     INTEGER, -- when its holder had surely been shown that it came late
	mismatch    INTEGER NOT NULL DEFAULT 0 CHECK (mismatch IN (0, 1)), -- the channel has another amount
	tries       INTEGER NOT NULL DEFAULT 0,
	next_ms     INTEGER, -- when to ask the channel again; NULL is never
	CHECK ((state = 4) = (paid_ms IS NOT NULL))
) STRICT;
CREATE INDEX orders_due ON orders (next_ms) WHERE next_ms IS NOT NULL;
CREATE INDEX orders_of_an_account ON orders (account, state);

CREATE TRIGGER orders_keep_their_content BEFORE UPDATE ON orders
WHEN (OLD.order_no, OLD.terminal, OLD.card_no, OLD.account, OLD.amount_fen, OLD.created_ms)
	IS NOT (NEW.order_no, NEW.terminal, NEW.card_no, NEW.account, NEW.amount_fen, NEW.created_ms)
BEGIN SELECT RAISE(ABORT, 'store: an order keeps its content'); END;

CREATE TRIGGER orders_move_forward BEFORE UPDATE OF state ON orders
WHEN OLD.state <> NEW.state AND (OLD.state, NEW.state) NOT IN (VALUES
	(1, 2), (1, 3), (1, 4), (1, 5), (1, 6),
	(2, 3), (2, 4), (2, 5), (2, 6),
	(3, 4), (3, 5), (3, 6),
	(5, 3), (5, 4), (5, 6))
BEGIN SELECT RAISE(ABORT, 'store: an order moves forward only'); END;

CREATE TRIGGER orders_are_never_deleted BEFORE DELETE ON orders
BEGIN SELECT RAISE(ABORT, 'store: orders are never deleted'); END;

-- One row per movement of money between accounts. Kind as on the wire: 1
-- top-up, 3 refund, 4 purchase, 5 opening. lines is how many postings it has.
CREATE TABLE entries (
	id       INTEGER PRIMARY KEY,
	kind     INTEGER NOT NULL CHECK (kind IN (1, 3, 4, 5)),
	order_no TEXT    REFERENCES orders (order_no),
	place    TEXT    NOT NULL,
	at_ms    INTEGER NOT NULL,
	lines    INTEGER NOT NULL CHECK (lines >= 2),
	CHECK (kind <> 1 OR order_no IS NOT NULL)
) STRICT;
CREATE UNIQUE INDEX an_order_is_credited_once ON entries (order_no) WHERE kind = 1;

-- Credits are positive. balance_fen is the account's, after this posting.
CREATE TABLE postings (
	entry_id    INTEGER NOT NULL REFERENCES entries (id),
	account     TEXT    NOT NULL REFERENCES accounts (account),
	amount_fen  INTEGER NOT NULL CHECK (amount_fen <> 0),
	balance_fen INTEGER NOT NULL,
	PRIMARY KEY (entry_id, account)
) STRICT;
CREATE INDEX postings_of_an_account ON postings (account, entry_id);

CREATE TRIGGER entries_are_complete BEFORE INSERT ON postings
WHEN (SELECT count(*) FROM postings WHERE entry_id = NEW.entry_id)
	>= (SELECT lines FROM entries WHERE id = NEW.entry_id)
BEGIN SELECT RAISE(ABORT, 'store: this entry is complete'); END;

CREATE TRIGGER postings_follow_the_balance BEFORE INSERT ON postings
WHEN NEW.balance_fen <> NEW.amount_fen + (SELECT balance_fen FROM accounts WHERE account = NEW.account)
BEGIN SELECT RAISE(ABORT, 'store: this posting does not follow the balance'); END;

CREATE TRIGGER postings_make_the_balance AFTER INSERT ON postings
BEGIN
	UPDATE accounts SET balance_fen = balance_fen + NEW.amount_fen WHERE account = NEW.account;
	SELECT RAISE(ABORT, 'store: this entry does not sum to zero')
	FROM (SELECT count(*) AS n, sum(amount_fen) AS total FROM postings WHERE entry_id = NEW.entry_id)
	WHERE n = (SELECT lines FROM entries WHERE id = NEW.entry_id) AND total <> 0;
END;

CREATE TRIGGER entries_are_never_changed BEFORE UPDATE ON entries
BEGIN SELECT RAISE(ABORT, 'store: entries are never changed'); END;
CREATE TRIGGER entries_are_never_deleted BEFORE DELETE ON entries
BEGIN SELECT RAISE(ABORT, 'store: entries are never deleted'); END;
CREATE TRIGGER postings_are_never_changed BEFORE UPDATE ON postings
BEGIN SELECT RAISE(ABORT, 'store: postings are never changed'); END;
CREATE TRIGGER postings_are_never_deleted BEFORE DELETE ON postings
BEGIN SELECT RAISE(ABORT, 'store: postings are never deleted'); END;

-- A load writes a card's purse up; no account moves. State 1 open, 2 written,
-- 3 not written. A load that is called not written may prove written later.
CREATE TABLE loads (
	load_id    TEXT    PRIMARY KEY CHECK (length(load_id) = 32 AND load_id NOT GLOB '*[^0-9a-f]*'),
	card_no    TEXT    NOT NULL REFERENCES cards (card_no),
	terminal   TEXT    NOT NULL REFERENCES terminals (id),
	amount_fen INTEGER NOT NULL CHECK (amount_fen > 0 AND amount_fen < 4294967296),
	order_no   TEXT    NOT NULL,
	created_ms INTEGER NOT NULL,
	state      INTEGER NOT NULL DEFAULT 1 CHECK (state BETWEEN 1 AND 3),
	claim      TEXT    NOT NULL DEFAULT '', -- what a terminal says without proof
	evidence   TEXT    NOT NULL DEFAULT '', -- what settled it
	settled_ms INTEGER,
	CHECK ((state = 1) = (settled_ms IS NULL))
) STRICT;
CREATE INDEX loads_of_a_card ON loads (card_no, state);

CREATE TRIGGER loads_keep_their_content BEFORE UPDATE ON loads
WHEN (OLD.load_id, OLD.card_no, OLD.terminal, OLD.amount_fen, OLD.order_no, OLD.created_ms)
	IS NOT (NEW.load_id, NEW.card_no, NEW.terminal, NEW.amount_fen, NEW.order_no, NEW.created_ms)
BEGIN SELECT RAISE(ABORT, 'store: a load keeps its content'); END;

CREATE TRIGGER loads_move_forward BEFORE UPDATE OF state ON loads
WHEN OLD.state <> NEW.state AND (OLD.state, NEW.state) NOT IN (VALUES (1, 2), (1, 3), (3, 2), (3, 1))
BEGIN SELECT RAISE(ABORT, 'store: a load moves forward only'); END;

CREATE TRIGGER loads_are_never_deleted BEFORE DELETE ON loads
BEGIN SELECT RAISE(ABORT, 'store: loads are never deleted'); END;

-- Each offer that was answered with a MAC2. The MAC2 itself is not kept: it is
-- computed again from the offer and the stamp.
CREATE TABLE load_offers (
	id          INTEGER PRIMARY KEY,
	load_id     TEXT    NOT NULL REFERENCES loads (load_id),
	card_no     TEXT    NOT NULL REFERENCES cards (card_no),
	balance     INTEGER NOT NULL CHECK (balance BETWEEN 0 AND 4294967295),
	counter     INTEGER NOT NULL CHECK (counter BETWEEN 0 AND 65535),
	key_version INTEGER NOT NULL,
	algorithm   INTEGER NOT NULL,
	random      BLOB    NOT NULL CHECK (length(random) = 4),
	mac1        BLOB    NOT NULL CHECK (length(mac1) = 4),
	terminal_no BLOB    NOT NULL CHECK (length(terminal_no) = 6),
	stamp       BLOB    NOT NULL CHECK (length(stamp) = 7), -- BCD, Beijing
	UNIQUE (card_no, stamp)
) STRICT;
CREATE INDEX offers_of_a_load ON load_offers (load_id);

CREATE TRIGGER stamps_only_grow BEFORE INSERT ON load_offers
WHEN NEW.stamp <= (SELECT max(stamp) FROM load_offers WHERE card_no = NEW.card_no)
BEGIN SELECT RAISE(ABORT, 'store: stamps of a card only grow'); END;
CREATE TRIGGER offers_are_never_changed BEFORE UPDATE ON load_offers
BEGIN SELECT RAISE(ABORT, 'store: offers are never changed'); END;
CREATE TRIGGER offers_are_never_deleted BEFORE DELETE ON load_offers
BEGIN SELECT RAISE(ABORT, 'store: offers are never deleted'); END;

-- Movements of a purse. Kind as on the wire: 2 load, 4 purchase, 5 opening.
-- balance_fen is the account's at that time, for the history.
CREATE TABLE purse_moves (
	id          INTEGER PRIMARY KEY,
	card_no     TEXT    NOT NULL REFERENCES cards (card_no),
	kind        INTEGER NOT NULL CHECK (kind IN (2, 4, 5)),
	load_id     TEXT    UNIQUE REFERENCES loads (load_id), -- written at most once
	amount_fen  INTEGER NOT NULL,
	balance_fen INTEGER NOT NULL,
	place       TEXT    NOT NULL,
	at_ms       INTEGER NOT NULL,
	CHECK ((kind = 2) = (load_id IS NOT NULL)),
	CHECK (kind <> 2 OR amount_fen > 0)
) STRICT;
CREATE INDEX moves_of_a_card ON purse_moves (card_no, at_ms);

CREATE TRIGGER moves_make_the_mirror AFTER INSERT ON purse_moves
BEGIN UPDATE cards SET mirror_fen = mirror_fen + NEW.amount_fen WHERE card_no = NEW.card_no; END;
CREATE TRIGGER moves_are_never_changed BEFORE UPDATE ON purse_moves
BEGIN SELECT RAISE(ABORT, 'store: purse moves are never changed'); END;
CREATE TRIGGER moves_are_never_deleted BEFORE DELETE ON purse_moves
BEGIN SELECT RAISE(ABORT, 'store: purse moves are never deleted'); END;

-- Something that somebody has to look at. The same again only counts.
CREATE TABLE alarms (
	id       INTEGER PRIMARY KEY,
	kind     TEXT    NOT NULL,
	ref      TEXT    NOT NULL,
	detail   TEXT    NOT NULL,
	first_ms INTEGER NOT NULL,
	last_ms  INTEGER NOT NULL,
	times    INTEGER NOT NULL DEFAULT 1,
	UNIQUE (kind, ref)
) STRICT;
CREATE TRIGGER alarms_are_never_deleted BEFORE DELETE ON alarms
BEGIN SELECT RAISE(ABORT, 'store: alarms are never deleted'); END;
