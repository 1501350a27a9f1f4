-- Who works at terminals, as in ../sqlite. That members are never deleted, and
-- what was changed of them never changes, is rights.

CREATE TABLE staff (
	no          TEXT   PRIMARY KEY CHECK (length(no) BETWEEN 1 AND 16),
	name        TEXT   NOT NULL CHECK (name <> ''),
	role        BIGINT NOT NULL CHECK (role BETWEEN 1 AND 4),
	card_no     TEXT   UNIQUE CHECK (card_no ~ '^[0-9A-F]{20}$'),
	pin_salt    BYTEA  NOT NULL CHECK (length(pin_salt) = 16),
	pin_hash    BYTEA  NOT NULL CHECK (length(pin_hash) = 32),
	pin_wrong   BIGINT NOT NULL DEFAULT 0 CHECK (pin_wrong BETWEEN 0 AND 5),
	pin_version BIGINT NOT NULL DEFAULT 1,
	revoked_ms  BIGINT,
	CHECK (revoked_ms IS NULL OR card_no IS NULL)
);

CREATE TABLE staff_changes (
	id     BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
	no     TEXT   NOT NULL REFERENCES staff (no),
	what   TEXT   NOT NULL,
	by_who TEXT   NOT NULL CHECK (by_who <> ''),
	at_ms  BIGINT NOT NULL
);
CREATE INDEX changes_of_a_member ON staff_changes (no);
