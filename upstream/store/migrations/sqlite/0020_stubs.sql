-- The stub (结算码) with which a holder says what a shower has cost before its
-- controller's log is here: what it said, at which terminal, and how many were wrong.
ALTER TABLE bath_reservations ADD COLUMN stub_fen INTEGER CHECK (stub_fen >= 0);
ALTER TABLE bath_reservations ADD COLUMN stub_terminal TEXT REFERENCES terminals (id);
ALTER TABLE bath_reservations ADD COLUMN stubs_wrong INTEGER NOT NULL DEFAULT 0 CHECK (stubs_wrong BETWEEN 0 AND 5);

CREATE TRIGGER bath_stubs_are_never_changed BEFORE UPDATE ON bath_reservations
WHEN OLD.stub_fen IS NOT NULL AND (OLD.stub_fen, OLD.stub_terminal) IS NOT (NEW.stub_fen, NEW.stub_terminal)
	OR NEW.stubs_wrong < OLD.stubs_wrong
BEGIN SELECT RAISE(ABORT, 'store: what a stub has said stays'); END;
