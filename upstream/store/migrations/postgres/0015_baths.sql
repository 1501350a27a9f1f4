-- Baths (浴室): where and when people wash, who has reserved which place, and
-- what the water controllers say was used.

-- In a whole hall a code opens whichever stall is free; else it is of one stall.
CREATE TABLE bath_halls (
	hall         BIGINT  PRIMARY KEY CHECK (hall BETWEEN 1 AND 65535),
	name         TEXT    NOT NULL CHECK (name <> ''),
	merchant     TEXT    NOT NULL CHECK (merchant <> ''),
	whole        BOOLEAN NOT NULL,
	cap_fen      BIGINT  NOT NULL CHECK (cap_fen > 0), -- that is held for a shower
	litre_fen    BIGINT  NOT NULL CHECK (litre_fen > 0),
	litre_pulses BIGINT  NOT NULL CHECK (litre_pulses > 0),
	cancel_min   BIGINT  NOT NULL CHECK (cancel_min >= 0), -- minutes before a slot, until when it can be cancelled
	closed       BOOLEAN NOT NULL DEFAULT false
);

CREATE TABLE bath_stalls (
	hall   BIGINT  NOT NULL REFERENCES bath_halls (hall),
	stall  BIGINT  NOT NULL CHECK (stall BETWEEN 1 AND 65535),
	closed BOOLEAN NOT NULL DEFAULT false,
	PRIMARY KEY (hall, stall)
);

-- Slots of every day. A number always means the same time: controllers know it.
CREATE TABLE bath_slots (
	hall     BIGINT  NOT NULL REFERENCES bath_halls (hall),
	slot     BIGINT  NOT NULL CHECK (slot BETWEEN 0 AND 255),
	from_min BIGINT  NOT NULL CHECK (from_min >= 0),
	to_min   BIGINT  NOT NULL CHECK (to_min > from_min AND to_min <= 1440),
	closed   BOOLEAN NOT NULL DEFAULT false,
	PRIMARY KEY (hall, slot)
);

-- Reservations. stall 0 is a whole hall; n is the serial number of the code, which
-- is not kept. State 1 reserved, 2 cancelled, 3 used, 4 not used, 5 nobody knows.
-- Hold 1 held, 2 captured, 3 released.
CREATE TABLE bath_reservations (
	ref          TEXT    PRIMARY KEY CHECK (ref ~ '^[0-9A-Za-z_]{1,64}$'),
	terminal     TEXT    NOT NULL REFERENCES terminals (id),
	account      TEXT    NOT NULL REFERENCES accounts (account),
	hall         BIGINT  NOT NULL REFERENCES bath_halls (hall),
	stall        BIGINT  NOT NULL CHECK (stall BETWEEN 0 AND 65535),
	day          BIGINT  NOT NULL CHECK (day BETWEEN 0 AND 65535),
	slot         BIGINT  NOT NULL,
	n            BIGINT  NOT NULL CHECK (n BETWEEN 0 AND 99),
	cap_fen      BIGINT  NOT NULL CHECK (cap_fen > 0),
	litre_fen    BIGINT  NOT NULL CHECK (litre_fen > 0),
	litre_pulses BIGINT  NOT NULL CHECK (litre_pulses > 0),
	from_ms      BIGINT  NOT NULL,
	to_ms        BIGINT  NOT NULL CHECK (to_ms > from_ms),
	cancel_ms    BIGINT  NOT NULL, -- until when it can be cancelled
	made_ms      BIGINT  NOT NULL,
	state        BIGINT  NOT NULL DEFAULT 1 CHECK (state BETWEEN 1 AND 5),
	moved_ms     BIGINT  NOT NULL, -- when it came to its state
	hold         BIGINT  NOT NULL DEFAULT 1 CHECK (hold BETWEEN 1 AND 3),
	captured_fen BIGINT  NOT NULL DEFAULT 0 CHECK (captured_fen BETWEEN 0 AND cap_fen),
	entry_id     BIGINT  UNIQUE REFERENCES entries (id),
	UNIQUE (hall, stall, day, slot, n),
	FOREIGN KEY (hall, slot) REFERENCES bath_slots (hall, slot),
	CHECK (stall > 0 OR n < 100),
	CHECK (stall = 0 OR n < 4),
	CHECK (state <> 1 OR hold = 1),
	CHECK (hold <> 2 OR state = 3),
	CHECK ((captured_fen > 0) = (entry_id IS NOT NULL)),
	CHECK (entry_id IS NULL OR state = 3)
);
CREATE UNIQUE INDEX a_stall_is_reserved_once ON bath_reservations (hall, stall, day, slot)
	WHERE state = 1 AND stall > 0;
CREATE UNIQUE INDEX a_holder_reserves_a_slot_once ON bath_reservations (account, hall, day, slot) WHERE state = 1;
CREATE INDEX bath_reservations_of_an_account ON bath_reservations (account, to_ms);
CREATE INDEX bath_reservations_that_hold ON bath_reservations (to_ms) WHERE hold = 1;

-- Reports of controllers, as they came. A controller is its stall, or 0 for that of
-- a whole hall.
CREATE TABLE bath_reports (
	digest      BYTEA   PRIMARY KEY CHECK (length(digest) = 32),
	hall        BIGINT  NOT NULL,
	controller  BIGINT  NOT NULL,
	day         BIGINT  NOT NULL,
	slot        BIGINT  NOT NULL,
	final       BOOLEAN NOT NULL, -- it says of every code whether it was used
	line        TEXT    NOT NULL,
	carrier     TEXT    NOT NULL, -- terminal, or 'console'
	received_ms BIGINT  NOT NULL
);
CREATE INDEX bath_reports_of_a_slot ON bath_reports (hall, controller, day, slot);

-- What codes were used for. Part 0 is what a controller has said first; what it
-- has said otherwise later has 1 and more, and moves nothing.
CREATE TABLE bath_uses (
	hall       BIGINT  NOT NULL,
	controller BIGINT  NOT NULL,
	day        BIGINT  NOT NULL,
	slot       BIGINT  NOT NULL,
	n          BIGINT  NOT NULL,
	part       BIGINT  NOT NULL CHECK (part >= 0),
	stall      BIGINT  NOT NULL CHECK (stall > 0),
	start_s    BIGINT  NOT NULL,
	end_s      BIGINT  NOT NULL CHECK (end_s >= start_s),
	pulses     BIGINT  NOT NULL CHECK (pulses >= 0),
	amount_fen BIGINT  NOT NULL CHECK (amount_fen >= 0),
	pauses     BIGINT  NOT NULL CHECK (pauses >= 0),
	ending     BIGINT  NOT NULL CHECK (ending BETWEEN 1 AND 5),
	inside     BOOLEAN NOT NULL, -- it began in its slot, or in the grace around it
	ref        TEXT    REFERENCES bath_reservations (ref), -- NULL for a code that nobody had reserved
	report     BYTEA   NOT NULL REFERENCES bath_reports (digest),
	PRIMARY KEY (hall, controller, day, slot, n, part)
);
CREATE UNIQUE INDEX a_reservation_is_used_once ON bath_uses (ref) WHERE part = 0;
