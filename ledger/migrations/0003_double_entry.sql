-- Double entry, the tree over the hashes, and what upstream has agreed to.
--
-- Bodies are no longer JSON, so journal is made anew without that check; every
-- row is kept to the byte. The outbox is gone: the journal itself is what
-- upstream has to be told, from the entry after the acknowledged one on.

CREATE TABLE item_kept (ref TEXT, kind INTEGER, card TEXT, intent_seq INTEGER, end_seq INTEGER) STRICT;
INSERT INTO item_kept SELECT ref, kind, card, intent_seq, end_seq FROM item;
DROP TABLE outbox;
DROP TABLE item;

CREATE TABLE journal_kept (
	seq  INTEGER PRIMARY KEY CHECK (seq > 0),
	body BLOB NOT NULL,
	hash BLOB NOT NULL CHECK (length(hash) = 32)
) STRICT;
INSERT INTO journal_kept SELECT seq, body, hash FROM journal ORDER BY seq;
DROP TABLE journal;
ALTER TABLE journal_kept RENAME TO journal;

CREATE TRIGGER journal_is_never_changed BEFORE UPDATE ON journal
BEGIN SELECT RAISE(ABORT, 'ledger: entries are never changed'); END;

CREATE TRIGGER journal_is_never_deleted BEFORE DELETE ON journal
BEGIN SELECT RAISE(ABORT, 'ledger: entries are never deleted'); END;

-- New rows are of the second form (docs/JOURNAL.md), whose bytes 2 to 33 are
-- the hash of the entry before and 34 to 41 the number. This trigger also stops
-- INSERT OR REPLACE, which fires no DELETE trigger.
CREATE TRIGGER journal_has_no_gap BEFORE INSERT ON journal
WHEN NEW.seq IS NOT (SELECT coalesce(max(seq), 0) + 1 FROM journal)
	OR substr(NEW.body, 1, 1) IS NOT x'02'
	OR substr(NEW.body, 34, 8) IS NOT unhex(printf('%016x', NEW.seq))
BEGIN SELECT RAISE(ABORT, 'ledger: entry out of sequence'); END;

CREATE TRIGGER journal_is_a_chain BEFORE INSERT ON journal
WHEN substr(NEW.body, 2, 32) IS NOT
	coalesce((SELECT hash FROM journal WHERE seq = NEW.seq - 1), zeroblob(32))
BEGIN SELECT RAISE(ABORT, 'ledger: entry does not follow the one before'); END;

-- The accounts that this terminal posts to. Both sums only ever grow; credits
-- less debits is the balance. flags: 1 = never a credit balance, as a drawer
-- that pays out more than it holds would have.
CREATE TABLE account (
	id      INTEGER PRIMARY KEY CHECK (id > 0),
	name    TEXT    NOT NULL UNIQUE CHECK (name <> ''),
	flags   INTEGER NOT NULL CHECK (flags IN (0, 1)),
	debits  INTEGER NOT NULL DEFAULT 0 CHECK (debits >= 0),
	credits INTEGER NOT NULL DEFAULT 0 CHECK (credits >= 0),
	CHECK (flags = 0 OR credits <= debits)
) STRICT;

CREATE TRIGGER account_only_grows BEFORE UPDATE ON account
WHEN NEW.debits < OLD.debits OR NEW.credits < OLD.credits
	OR NEW.id IS NOT OLD.id OR NEW.name IS NOT OLD.name OR NEW.flags IS NOT OLD.flags
BEGIN SELECT RAISE(ABORT, 'ledger: sums of an account only grow'); END;

CREATE TRIGGER account_is_never_deleted BEFORE DELETE ON account
BEGIN SELECT RAISE(ABORT, 'ledger: accounts are never deleted'); END;

CREATE TRIGGER account_is_never_replaced BEFORE INSERT ON account
WHEN EXISTS (SELECT 1 FROM account WHERE id = NEW.id OR name = NEW.name)
BEGIN SELECT RAISE(ABORT, 'ledger: accounts are never replaced'); END;

-- What each entry moves, in fen, credits positive.
CREATE TABLE posting (
	seq     INTEGER NOT NULL REFERENCES journal (seq),
	line    INTEGER NOT NULL CHECK (line >= 0),
	account INTEGER NOT NULL REFERENCES account (id),
	amount  INTEGER NOT NULL CHECK (amount <> 0),
	PRIMARY KEY (seq, line)
) STRICT, WITHOUT ROWID;

CREATE TRIGGER posting_is_never_changed BEFORE UPDATE ON posting
BEGIN SELECT RAISE(ABORT, 'ledger: postings are never changed'); END;

CREATE TRIGGER posting_is_never_deleted BEFORE DELETE ON posting
BEGIN SELECT RAISE(ABORT, 'ledger: postings are never deleted'); END;

CREATE TRIGGER posting_is_of_the_last_entry BEFORE INSERT ON posting
WHEN NEW.seq IS NOT (SELECT max(seq) FROM journal)
	OR EXISTS (SELECT 1 FROM posting WHERE seq = NEW.seq AND line = NEW.line)
BEGIN SELECT RAISE(ABORT, 'ledger: postings are made with their entry'); END;

-- One row for each Ref: the entry that began it, or the only one; its doubt
-- (for an order: that its code was shown); and its end. kind is the first
-- entry's. Refs begin with the time, so that new rows come at the end.
CREATE TABLE item (
	ref       TEXT    NOT NULL PRIMARY KEY CHECK (ref <> ''),
	kind      INTEGER NOT NULL CHECK (kind > 0),
	card      TEXT    NOT NULL,
	first_seq INTEGER NOT NULL REFERENCES journal (seq),
	doubt_seq INTEGER REFERENCES journal (seq) CHECK (doubt_seq > first_seq),
	end_seq   INTEGER REFERENCES journal (seq) CHECK (end_seq > coalesce(doubt_seq, first_seq))
) STRICT, WITHOUT ROWID;
INSERT INTO item (ref, kind, card, first_seq, end_seq)
	SELECT ref, kind, card, intent_seq, end_seq FROM item_kept ORDER BY ref;
DROP TABLE item_kept;

CREATE INDEX item_open ON item (first_seq) WHERE end_seq IS NULL AND kind IN (10, 20, 40);

CREATE TRIGGER item_only_advances BEFORE UPDATE ON item
WHEN NEW.ref IS NOT OLD.ref OR NEW.kind IS NOT OLD.kind OR NEW.card IS NOT OLD.card
	OR NEW.first_seq IS NOT OLD.first_seq OR OLD.kind NOT IN (10, 20, 40) OR OLD.end_seq IS NOT NULL
	OR OLD.doubt_seq IS NOT NULL AND NEW.doubt_seq IS NOT OLD.doubt_seq
	OR NEW.doubt_seq IS OLD.doubt_seq AND NEW.end_seq IS NULL
BEGIN SELECT RAISE(ABORT, 'ledger: an intent is doubted once, and ends once'); END;

CREATE TRIGGER item_is_never_deleted BEFORE DELETE ON item
BEGIN SELECT RAISE(ABORT, 'ledger: items are never deleted'); END;

CREATE TRIGGER item_is_never_replaced BEFORE INSERT ON item
WHEN EXISTS (SELECT 1 FROM item WHERE ref = NEW.ref)
	OR NEW.doubt_seq IS NOT NULL OR NEW.end_seq IS NOT NULL
BEGIN SELECT RAISE(ABORT, 'ledger: an item is recorded once, and open'); END;

-- The tree over the hashes, as far as reading it needs: the hash over each
-- whole run of 256 entries (level 1), of 256 of these (level 2), and so on.
CREATE TABLE node (
	level INTEGER NOT NULL CHECK (level > 0),
	n     INTEGER NOT NULL CHECK (n >= 0),
	hash  BLOB    NOT NULL CHECK (length(hash) = 32),
	PRIMARY KEY (level, n)
) STRICT, WITHOUT ROWID;

CREATE TRIGGER node_is_never_changed BEFORE UPDATE ON node
BEGIN SELECT RAISE(ABORT, 'ledger: nodes are never changed'); END;

CREATE TRIGGER node_is_never_deleted BEFORE DELETE ON node
BEGIN SELECT RAISE(ABORT, 'ledger: nodes are never deleted'); END;

CREATE TRIGGER node_is_never_replaced BEFORE INSERT ON node
WHEN EXISTS (SELECT 1 FROM node WHERE level = NEW.level AND n = NEW.n)
BEGIN SELECT RAISE(ABORT, 'ledger: nodes are never replaced'); END;

-- What this terminal has signed for, and the same with upstream's signature.
CREATE TABLE checkpoint (
	size     INTEGER PRIMARY KEY CHECK (size > 0),
	note     BLOB NOT NULL,
	cosigned BLOB
) STRICT;

CREATE TRIGGER checkpoint_is_never_changed BEFORE UPDATE ON checkpoint
WHEN NEW.size IS NOT OLD.size OR NEW.note IS NOT OLD.note OR NEW.cosigned IS NULL
BEGIN SELECT RAISE(ABORT, 'ledger: checkpoints are never changed'); END;

-- A later one says all that an earlier one said, so one for every 256 entries is
-- enough.
CREATE TRIGGER checkpoint_is_kept BEFORE DELETE ON checkpoint
WHEN NOT EXISTS (SELECT 1 FROM checkpoint
	WHERE size > OLD.size AND (size - 1) / 256 = (OLD.size - 1) / 256 AND cosigned IS NOT NULL)
BEGIN SELECT RAISE(ABORT, 'ledger: no later checkpoint says as much'); END;

CREATE TRIGGER checkpoint_is_never_replaced BEFORE INSERT ON checkpoint
WHEN EXISTS (SELECT 1 FROM checkpoint WHERE size = NEW.size)
BEGIN SELECT RAISE(ABORT, 'ledger: checkpoints are never replaced'); END;

-- How much of the journal upstream has, by its own word. It is not in the
-- chain: losing it costs no more than telling upstream again.
CREATE TABLE acked (
	id   INTEGER PRIMARY KEY CHECK (id = 1),
	seq  INTEGER NOT NULL CHECK (seq >= 0),
	hash BLOB    NOT NULL CHECK (length(hash) = 32)
) STRICT;
INSERT INTO acked VALUES (1, 0, zeroblob(32));

CREATE TRIGGER acked_only_advances BEFORE UPDATE ON acked
WHEN NEW.id IS NOT OLD.id OR NEW.seq <= OLD.seq
	OR NEW.hash IS NOT (SELECT hash FROM journal WHERE seq = NEW.seq)
BEGIN SELECT RAISE(ABORT, 'ledger: what upstream has it keeps'); END;

CREATE TRIGGER acked_is_never_deleted BEFORE DELETE ON acked
BEGIN SELECT RAISE(ABORT, 'ledger: what upstream has it keeps'); END;

CREATE TRIGGER acked_is_never_replaced BEFORE INSERT ON acked
BEGIN SELECT RAISE(ABORT, 'ledger: what upstream has it keeps'); END;
