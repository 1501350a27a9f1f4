-- A controller's later word can say that somebody was there whom it had called absent
-- before, as in ../sqlite. Nothing here stands against that.
SELECT 1;
