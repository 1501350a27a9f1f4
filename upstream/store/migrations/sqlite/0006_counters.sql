-- A card uses each value of its counter for one purchase. proven_counter is a
-- projection: the highest at which a card has proved one, -1 for none. What is
-- proved above it needs no look at the purchases before.
ALTER TABLE cards ADD COLUMN proven_counter INTEGER NOT NULL DEFAULT -1;
UPDATE cards SET proven_counter = proved.counter
	FROM (SELECT card_no, max(counter) AS counter FROM purse_moves WHERE proven = 1 AND amount_fen < 0 GROUP BY card_no)
		AS proved
	WHERE proved.card_no = cards.card_no;
DROP TRIGGER moves_make_the_mirror;
CREATE TRIGGER moves_make_the_mirror AFTER INSERT ON purse_moves
BEGIN
	UPDATE cards SET mirror_fen = mirror_fen + NEW.amount_fen,
		proven_counter = CASE WHEN NEW.proven = 1 AND NEW.amount_fen < 0 THEN max(proven_counter, NEW.counter)
			ELSE proven_counter END
	WHERE card_no = NEW.card_no;
END;
