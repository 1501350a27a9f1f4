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

-- A new row is the entry after the last one, by its own word too: in the second
-- form (docs/JOURNAL.md) bytes 2 to 33 are the hash of the entry before, and 34
-- to 41 its number. This also stops INSERT OR REPLACE, which fires no DELETE
-- trigger.
--
-- Here and below one trigger does the work of all foreign keys and of several
-- triggers: each of them costs an entry as much as a row does.
CREATE TRIGGER journal_is_a_chain BEFORE INSERT ON journal
WHEN substr(NEW.body, 1, 1) IS NOT x'02' OR substr(NEW.body, 34, 8) IS NOT unhex(printf('%016x', NEW.seq))
	OR (NEW.seq, substr(NEW.body, 2, 32)) IS NOT (SELECT seq + 1, hash FROM journal ORDER BY seq DESC LIMIT 1)
		AND (NEW.seq IS NOT 1 OR substr(NEW.body, 2, 32) IS NOT zeroblob(32) OR EXISTS (SELECT 1 FROM journal))
BEGIN SELECT RAISE(ABORT, 'ledger: entry does not follow the last one'); END;

-- The accounts that this terminal posts to. Both sums only ever grow; credits
-- less debits is the balance. flags: 1 = never a credit balance, as a drawer
-- that pays out more than it holds would have.
CREATE TABLE account (
	id      INTEGER PRIMARY KEY CHECK (id > 0),
	name    TEXT    NOT NULL UNIQUE CHECK (name <> ''),
	flags   INTEGER NOT NULL CHECK (flags = 0 OR flags = 1),
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

-- What an entry moves, in fen: every kind of entry moves one amount from one
-- account to another, or nothing. So no row can be out of balance.
CREATE TABLE posting (
	seq    INTEGER PRIMARY KEY,
	debit  INTEGER NOT NULL REFERENCES account (id) DEFERRABLE INITIALLY DEFERRED,
	credit INTEGER NOT NULL REFERENCES account (id) DEFERRABLE INITIALLY DEFERRED CHECK (credit <> debit),
	amount INTEGER NOT NULL CHECK (amount > 0)
) STRICT;

CREATE TRIGGER posting_is_never_changed BEFORE UPDATE ON posting
BEGIN SELECT RAISE(ABORT, 'ledger: postings are never changed'); END;

CREATE TRIGGER posting_is_never_deleted BEFORE DELETE ON posting
BEGIN SELECT RAISE(ABORT, 'ledger: postings are never deleted'); END;

CREATE TRIGGER posting_is_of_the_last_entry BEFORE INSERT ON posting
WHEN NEW.seq IS NOT (SELECT max(seq) FROM journal)
	OR EXISTS (SELECT 1 FROM posting WHERE seq = NEW.seq)
BEGIN SELECT RAISE(ABORT, 'ledger: postings are made with their entry'); END;

-- One row for each Ref: the entry that began it; its doubt (for an order: that
-- its code was shown); and its end, which is the same entry for what stands
-- alone. kind is the first entry's. Refs begin with the time, so that new rows
-- come at the end.
CREATE TABLE item (
	ref       TEXT    NOT NULL PRIMARY KEY CHECK (ref <> ''),
	kind      INTEGER NOT NULL CHECK (kind > 0),
	card      TEXT    NOT NULL,
	first_seq INTEGER NOT NULL CHECK (first_seq > 0),
	doubt_seq INTEGER CHECK (doubt_seq > first_seq),
	end_seq   INTEGER CHECK (end_seq >= first_seq)
) STRICT, WITHOUT ROWID;
INSERT INTO item (ref, kind, card, first_seq, end_seq)
	SELECT ref, kind, card, intent_seq, end_seq FROM item_kept ORDER BY ref;
DROP TABLE item_kept;

CREATE INDEX item_open ON item (first_seq) WHERE end_seq IS NULL;

CREATE TRIGGER item_is_begun_once BEFORE INSERT ON item
WHEN NEW.first_seq IS NOT (SELECT max(seq) FROM journal)
	OR NEW.doubt_seq IS NOT NULL OR NEW.end_seq <> NEW.first_seq
	OR EXISTS (SELECT 1 FROM item WHERE ref = NEW.ref)
BEGIN SELECT RAISE(ABORT, 'ledger: an item is begun once, with its entry'); END;

CREATE TRIGGER item_only_advances BEFORE UPDATE ON item
WHEN OLD.end_seq IS NOT NULL
	OR NEW.ref IS NOT OLD.ref OR NEW.kind IS NOT OLD.kind OR NEW.card IS NOT OLD.card
	OR NEW.first_seq IS NOT OLD.first_seq
	OR coalesce(NEW.end_seq, NEW.doubt_seq) IS NOT (SELECT max(seq) FROM journal)
	OR NEW.doubt_seq IS NOT OLD.doubt_seq AND (OLD.doubt_seq IS NOT NULL OR NEW.end_seq IS NOT NULL)
BEGIN SELECT RAISE(ABORT, 'ledger: an intent is doubted once, and ends once'); END;

CREATE TRIGGER item_is_never_deleted BEFORE DELETE ON item
BEGIN SELECT RAISE(ABORT, 'ledger: items are never deleted'); END;

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
