-- What upstream has to be told, and whether it has been.
--
-- Every end is in here, and every load that was left in doubt. The column
-- reported is the terminal's own memory: it is not in the chain, and losing it
-- costs no more than telling upstream twice.
CREATE TABLE outbox (
	seq      INTEGER PRIMARY KEY REFERENCES journal (seq),
	reported INTEGER NOT NULL DEFAULT 0 CHECK (reported IN (0, 1))
) STRICT;

CREATE INDEX outbox_waiting ON outbox (seq) WHERE reported = 0;

INSERT INTO outbox (seq) SELECT end_seq FROM item WHERE end_seq IS NOT NULL ORDER BY end_seq;

CREATE TRIGGER outbox_only_advances BEFORE UPDATE ON outbox
WHEN NEW.seq IS NOT OLD.seq OR NEW.reported < OLD.reported
BEGIN SELECT RAISE(ABORT, 'ledger: what was reported stays reported'); END;

CREATE TRIGGER outbox_is_never_deleted BEFORE DELETE ON outbox
BEGIN SELECT RAISE(ABORT, 'ledger: reports are never deleted'); END;

CREATE TRIGGER outbox_is_never_replaced BEFORE INSERT ON outbox
WHEN EXISTS (SELECT 1 FROM outbox WHERE seq = NEW.seq)
BEGIN SELECT RAISE(ABORT, 'ledger: a report is asked for once'); END;
