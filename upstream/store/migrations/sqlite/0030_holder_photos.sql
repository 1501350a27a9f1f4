-- A small photo of a holder, as a till shows it beside a sale. There is the newest alone:
-- it is replaced, and goes with the account.
CREATE TABLE holder_photos (
	account TEXT    PRIMARY KEY REFERENCES holders (account),
	jpeg    BLOB    NOT NULL CHECK (length(jpeg) BETWEEN 1 AND 65536),
	at_ms   INTEGER NOT NULL CHECK (at_ms > 0)
) STRICT;
