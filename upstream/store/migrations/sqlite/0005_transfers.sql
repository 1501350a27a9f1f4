-- An entry moves an amount from one account, its debit, to another, its
-- credit. So it comes to nothing by its form, and a batch of entries is as many
-- rows. Each names the entry that moved the same account before it (0 for
-- none), and an account the one that moved it last: from there its statement is
-- read backward. An index by account, which that saves, costs more than all the
-- rest: each entry changes another of its pages. What was two postings is a
-- view.
--
-- Entries of more than two postings were never written. If there are some
-- nevertheless, the books stay as they are.

CREATE TABLE chained (
	entry_id    INTEGER NOT NULL,
	account     TEXT    NOT NULL,
	amount_fen  INTEGER NOT NULL,
	balance_fen INTEGER NOT NULL,
	before_id   INTEGER NOT NULL,
	PRIMARY KEY (entry_id, account)
) STRICT, WITHOUT ROWID;
INSERT INTO chained
	SELECT entry_id, account, amount_fen, balance_fen,
		coalesce(lag(entry_id) OVER (PARTITION BY account ORDER BY entry_id), 0)
	FROM postings ORDER BY entry_id, account;
DROP TRIGGER postings_make_the_balance; -- it names what is made anew

-- Where an account stands is a projection: the sum of what its entries have
-- moved, and the last of them.
CREATE TABLE accounts_2 (
	account     TEXT    PRIMARY KEY CHECK (account <> ''),
	balance_fen INTEGER NOT NULL DEFAULT 0,
	last_entry  INTEGER NOT NULL DEFAULT 0
) STRICT, WITHOUT ROWID;
INSERT INTO accounts_2
	SELECT a.account, a.balance_fen, coalesce(l.entry_id, 0) FROM accounts a
	LEFT JOIN (SELECT account, max(entry_id) AS entry_id FROM postings GROUP BY account) AS l ON l.account = a.account
	ORDER BY a.account;
DROP TABLE accounts;
ALTER TABLE accounts_2 RENAME TO accounts;

CREATE TABLE entries_2 (
	id                 INTEGER PRIMARY KEY,
	kind               INTEGER NOT NULL CHECK (kind BETWEEN 1 AND 99),
	order_no           TEXT    REFERENCES orders (order_no),
	place              TEXT    NOT NULL,
	at_ms              INTEGER NOT NULL,
	made_ms            INTEGER,
	journal            INTEGER REFERENCES journals (id),
	seq                INTEGER,
	part               INTEGER,
	claim_id           INTEGER REFERENCES claims (id),
	undoes             INTEGER REFERENCES entries_2 (id),
	debit              TEXT    NOT NULL REFERENCES accounts (account),
	credit             TEXT    NOT NULL REFERENCES accounts (account),
	amount_fen         INTEGER NOT NULL CHECK (amount_fen > 0),
	debit_balance_fen  INTEGER NOT NULL, -- of the account, after it
	credit_balance_fen INTEGER NOT NULL,
	debit_before       INTEGER NOT NULL,
	credit_before      INTEGER NOT NULL,
	CHECK (debit <> credit),
	CHECK (debit_before < id AND credit_before < id),
	CHECK (kind <> 1 OR order_no IS NOT NULL),
	CHECK ((journal IS NULL) = (seq IS NULL) AND (journal IS NULL) = (part IS NULL))
) STRICT;
INSERT INTO entries_2
	SELECT e.id, e.kind, e.order_no, e.place, e.at_ms, e.made_ms, e.journal, e.seq, e.part, e.claim_id, e.undoes,
		d.account, c.account, c.amount_fen, d.balance_fen, c.balance_fen, d.before_id, c.before_id
	FROM entries e
	JOIN chained d ON d.entry_id = e.id AND d.amount_fen < 0
	JOIN chained c ON c.entry_id = e.id AND c.amount_fen = -d.amount_fen
	ORDER BY e.id;

CREATE TABLE form (all_have_two INTEGER NOT NULL CHECK (all_have_two = 1)) STRICT;
INSERT INTO form SELECT (SELECT count(*) FROM entries) = (SELECT count(*) FROM entries_2)
	AND (SELECT count(*) FROM postings) = 2 * (SELECT count(*) FROM entries_2);
DROP TABLE form;
DROP TABLE chained;
DROP TABLE postings;
DROP TABLE entries;
ALTER TABLE entries_2 RENAME TO entries;

CREATE UNIQUE INDEX an_order_is_credited_once ON entries (order_no) WHERE kind = 1;
CREATE UNIQUE INDEX a_terminals_entry_is_posted_once ON entries (journal, seq, part) WHERE journal IS NOT NULL;
CREATE INDEX entries_of_a_claim ON entries (claim_id) WHERE claim_id IS NOT NULL;
CREATE INDEX entries_that_undo ON entries (undoes) WHERE undoes IS NOT NULL;

CREATE VIEW postings (entry_id, account, amount_fen, balance_fen, before_id) AS
	SELECT id, debit, -amount_fen, debit_balance_fen, debit_before FROM entries
	UNION ALL
	SELECT id, credit, amount_fen, credit_balance_fen, credit_before FROM entries;

CREATE TRIGGER entries_make_the_balance AFTER INSERT ON entries
BEGIN
	UPDATE accounts SET balance_fen = NEW.debit_balance_fen, last_entry = NEW.id
	WHERE account = NEW.debit AND last_entry = NEW.debit_before
		AND balance_fen - NEW.amount_fen = NEW.debit_balance_fen;
	SELECT RAISE(ABORT, 'store: this entry does not follow the balance') WHERE changes() <> 1;
	UPDATE accounts SET balance_fen = NEW.credit_balance_fen, last_entry = NEW.id
	WHERE account = NEW.credit AND last_entry = NEW.credit_before
		AND balance_fen + NEW.amount_fen = NEW.credit_balance_fen;
	SELECT RAISE(ABORT, 'store: this entry does not follow the balance') WHERE changes() <> 1;
END;
CREATE TRIGGER entries_are_never_changed BEFORE UPDATE ON entries
BEGIN SELECT RAISE(ABORT, 'store: entries are never changed'); END;
CREATE TRIGGER entries_are_never_deleted BEFORE DELETE ON entries
BEGIN SELECT RAISE(ABORT, 'store: entries are never deleted'); END;
