-- A card uses each value of its counter for one purchase. proven_counter is a
-- projection: the highest at which a card has proved one, -1 for none. What is
-- proved above it needs no look at the purchases before.
ALTER TABLE cards ADD COLUMN proven_counter BIGINT NOT NULL DEFAULT -1;
UPDATE cards SET proven_counter = proved.counter
	FROM (SELECT card_no, max(counter) AS counter FROM purse_moves WHERE proven AND amount_fen < 0 GROUP BY card_no)
		AS proved
	WHERE proved.card_no = cards.card_no;
