-- One row for each entry.
--
-- What an entry moves, and the Ref that it says something under, stood in rows
-- of their own, in posting and item. A row costs as much as an entry does, so
-- they are columns of the entry's own row now. Every row is kept to the byte.

CREATE TABLE said (seq INTEGER PRIMARY KEY, ref TEXT NOT NULL, role INTEGER NOT NULL) STRICT;
INSERT INTO said SELECT first_seq, ref, CASE WHEN end_seq = first_seq THEN 8 ELSE 1 END FROM item
	UNION ALL SELECT doubt_seq, ref, 2 FROM item WHERE doubt_seq IS NOT NULL
	UNION ALL SELECT end_seq, ref, 4 FROM item WHERE end_seq > first_seq;

-- journal is the truth: body holds the exact bytes that were written and hash
-- is SHA-256(0x00 || body). The other columns follow from the body.
--
-- debit, credit, amount: what the entry moves, in fen. Every kind of entry moves
-- one amount from one account to another, or nothing, so that no row can be out
-- of balance.
--
-- ref, role: what it says something under. role is 1 for an intent, 2 for its
-- doubt (of an order: that its code was shown), 4 for its end, and 8 for what
-- stands alone: one bit each, so that their sum tells which of them there are.
CREATE TABLE journal_kept (
	seq    INTEGER PRIMARY KEY CHECK (seq > 0),
	body   BLOB NOT NULL,
	hash   BLOB NOT NULL CHECK (length(hash) = 32),
	debit  INTEGER REFERENCES account (id) DEFERRABLE INITIALLY DEFERRED,
	credit INTEGER REFERENCES account (id) DEFERRABLE INITIALLY DEFERRED,
	amount INTEGER CHECK (amount > 0),
	ref    TEXT CHECK (ref <> ''),
	role   INTEGER CHECK (role IN (1, 2, 4, 8)),
	CHECK (credit <> debit OR amount IS NULL),
	CHECK ((debit IS NULL) = (amount IS NULL) AND (credit IS NULL) = (amount IS NULL)),
	CHECK ((ref IS NULL) = (role IS NULL))
) STRICT;
INSERT INTO journal_kept
	SELECT j.seq, j.body, j.hash, p.debit, p.credit, p.amount, s.ref, s.role
	FROM journal j LEFT JOIN posting p ON p.seq = j.seq LEFT JOIN said s ON s.seq = j.seq ORDER BY j.seq;
DROP TABLE said;
DROP TABLE item;
DROP TABLE posting;
DROP TRIGGER acked_only_advances; -- which names journal, and is made again below
DROP TABLE journal;
ALTER TABLE journal_kept RENAME TO journal;

-- Refs begin with the time, so that new rows come at the end.
CREATE UNIQUE INDEX journal_said ON journal (ref, role) WHERE ref IS NOT NULL;

CREATE TRIGGER journal_is_never_changed BEFORE UPDATE ON journal
BEGIN SELECT RAISE(ABORT, 'ledger: entries are never changed'); END;

CREATE TRIGGER journal_is_never_deleted BEFORE DELETE ON journal
BEGIN SELECT RAISE(ABORT, 'ledger: entries are never deleted'); END;

-- A new row is the entry after the last one, by its own word too: in the second
-- form (docs/JOURNAL.md) bytes 2 to 33 are the hash of the entry before, and 34
-- to 41 its number. And it begins something once, or goes on with what was begun
-- and has not ended, doubting it once. This also stops INSERT OR REPLACE, which
-- fires no DELETE trigger.
--
-- One trigger does the work of several, each of which costs as much as a row.
CREATE TRIGGER journal_goes_on BEFORE INSERT ON journal
WHEN substr(NEW.body, 1, 1) IS NOT x'02' OR hex(substr(NEW.body, 34, 8)) IS NOT printf('%016X', NEW.seq)
	OR (NEW.seq, substr(NEW.body, 2, 32)) IS NOT (SELECT seq + 1, hash FROM journal ORDER BY seq DESC LIMIT 1)
		AND (NEW.seq IS NOT 1 OR substr(NEW.body, 2, 32) IS NOT zeroblob(32) OR EXISTS (SELECT 1 FROM journal))
	OR CASE coalesce((SELECT sum(role) FROM journal WHERE ref = NEW.ref), 0)
		WHEN 0 THEN NEW.role IN (2, 4) WHEN 1 THEN NEW.role IN (1, 8) WHEN 3 THEN NEW.role <> 4 ELSE 1 END
BEGIN SELECT RAISE(ABORT, 'ledger: entry does not follow the last one'); END;

-- The intents that have no end yet.
CREATE TABLE open_item (seq INTEGER PRIMARY KEY) STRICT;
INSERT INTO open_item SELECT seq FROM journal i WHERE role = 1
	AND NOT EXISTS (SELECT 1 FROM journal WHERE ref = i.ref AND role = 4);

CREATE TRIGGER journal_opens_and_ends AFTER INSERT ON journal WHEN NEW.role IN (1, 4)
BEGIN
	INSERT INTO open_item SELECT NEW.seq WHERE NEW.role = 1;
	DELETE FROM open_item
		WHERE NEW.role = 4 AND seq = (SELECT seq FROM journal WHERE ref = NEW.ref AND role = 1);
END;

CREATE TRIGGER open_item_is_the_last_entry BEFORE INSERT ON open_item
WHEN (NEW.seq, 1) IS NOT (SELECT seq, role FROM journal ORDER BY seq DESC LIMIT 1)
BEGIN SELECT RAISE(ABORT, 'ledger: an item is begun once, with its entry'); END;

CREATE TRIGGER open_item_is_never_changed BEFORE UPDATE ON open_item
BEGIN SELECT RAISE(ABORT, 'ledger: open items are never changed'); END;

CREATE TRIGGER open_item_is_kept BEFORE DELETE ON open_item
WHEN NOT EXISTS (SELECT 1 FROM journal
	WHERE ref = (SELECT ref FROM journal WHERE seq = OLD.seq) AND role = 4)
BEGIN SELECT RAISE(ABORT, 'ledger: an item is open until it ends'); END;

CREATE TRIGGER acked_only_advances BEFORE UPDATE ON acked
WHEN NEW.id IS NOT OLD.id OR NEW.seq <= OLD.seq
	OR NEW.hash IS NOT (SELECT hash FROM journal WHERE seq = NEW.seq)
BEGIN SELECT RAISE(ABORT, 'ledger: what upstream has it keeps'); END;
