-- Terminals' journals as the upstream keeps them, and what follows from them,
-- as in ../sqlite. What SQLite's triggers promise is kept as follows.
--
--   journal entries, fork entries, carried entries, checkpoints and changes of
--   feeds are never changed, nothing but intents is ever deleted, a hold, a
--   claim and an exception keep their content: by what the program's role may
--   do, see schema.go
--   a journal has no gap and only grows, a hold and a claim move forward, an
--   exception is closed once, a feed only goes forward: the program does it
--   with the row locked, and Verify finds what breaks it

ALTER TABLE terminals ADD COLUMN journal_key BYTEA CHECK (length(journal_key) = 32);
ALTER TABLE holders ADD COLUMN daily_limit_fen BIGINT CHECK (daily_limit_fen >= 0);

CREATE TABLE journals (
	id            BIGINT  GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
	terminal      TEXT    NOT NULL REFERENCES terminals (id),
	epoch         BYTEA   NOT NULL CHECK (length(epoch) = 8),
	opened_ms     BIGINT  NOT NULL,
	head_seq      BIGINT  NOT NULL DEFAULT 0 CHECK (head_seq >= 0),
	head_hash     BYTEA   NOT NULL CHECK (length(head_hash) = 32),
	frontier      BYTEA   NOT NULL DEFAULT '',
	journal_key   BYTEA   CHECK (length(journal_key) = 32), -- that signed note
	note          BYTEA   NOT NULL DEFAULT '',
	pushed_ms     BIGINT,
	origin        BIGINT  REFERENCES journals (id),
	carrying      BOOLEAN NOT NULL DEFAULT false,
	superseded_by BIGINT  REFERENCES journals (id),
	UNIQUE (terminal, epoch),
	CHECK ((head_seq = 0) = (note = ''))
);

CREATE TABLE journal_entries (
	journal     BIGINT NOT NULL REFERENCES journals (id),
	seq         BIGINT NOT NULL CHECK (seq > 0),
	hash        BYTEA  NOT NULL CHECK (length(hash) = 32),
	body        BYTEA  NOT NULL,
	received_ms BIGINT NOT NULL,
	PRIMARY KEY (journal, seq)
);

CREATE TABLE fork_entries (
	journal     BIGINT NOT NULL REFERENCES journals (id),
	seq         BIGINT NOT NULL,
	hash        BYTEA  NOT NULL CHECK (length(hash) = 32),
	body        BYTEA  NOT NULL,
	received_ms BIGINT NOT NULL,
	PRIMARY KEY (journal, seq, hash)
);

CREATE TABLE carried_entries (
	journal    BIGINT NOT NULL REFERENCES journals (id),
	seq        BIGINT NOT NULL CHECK (seq > 0),
	hash       BYTEA  NOT NULL CHECK (length(hash) = 32),
	by_journal BIGINT NOT NULL REFERENCES journals (id),
	by_seq     BIGINT NOT NULL,
	PRIMARY KEY (journal, seq, hash, by_journal)
);

CREATE TABLE checkpoints (
	journal  BIGINT NOT NULL REFERENCES journals (id),
	size     BIGINT NOT NULL CHECK (size > 0),
	note     BYTEA  NOT NULL,
	frontier BYTEA  NOT NULL,
	kept_ms  BIGINT NOT NULL,
	PRIMARY KEY (journal, size)
);

CREATE TABLE intents (
	terminal TEXT    NOT NULL REFERENCES terminals (id),
	ref      TEXT    NOT NULL,
	journal  BIGINT  NOT NULL REFERENCES journals (id),
	seq      BIGINT  NOT NULL,
	kind     BIGINT  NOT NULL CHECK (kind IN (20, 40)),
	claimed  BOOLEAN NOT NULL, -- a claim has been opened for it
	body     BYTEA   NOT NULL,
	PRIMARY KEY (terminal, ref)
);

CREATE TABLE claims (
	id          BIGINT  GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
	journal     BIGINT  NOT NULL REFERENCES journals (id),
	seq         BIGINT  NOT NULL,
	terminal    TEXT    NOT NULL REFERENCES terminals (id),
	kind        BIGINT  NOT NULL CHECK (kind IN (20, 40)),
	ref         TEXT    NOT NULL,
	card_no     TEXT    NOT NULL,
	account     TEXT    NOT NULL,
	merchant    TEXT    NOT NULL,
	amount_fen  BIGINT  NOT NULL CHECK (amount_fen > 0),
	balance     BIGINT  NOT NULL CHECK (balance BETWEEN 0 AND 4294967295),
	counter     BIGINT  NOT NULL CHECK (counter BETWEEN 0 AND 65535),
	key_version BIGINT  NOT NULL,
	algorithm   BIGINT  NOT NULL,
	terminal_no BYTEA   NOT NULL CHECK (length(terminal_no) = 6),
	trace_no    BIGINT  NOT NULL,
	stamp       BYTEA   NOT NULL CHECK (length(stamp) = 7),
	opened_ms   BIGINT  NOT NULL,
	state       BIGINT  NOT NULL DEFAULT 1 CHECK (state BETWEEN 1 AND 3),
	evidence    TEXT    NOT NULL DEFAULT '',
	proven      BOOLEAN NOT NULL DEFAULT false, -- by the card's TAC
	settled_ms  BIGINT,
	UNIQUE (terminal, ref),
	CHECK ((state = 1) = (settled_ms IS NULL))
);
CREATE INDEX claims_on_a_card ON claims (card_no);
CREATE INDEX claims_of_an_entry ON claims (journal, seq);

ALTER TABLE entries DROP CONSTRAINT entries_kind_check;
ALTER TABLE entries ADD CHECK (kind BETWEEN 1 AND 99);
ALTER TABLE entries ADD COLUMN made_ms BIGINT;
ALTER TABLE entries ADD COLUMN journal BIGINT REFERENCES journals (id);
ALTER TABLE entries ADD COLUMN seq BIGINT;
ALTER TABLE entries ADD COLUMN part BIGINT;
ALTER TABLE entries ADD COLUMN claim_id BIGINT REFERENCES claims (id);
ALTER TABLE entries ADD COLUMN undoes BIGINT REFERENCES entries (id);
ALTER TABLE entries ADD CHECK ((journal IS NULL) = (seq IS NULL) AND (journal IS NULL) = (part IS NULL));
CREATE UNIQUE INDEX a_terminals_entry_is_posted_once ON entries (journal, seq, part) WHERE journal IS NOT NULL;
CREATE INDEX entries_of_a_claim ON entries (claim_id) WHERE claim_id IS NOT NULL;
CREATE INDEX entries_that_undo ON entries (undoes) WHERE undoes IS NOT NULL;

ALTER TABLE purse_moves ADD COLUMN entry_id BIGINT REFERENCES entries (id);
ALTER TABLE purse_moves ADD COLUMN counter BIGINT CHECK (counter BETWEEN 0 AND 65535);
ALTER TABLE purse_moves ADD COLUMN before_fen BIGINT;
ALTER TABLE purse_moves ADD COLUMN proven BOOLEAN NOT NULL DEFAULT false;
CREATE UNIQUE INDEX an_entry_moves_a_purse_once ON purse_moves (entry_id) WHERE entry_id IS NOT NULL;

CREATE TABLE holds (
	id         BIGINT  GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
	terminal   TEXT    NOT NULL REFERENCES terminals (id),
	epoch      BYTEA   NOT NULL CHECK (length(epoch) = 8),
	seq        BIGINT  NOT NULL CHECK (seq > 0),
	attempt    TEXT    NOT NULL CHECK (attempt <> ''),
	account    TEXT    NOT NULL REFERENCES accounts (account),
	card_no    TEXT    NOT NULL,
	merchant   TEXT    NOT NULL,
	amount_fen BIGINT  NOT NULL CHECK (amount_fen > 0),
	virtual    BOOLEAN NOT NULL,
	placed_ms  BIGINT  NOT NULL,
	state      BIGINT  NOT NULL DEFAULT 1 CHECK (state BETWEEN 1 AND 4),
	closed_ms  BIGINT,
	UNIQUE (terminal, epoch, seq, attempt),
	CHECK ((state <= 2) = (closed_ms IS NULL))
);
CREATE INDEX holds_on_an_account ON holds (account) WHERE state <= 2;
CREATE INDEX holds_of_a_terminal ON holds (terminal, attempt) WHERE state <= 2;

CREATE TABLE sightings (
	card_no   TEXT   PRIMARY KEY,
	purse_fen BIGINT NOT NULL,
	offline   BIGINT NOT NULL CHECK (offline BETWEEN 0 AND 65535),
	online    BIGINT CHECK (online BETWEEN 0 AND 65535),
	terminal  TEXT   NOT NULL REFERENCES terminals (id),
	seen_ms   BIGINT NOT NULL
);

CREATE TABLE exceptions (
	id            BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
	kind          TEXT   NOT NULL CHECK (kind <> ''),
	ref           TEXT   NOT NULL,
	terminal      TEXT   NOT NULL DEFAULT '',
	epoch         BYTEA  CHECK (length(epoch) = 8),
	seq           BIGINT,
	account       TEXT   NOT NULL DEFAULT '',
	amount_fen    BIGINT NOT NULL DEFAULT 0,
	detail        TEXT   NOT NULL,
	owner         TEXT   NOT NULL,
	next_step     TEXT   NOT NULL,
	opened_ms     BIGINT NOT NULL,
	closed_ms     BIGINT,
	closing_entry BIGINT REFERENCES entries (id),
	evidence      TEXT   NOT NULL DEFAULT '',
	CHECK (closed_ms IS NOT NULL OR closing_entry IS NULL)
);
CREATE UNIQUE INDEX an_exception_is_open_once ON exceptions (kind, ref) WHERE closed_ms IS NULL;

CREATE TABLE feeds (
	name       TEXT   PRIMARY KEY,
	version    BIGINT NOT NULL DEFAULT 0 CHECK (version >= 0),
	whole_from BIGINT NOT NULL DEFAULT 0,
	changed_ms BIGINT NOT NULL DEFAULT 0
);
INSERT INTO feeds (name) VALUES ('hotlist'), ('settings'), ('keys'), ('bath');

CREATE TABLE hot_changes (
	version BIGINT PRIMARY KEY CHECK (version > 0),
	card_no TEXT   NOT NULL REFERENCES cards (card_no),
	status  BIGINT NOT NULL CHECK (status IN (1, 2, 4)),
	at_ms   BIGINT NOT NULL
);
CREATE INDEX hot_changes_of_a_card ON hot_changes (card_no, version);
CREATE INDEX hot_cards ON cards (card_no) WHERE status <> 1;
INSERT INTO hot_changes (version, card_no, status, at_ms)
	SELECT row_number() OVER (ORDER BY card_no), card_no, status, 0 FROM cards WHERE status <> 1;
UPDATE feeds SET version = (SELECT max(version) FROM hot_changes)
	WHERE name = 'hotlist' AND EXISTS (SELECT 1 FROM hot_changes);

CREATE TABLE feed_contents (
	name    TEXT   NOT NULL REFERENCES feeds (name),
	version BIGINT NOT NULL CHECK (version > 0),
	content BYTEA  NOT NULL,
	at_ms   BIGINT NOT NULL,
	PRIMARY KEY (name, version)
);
