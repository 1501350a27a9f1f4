-- The journal, and what is open in it.
--
-- journal is the truth. Rows are added and never changed; body holds the exact
-- bytes that were written and hash is SHA-256(0x00 || body). Every other table
-- about entries is a projection that Verify rebuilds from the bodies.

PRAGMA application_id = 0x51434C45; -- "QCLE"

CREATE TABLE meta (
	key   TEXT NOT NULL PRIMARY KEY,
	value BLOB NOT NULL
) STRICT, WITHOUT ROWID;

-- epoch tells two journals of one terminal apart: it is drawn once, when a
-- journal is made, and the first entry repeats it.
INSERT INTO meta (key, value) VALUES ('epoch', randomblob(8));

CREATE TRIGGER meta_is_never_changed BEFORE UPDATE ON meta
BEGIN SELECT RAISE(ABORT, 'ledger: meta is never changed'); END;

CREATE TRIGGER meta_is_never_deleted BEFORE DELETE ON meta
BEGIN SELECT RAISE(ABORT, 'ledger: meta is never deleted'); END;

CREATE TRIGGER meta_is_never_replaced BEFORE INSERT ON meta
WHEN EXISTS (SELECT 1 FROM meta WHERE key = NEW.key)
BEGIN SELECT RAISE(ABORT, 'ledger: meta is never replaced'); END;

CREATE TABLE journal (
	seq  INTEGER PRIMARY KEY CHECK (seq > 0),
	body BLOB NOT NULL CHECK (json_valid(CAST(body AS TEXT))),
	hash BLOB NOT NULL CHECK (length(hash) = 32)
) STRICT;

CREATE TRIGGER journal_is_never_changed BEFORE UPDATE ON journal
BEGIN SELECT RAISE(ABORT, 'ledger: entries are never changed'); END;

CREATE TRIGGER journal_is_never_deleted BEFORE DELETE ON journal
BEGIN SELECT RAISE(ABORT, 'ledger: entries are never deleted'); END;

-- This one also stops INSERT OR REPLACE, which fires no DELETE trigger.
CREATE TRIGGER journal_has_no_gap BEFORE INSERT ON journal
WHEN NEW.seq IS NOT (SELECT coalesce(max(seq), 0) + 1 FROM journal)
	OR json_extract(CAST(NEW.body AS TEXT), '$.seq') IS NOT NEW.seq
BEGIN SELECT RAISE(ABORT, 'ledger: entry out of sequence'); END;

CREATE TRIGGER journal_is_a_chain BEFORE INSERT ON journal
WHEN json_extract(CAST(NEW.body AS TEXT), '$.prev') IS NOT
	coalesce((SELECT lower(hex(hash)) FROM journal WHERE seq = NEW.seq - 1), printf('%064d', 0))
BEGIN SELECT RAISE(ABORT, 'ledger: entry does not follow the one before'); END;

-- One row per intent: what it is about, and the entry that ended it.
CREATE TABLE item (
	intent_seq INTEGER PRIMARY KEY REFERENCES journal (seq),
	end_seq    INTEGER UNIQUE REFERENCES journal (seq) CHECK (end_seq > intent_seq),
	ref        TEXT    NOT NULL UNIQUE CHECK (ref <> ''),
	kind       INTEGER NOT NULL CHECK (kind IN (10, 20)),
	card       TEXT    NOT NULL
) STRICT;

CREATE INDEX item_open ON item (intent_seq) WHERE end_seq IS NULL;

CREATE TRIGGER item_ends_once BEFORE UPDATE ON item
WHEN OLD.end_seq IS NOT NULL OR NEW.end_seq IS NULL
	OR NEW.ref IS NOT OLD.ref OR NEW.kind IS NOT OLD.kind
	OR NEW.card IS NOT OLD.card OR NEW.intent_seq IS NOT OLD.intent_seq
BEGIN SELECT RAISE(ABORT, 'ledger: an intent only ends, and once'); END;

CREATE TRIGGER item_is_never_deleted BEFORE DELETE ON item
BEGIN SELECT RAISE(ABORT, 'ledger: intents are never deleted'); END;

CREATE TRIGGER item_is_never_replaced BEFORE INSERT ON item
WHEN EXISTS (SELECT 1 FROM item WHERE ref = NEW.ref OR intent_seq = NEW.intent_seq)
	OR NEW.end_seq IS NOT NULL
BEGIN SELECT RAISE(ABORT, 'ledger: an intent is recorded once, and open'); END;
