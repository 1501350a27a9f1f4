-- An entry moves an amount from its debit to its credit, as in ../sqlite. What
-- the trigger there promises is kept as follows.
--
--   an entry follows what moved its accounts before it, and they stand where it
--   has brought them: the program does it with the accounts locked, and Verify
--   finds what breaks it

ALTER TABLE accounts ADD COLUMN last_entry BIGINT NOT NULL DEFAULT 0;
UPDATE accounts SET last_entry = l.entry_id
	FROM (SELECT account, max(entry_id) AS entry_id FROM postings GROUP BY account) AS l
	WHERE l.account = accounts.account;

ALTER TABLE entries ADD COLUMN debit TEXT REFERENCES accounts (account);
ALTER TABLE entries ADD COLUMN credit TEXT REFERENCES accounts (account);
ALTER TABLE entries ADD COLUMN amount_fen BIGINT;
ALTER TABLE entries ADD COLUMN debit_balance_fen BIGINT;
ALTER TABLE entries ADD COLUMN credit_balance_fen BIGINT;
ALTER TABLE entries ADD COLUMN debit_before BIGINT;
ALTER TABLE entries ADD COLUMN credit_before BIGINT;

WITH chained AS (
	SELECT entry_id, account, amount_fen, balance_fen,
		coalesce(lag(entry_id) OVER (PARTITION BY account ORDER BY entry_id), 0) AS before_id
	FROM postings)
UPDATE entries SET debit = d.account, credit = c.account, amount_fen = c.amount_fen,
	debit_balance_fen = d.balance_fen, credit_balance_fen = c.balance_fen,
	debit_before = d.before_id, credit_before = c.before_id
FROM chained d JOIN chained c ON c.entry_id = d.entry_id AND c.amount_fen = -d.amount_fen
WHERE d.entry_id = entries.id AND d.amount_fen < 0;

CREATE TABLE form (all_have_two BOOLEAN NOT NULL CHECK (all_have_two));
INSERT INTO form SELECT (SELECT count(*) FROM postings) = 2 * (SELECT count(*) FROM entries);
DROP TABLE form;

ALTER TABLE entries ALTER COLUMN debit SET NOT NULL;
ALTER TABLE entries ALTER COLUMN credit SET NOT NULL;
ALTER TABLE entries ALTER COLUMN amount_fen SET NOT NULL;
ALTER TABLE entries ALTER COLUMN debit_balance_fen SET NOT NULL;
ALTER TABLE entries ALTER COLUMN credit_balance_fen SET NOT NULL;
ALTER TABLE entries ALTER COLUMN debit_before SET NOT NULL;
ALTER TABLE entries ALTER COLUMN credit_before SET NOT NULL;
ALTER TABLE entries ADD CHECK (amount_fen > 0);
ALTER TABLE entries ADD CHECK (debit <> credit);
ALTER TABLE entries ADD CHECK (debit_before < id AND credit_before < id);
ALTER TABLE entries DROP COLUMN lines;

DROP TABLE postings;
CREATE VIEW postings (entry_id, account, amount_fen, balance_fen, before_id) AS
	SELECT id, debit, -amount_fen, debit_balance_fen, debit_before FROM entries
	UNION ALL
	SELECT id, credit, amount_fen, credit_balance_fen, credit_before FROM entries;
