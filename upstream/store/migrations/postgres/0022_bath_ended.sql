-- References of reservations that terminals have given up, as in ../sqlite.
CREATE TABLE bath_ended (
	ref      TEXT   PRIMARY KEY CHECK (ref ~ '^[0-9A-Za-z_]{1,64}$'),
	terminal TEXT   NOT NULL REFERENCES terminals (id),
	ended_ms BIGINT NOT NULL
);
