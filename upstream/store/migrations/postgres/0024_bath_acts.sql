-- What holders have asked for about reservations, as in ../sqlite.
CREATE TABLE bath_acts (
	ref         TEXT     PRIMARY KEY CHECK (ref ~ '^[0-9A-Za-z_]{1,64}$'),
	terminal    TEXT     NOT NULL REFERENCES terminals (id),
	kind        SMALLINT NOT NULL CHECK (kind IN (1, 2)),
	reservation TEXT     NOT NULL REFERENCES bath_reservations (ref),
	tries       SMALLINT CHECK (tries IS NULL OR kind = 2 AND tries BETWEEN 0 AND 4),
	at_ms       BIGINT   NOT NULL
);

CREATE INDEX bath_acts_reservation ON bath_acts (reservation);
