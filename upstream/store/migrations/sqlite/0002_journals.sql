-- Terminals' journals as the upstream keeps them, and what follows from them:
-- holds, claims, exceptions, feeds. Epochs are 8 bytes, hashes 32, as in
-- package journal; states are spelled out in the packages.

-- The Ed25519 key that a terminal's checkpoints are signed by.
ALTER TABLE terminals ADD COLUMN journal_key BLOB CHECK (length(journal_key) = 32);

-- Above it the PIN is asked; NULL is what the school has decided.
ALTER TABLE holders ADD COLUMN daily_limit_fen INTEGER CHECK (daily_limit_fen >= 0);

-- One row per epoch of a terminal's journal. frontier, head and note are of
-- the newest entry; note is the terminal's checkpoint with our cosignature.
-- carrying is 1 while a new epoch brings over what the one before it, origin,
-- had not sent. A journal that another has superseded takes no new entries.
CREATE TABLE journals (
	id            INTEGER PRIMARY KEY,
	terminal      TEXT    NOT NULL REFERENCES terminals (id),
	epoch         BLOB    NOT NULL CHECK (length(epoch) = 8),
	opened_ms     INTEGER NOT NULL,
	head_seq      INTEGER NOT NULL DEFAULT 0 CHECK (head_seq >= 0),
	head_hash     BLOB    NOT NULL CHECK (length(head_hash) = 32),
	frontier      BLOB    NOT NULL DEFAULT x'',
	journal_key   BLOB    CHECK (length(journal_key) = 32), -- that signed note
	note          BLOB    NOT NULL DEFAULT x'',
	pushed_ms     INTEGER,
	origin        INTEGER REFERENCES journals (id),
	carrying      INTEGER NOT NULL DEFAULT 0 CHECK (carrying IN (0, 1)),
	superseded_by INTEGER REFERENCES journals (id),
	UNIQUE (terminal, epoch),
	CHECK ((head_seq = 0) = (note = x''))
) STRICT;

CREATE TRIGGER journals_only_grow BEFORE UPDATE ON journals
WHEN (OLD.id, OLD.terminal, OLD.epoch) IS NOT (NEW.id, NEW.terminal, NEW.epoch) OR NEW.head_seq < OLD.head_seq
BEGIN SELECT RAISE(ABORT, 'store: a journal only grows'); END;
CREATE TRIGGER journals_are_never_deleted BEFORE DELETE ON journals
BEGIN SELECT RAISE(ABORT, 'store: journals are never deleted'); END;

-- The exact bytes of every entry, whatever they say.
CREATE TABLE journal_entries (
	journal     INTEGER NOT NULL REFERENCES journals (id),
	seq         INTEGER NOT NULL CHECK (seq > 0),
	hash        BLOB    NOT NULL CHECK (length(hash) = 32),
	body        BLOB    NOT NULL,
	received_ms INTEGER NOT NULL,
	PRIMARY KEY (journal, seq)
) STRICT, WITHOUT ROWID;

CREATE TRIGGER journal_entries_have_no_gap BEFORE INSERT ON journal_entries
WHEN NEW.seq > 1 AND NOT EXISTS (SELECT 1 FROM journal_entries WHERE journal = NEW.journal AND seq = NEW.seq - 1)
BEGIN SELECT RAISE(ABORT, 'store: a journal has no gap'); END;
CREATE TRIGGER journal_entries_are_never_changed BEFORE UPDATE ON journal_entries
BEGIN SELECT RAISE(ABORT, 'store: journal entries are never changed'); END;
CREATE TRIGGER journal_entries_are_never_deleted BEFORE DELETE ON journal_entries
BEGIN SELECT RAISE(ABORT, 'store: journal entries are never deleted'); END;

-- Bytes that came under a number for which we hold others.
CREATE TABLE fork_entries (
	journal     INTEGER NOT NULL REFERENCES journals (id),
	seq         INTEGER NOT NULL,
	hash        BLOB    NOT NULL CHECK (length(hash) = 32),
	body        BLOB    NOT NULL,
	received_ms INTEGER NOT NULL,
	PRIMARY KEY (journal, seq, hash)
) STRICT, WITHOUT ROWID;
CREATE TRIGGER fork_entries_are_never_changed BEFORE UPDATE ON fork_entries
BEGIN SELECT RAISE(ABORT, 'store: fork entries are never changed'); END;
CREATE TRIGGER fork_entries_are_never_deleted BEFORE DELETE ON fork_entries
BEGIN SELECT RAISE(ABORT, 'store: fork entries are never deleted'); END;

-- Entries of an epoch (journal, seq) that a later one (by) has brought over,
-- those among them that we had already.
CREATE TABLE carried_entries (
	journal    INTEGER NOT NULL REFERENCES journals (id),
	seq        INTEGER NOT NULL CHECK (seq > 0),
	hash       BLOB    NOT NULL CHECK (length(hash) = 32),
	by_journal INTEGER NOT NULL REFERENCES journals (id),
	by_seq     INTEGER NOT NULL,
	PRIMARY KEY (journal, seq, hash, by_journal)
) STRICT, WITHOUT ROWID;
CREATE TRIGGER carried_entries_are_never_changed BEFORE UPDATE ON carried_entries
BEGIN SELECT RAISE(ABORT, 'store: carried entries are never changed'); END;
CREATE TRIGGER carried_entries_are_never_deleted BEFORE DELETE ON carried_entries
BEGIN SELECT RAISE(ABORT, 'store: carried entries are never deleted'); END;

-- Cosigned checkpoints along the way, with the tree's frontier there: what we
-- had when. The newest is the journal's own.
CREATE TABLE checkpoints (
	journal  INTEGER NOT NULL REFERENCES journals (id),
	size     INTEGER NOT NULL CHECK (size > 0),
	note     BLOB    NOT NULL,
	frontier BLOB    NOT NULL,
	kept_ms  INTEGER NOT NULL,
	PRIMARY KEY (journal, size)
) STRICT, WITHOUT ROWID;
CREATE TRIGGER checkpoints_are_never_changed BEFORE UPDATE ON checkpoints
BEGIN SELECT RAISE(ABORT, 'store: checkpoints are never changed'); END;
CREATE TRIGGER checkpoints_are_never_deleted BEFORE DELETE ON checkpoints
BEGIN SELECT RAISE(ABORT, 'store: checkpoints are never deleted'); END;

-- What a terminal has announced and not ended: a projection of its journal.
CREATE TABLE intents (
	terminal TEXT    NOT NULL REFERENCES terminals (id),
	ref      TEXT    NOT NULL,
	journal  INTEGER NOT NULL REFERENCES journals (id),
	seq      INTEGER NOT NULL,
	kind     INTEGER NOT NULL CHECK (kind IN (20, 40)),
	claimed  INTEGER NOT NULL CHECK (claimed IN (0, 1)), -- a claim has been opened for it
	body     BLOB    NOT NULL,
	PRIMARY KEY (terminal, ref)
) STRICT, WITHOUT ROWID;

-- A write to a card whose outcome its terminal could not learn. State 1 open,
-- 2 written, 3 not written. account is '' for a card that we do not know. A
-- claim of a sale has its amount in suspense while it is open.
CREATE TABLE claims (
	id          INTEGER PRIMARY KEY,
	journal     INTEGER NOT NULL REFERENCES journals (id),
	seq         INTEGER NOT NULL,
	terminal    TEXT    NOT NULL REFERENCES terminals (id),
	kind        INTEGER NOT NULL CHECK (kind IN (20, 40)),
	ref         TEXT    NOT NULL,
	card_no     TEXT    NOT NULL,
	account     TEXT    NOT NULL,
	merchant    TEXT    NOT NULL,
	amount_fen  INTEGER NOT NULL CHECK (amount_fen > 0),
	balance     INTEGER NOT NULL CHECK (balance BETWEEN 0 AND 4294967295),
	counter     INTEGER NOT NULL CHECK (counter BETWEEN 0 AND 65535),
	key_version INTEGER NOT NULL,
	algorithm   INTEGER NOT NULL,
	terminal_no BLOB    NOT NULL CHECK (length(terminal_no) = 6),
	trace_no    INTEGER NOT NULL,
	stamp       BLOB    NOT NULL CHECK (length(stamp) = 7),
	opened_ms   INTEGER NOT NULL,
	state       INTEGER NOT NULL DEFAULT 1 CHECK (state BETWEEN 1 AND 3),
	evidence    TEXT    NOT NULL DEFAULT '',
	proven      INTEGER NOT NULL DEFAULT 0 CHECK (proven IN (0, 1)), -- by the card's TAC
	settled_ms  INTEGER,
	UNIQUE (terminal, ref),
	CHECK ((state = 1) = (settled_ms IS NULL))
) STRICT;
CREATE INDEX claims_on_a_card ON claims (card_no);
CREATE INDEX claims_of_an_entry ON claims (journal, seq);

CREATE TRIGGER claims_move_forward BEFORE UPDATE ON claims
WHEN (OLD.state, NEW.state) NOT IN (VALUES (1, 1), (1, 2), (1, 3), (2, 2), (2, 3), (3, 3), (3, 2), (3, 1))
	OR (OLD.proven, NEW.state) = (1, 3)
	OR (OLD.id, OLD.journal, OLD.seq, OLD.terminal, OLD.kind, OLD.ref, OLD.card_no, OLD.account, OLD.merchant,
		OLD.amount_fen, OLD.balance, OLD.counter, OLD.key_version, OLD.algorithm, OLD.terminal_no, OLD.trace_no,
		OLD.stamp, OLD.opened_ms)
	IS NOT (NEW.id, NEW.journal, NEW.seq, NEW.terminal, NEW.kind, NEW.ref, NEW.card_no, NEW.account, NEW.merchant,
		NEW.amount_fen, NEW.balance, NEW.counter, NEW.key_version, NEW.algorithm, NEW.terminal_no, NEW.trace_no,
		NEW.stamp, NEW.opened_ms)
BEGIN SELECT RAISE(ABORT, 'store: a claim moves forward only'); END;
CREATE TRIGGER claims_are_never_deleted BEFORE DELETE ON claims
BEGIN SELECT RAISE(ABORT, 'store: claims are never deleted'); END;

-- The ledger gets to know terminals' entries: journal, seq and part say which
-- of them is posted here, claim_id that it is about a claim, undoes which entry it
-- corrects or gives back, made_ms when the terminal says that it happened.
-- A kind is what package store says; later ones need no new table.
CREATE TABLE entries_2 (
	id       INTEGER PRIMARY KEY,
	kind     INTEGER NOT NULL CHECK (kind BETWEEN 1 AND 99),
	order_no TEXT    REFERENCES orders (order_no),
	place    TEXT    NOT NULL,
	at_ms    INTEGER NOT NULL,
	lines    INTEGER NOT NULL CHECK (lines >= 2),
	made_ms  INTEGER,
	journal  INTEGER REFERENCES journals (id),
	seq      INTEGER,
	part     INTEGER,
	claim_id INTEGER REFERENCES claims (id),
	undoes   INTEGER REFERENCES entries_2 (id),
	CHECK (kind <> 1 OR order_no IS NOT NULL),
	CHECK ((journal IS NULL) = (seq IS NULL) AND (journal IS NULL) = (part IS NULL))
) STRICT;
INSERT INTO entries_2 (id, kind, order_no, place, at_ms, lines)
	SELECT id, kind, order_no, place, at_ms, lines FROM entries;
CREATE TABLE postings_2 (
	entry_id    INTEGER NOT NULL REFERENCES entries_2 (id),
	account     TEXT    NOT NULL REFERENCES accounts (account),
	amount_fen  INTEGER NOT NULL CHECK (amount_fen <> 0),
	balance_fen INTEGER NOT NULL,
	PRIMARY KEY (entry_id, account)
) STRICT, WITHOUT ROWID;
INSERT INTO postings_2 SELECT entry_id, account, amount_fen, balance_fen FROM postings;
DROP TABLE postings;
DROP TABLE entries;
ALTER TABLE entries_2 RENAME TO entries;
ALTER TABLE postings_2 RENAME TO postings;

CREATE UNIQUE INDEX an_order_is_credited_once ON entries (order_no) WHERE kind = 1;
CREATE UNIQUE INDEX a_terminals_entry_is_posted_once ON entries (journal, seq, part) WHERE journal IS NOT NULL;
CREATE INDEX entries_of_a_claim ON entries (claim_id) WHERE claim_id IS NOT NULL;
CREATE INDEX entries_that_undo ON entries (undoes) WHERE undoes IS NOT NULL;
CREATE INDEX postings_of_an_account ON postings (account, entry_id);

CREATE TRIGGER postings_make_the_balance AFTER INSERT ON postings
BEGIN
	UPDATE accounts SET balance_fen = NEW.balance_fen
	WHERE account = NEW.account AND balance_fen + NEW.amount_fen = NEW.balance_fen;
	SELECT RAISE(ABORT, 'store: this posting does not follow the balance') WHERE changes() <> 1;
	-- In this form it costs a fifth of what one query over both tables does.
	SELECT CASE (SELECT count(*) FROM postings WHERE entry_id = NEW.entry_id)
			- (SELECT lines FROM entries WHERE id = NEW.entry_id)
		WHEN 0 THEN CASE WHEN (SELECT sum(amount_fen) FROM postings WHERE entry_id = NEW.entry_id) <> 0
			THEN RAISE(ABORT, 'store: this entry does not sum to zero') END
		WHEN 1 THEN RAISE(ABORT, 'store: this entry is complete') END;
END;
CREATE TRIGGER entries_are_never_changed BEFORE UPDATE ON entries
BEGIN SELECT RAISE(ABORT, 'store: entries are never changed'); END;
CREATE TRIGGER entries_are_never_deleted BEFORE DELETE ON entries
BEGIN SELECT RAISE(ABORT, 'store: entries are never deleted'); END;
CREATE TRIGGER postings_are_never_changed BEFORE UPDATE ON postings
BEGIN SELECT RAISE(ABORT, 'store: postings are never changed'); END;
CREATE TRIGGER postings_are_never_deleted BEFORE DELETE ON postings
BEGIN SELECT RAISE(ABORT, 'store: postings are never deleted'); END;

-- A purchase moves a purse together with the ledger. counter and before_fen
-- are what the card said before it.
ALTER TABLE purse_moves ADD COLUMN entry_id INTEGER REFERENCES entries (id);
ALTER TABLE purse_moves ADD COLUMN counter INTEGER CHECK (counter BETWEEN 0 AND 65535);
ALTER TABLE purse_moves ADD COLUMN before_fen INTEGER;
ALTER TABLE purse_moves ADD COLUMN proven INTEGER NOT NULL DEFAULT 0 CHECK (proven IN (0, 1)); -- by the card's TAC
CREATE UNIQUE INDEX an_entry_moves_a_purse_once ON purse_moves (entry_id) WHERE entry_id IS NOT NULL;

-- Money that a terminal may spend under the number of its next entry. State 1
-- placed, 2 bound to the entry that has this number, 3 captured, 4 released.
CREATE TABLE holds (
	id         INTEGER PRIMARY KEY,
	terminal   TEXT    NOT NULL REFERENCES terminals (id),
	epoch      BLOB    NOT NULL CHECK (length(epoch) = 8),
	seq        INTEGER NOT NULL CHECK (seq > 0),
	attempt    TEXT    NOT NULL CHECK (attempt <> ''),
	account    TEXT    NOT NULL REFERENCES accounts (account),
	card_no    TEXT    NOT NULL, -- '' for a virtual card
	merchant   TEXT    NOT NULL,
	amount_fen INTEGER NOT NULL CHECK (amount_fen > 0),
	virtual    INTEGER NOT NULL CHECK (virtual IN (0, 1)),
	placed_ms  INTEGER NOT NULL,
	state      INTEGER NOT NULL DEFAULT 1 CHECK (state BETWEEN 1 AND 4),
	closed_ms  INTEGER,
	UNIQUE (terminal, epoch, seq, attempt),
	CHECK ((state <= 2) = (closed_ms IS NULL))
) STRICT;
CREATE INDEX holds_on_an_account ON holds (account) WHERE state <= 2;
CREATE INDEX holds_of_a_terminal ON holds (terminal, attempt) WHERE state <= 2;

CREATE TRIGGER holds_move_forward BEFORE UPDATE ON holds
WHEN NEW.state < OLD.state OR OLD.state >= 3
	OR (OLD.id, OLD.terminal, OLD.epoch, OLD.seq, OLD.attempt, OLD.account, OLD.card_no, OLD.merchant,
		OLD.amount_fen, OLD.virtual, OLD.placed_ms)
	IS NOT (NEW.id, NEW.terminal, NEW.epoch, NEW.seq, NEW.attempt, NEW.account, NEW.card_no, NEW.merchant,
		NEW.amount_fen, NEW.virtual, NEW.placed_ms)
BEGIN SELECT RAISE(ABORT, 'store: a hold moves forward only'); END;
CREATE TRIGGER holds_are_never_deleted BEFORE DELETE ON holds
BEGIN SELECT RAISE(ABORT, 'store: holds are never deleted'); END;

-- What a card has last said while nothing was written: counters only grow.
CREATE TABLE sightings (
	card_no   TEXT    PRIMARY KEY,
	purse_fen INTEGER NOT NULL,
	offline   INTEGER NOT NULL CHECK (offline BETWEEN 0 AND 65535),
	online    INTEGER CHECK (online BETWEEN 0 AND 65535),
	terminal  TEXT    NOT NULL REFERENCES terminals (id),
	seen_ms   INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

-- The inbox: what somebody has to look at, with whose it is and what to do. A
-- fen that is in it stands in account meanwhile, '' for none. It is closed by
-- an entry that moves the money, or by evidence.
CREATE TABLE exceptions (
	id            INTEGER PRIMARY KEY,
	kind          TEXT    NOT NULL CHECK (kind <> ''),
	ref           TEXT    NOT NULL,
	terminal      TEXT    NOT NULL DEFAULT '',
	epoch         BLOB    CHECK (length(epoch) = 8),
	seq           INTEGER,
	account       TEXT    NOT NULL DEFAULT '',
	amount_fen    INTEGER NOT NULL DEFAULT 0,
	detail        TEXT    NOT NULL,
	owner         TEXT    NOT NULL,
	next_step     TEXT    NOT NULL,
	opened_ms     INTEGER NOT NULL,
	closed_ms     INTEGER,
	closing_entry INTEGER REFERENCES entries (id),
	evidence      TEXT    NOT NULL DEFAULT '',
	CHECK (closed_ms IS NOT NULL OR closing_entry IS NULL)
) STRICT;
CREATE UNIQUE INDEX an_exception_is_open_once ON exceptions (kind, ref) WHERE closed_ms IS NULL;

CREATE TRIGGER exceptions_are_closed_once BEFORE UPDATE ON exceptions
WHEN OLD.closed_ms IS NOT NULL
	OR (OLD.id, OLD.kind, OLD.ref, OLD.terminal, OLD.epoch, OLD.seq, OLD.account, OLD.amount_fen, OLD.detail,
		OLD.opened_ms)
	IS NOT (NEW.id, NEW.kind, NEW.ref, NEW.terminal, NEW.epoch, NEW.seq, NEW.account, NEW.amount_fen, NEW.detail,
		NEW.opened_ms)
BEGIN SELECT RAISE(ABORT, 'store: an exception keeps its content and is closed once'); END;
CREATE TRIGGER exceptions_are_never_deleted BEFORE DELETE ON exceptions
BEGIN SELECT RAISE(ABORT, 'store: exceptions are never deleted'); END;

-- How far each feed has come. A step from a version below whole_from is given
-- whole: those versions were given by books that were lost since.
CREATE TABLE feeds (
	name       TEXT    PRIMARY KEY,
	version    INTEGER NOT NULL DEFAULT 0 CHECK (version >= 0),
	whole_from INTEGER NOT NULL DEFAULT 0,
	changed_ms INTEGER NOT NULL DEFAULT 0
) STRICT, WITHOUT ROWID;
INSERT INTO feeds (name) VALUES ('hotlist'), ('settings'), ('keys'), ('bath');

CREATE TRIGGER feeds_only_go_forward BEFORE UPDATE ON feeds
WHEN (NEW.version, NEW.whole_from) <= (OLD.version, OLD.whole_from) OR NEW.name <> OLD.name
BEGIN SELECT RAISE(ABORT, 'store: a feed only goes forward'); END;
CREATE TRIGGER feeds_are_never_deleted BEFORE DELETE ON feeds
BEGIN SELECT RAISE(ABORT, 'store: feeds are never deleted'); END;

-- The hotlist's changes: the card has this status from this version on.
CREATE TABLE hot_changes (
	version INTEGER PRIMARY KEY CHECK (version > 0),
	card_no TEXT    NOT NULL REFERENCES cards (card_no),
	status  INTEGER NOT NULL CHECK (status IN (1, 2, 4)),
	at_ms   INTEGER NOT NULL
) STRICT;
CREATE INDEX hot_changes_of_a_card ON hot_changes (card_no, version);
CREATE INDEX hot_cards ON cards (card_no) WHERE status <> 1;
INSERT INTO hot_changes (version, card_no, status, at_ms)
	SELECT row_number() OVER (ORDER BY card_no), card_no, status, 0 FROM cards WHERE status <> 1;
UPDATE feeds SET version = (SELECT max(version) FROM hot_changes)
	WHERE name = 'hotlist' AND EXISTS (SELECT 1 FROM hot_changes);

CREATE TRIGGER hot_changes_are_never_changed BEFORE UPDATE ON hot_changes
BEGIN SELECT RAISE(ABORT, 'store: changes of the hotlist are never changed'); END;
CREATE TRIGGER hot_changes_are_never_deleted BEFORE DELETE ON hot_changes
BEGIN SELECT RAISE(ABORT, 'store: changes of the hotlist are never deleted'); END;

-- The other feeds' contents, each version whole.
CREATE TABLE feed_contents (
	name    TEXT    NOT NULL REFERENCES feeds (name),
	version INTEGER NOT NULL CHECK (version > 0),
	content BLOB    NOT NULL,
	at_ms   INTEGER NOT NULL,
	PRIMARY KEY (name, version)
) STRICT, WITHOUT ROWID;
CREATE TRIGGER feed_contents_are_never_changed BEFORE UPDATE ON feed_contents
BEGIN SELECT RAISE(ABORT, 'store: contents of feeds are never changed'); END;
CREATE TRIGGER feed_contents_are_never_deleted BEFORE DELETE ON feed_contents
BEGIN SELECT RAISE(ABORT, 'store: contents of feeds are never deleted'); END;
