-- A controller's later word can say that somebody was there whom it had called absent
-- before: its clock was wrong. Then nobody knows (4 to 5).
DROP TRIGGER bath_reservations_move_forward;
CREATE TRIGGER bath_reservations_move_forward BEFORE UPDATE ON bath_reservations
WHEN OLD.state = 3 OR OLD.hold <> NEW.hold AND OLD.hold <> 1
	OR OLD.state <> NEW.state AND (OLD.state, NEW.state) NOT IN (VALUES
		(1, 2), (1, 3), (1, 4), (1, 5), (2, 3), (4, 3), (4, 5), (5, 3))
BEGIN SELECT RAISE(ABORT, 'store: a reservation moves forward only'); END;
