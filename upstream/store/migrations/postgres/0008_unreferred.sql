-- Two thirds of what a batch of a terminal's journal cost PostgreSQL were foreign
-- keys: for each row it looks up, and locks, accounts and a journal that the
-- same transaction has locked already. Neither is ever deleted (no role may), so
-- what the keys promised is kept as follows.
--
--   an entry is of accounts and of a journal that are there: the program holds
--   both, and undoes a transaction in which one could not be brought forward;
--   Verify finds what breaks it

ALTER TABLE entries DROP CONSTRAINT entries_debit_fkey;
ALTER TABLE entries DROP CONSTRAINT entries_credit_fkey;
ALTER TABLE entries DROP CONSTRAINT entries_journal_fkey;
ALTER TABLE journal_entries DROP CONSTRAINT journal_entries_journal_fkey;
