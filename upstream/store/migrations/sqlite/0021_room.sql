-- A hold can also be of room: cash is about to be taken onto an account, and
-- nothing else that would then lift it above the cap is let in before.
ALTER TABLE holds ADD COLUMN room INTEGER NOT NULL DEFAULT 0 CHECK (room IN (0, 1));

DROP TRIGGER holds_move_forward;
CREATE TRIGGER holds_move_forward BEFORE UPDATE ON holds
WHEN NEW.state < OLD.state OR OLD.state >= 3
	OR (OLD.id, OLD.terminal, OLD.epoch, OLD.seq, OLD.attempt, OLD.account, OLD.card_no, OLD.merchant,
		OLD.amount_fen, OLD.virtual, OLD.room, OLD.placed_ms)
	IS NOT (NEW.id, NEW.terminal, NEW.epoch, NEW.seq, NEW.attempt, NEW.account, NEW.card_no, NEW.merchant,
		NEW.amount_fen, NEW.virtual, NEW.room, NEW.placed_ms)
BEGIN SELECT RAISE(ABORT, 'store: a hold moves forward only'); END;
