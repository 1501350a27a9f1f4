-- Baths (浴室): where and when people wash, who has reserved which place, and
-- what the water controllers say was used.

-- In a whole hall a code opens whichever stall is free; else it is of one stall.
CREATE TABLE bath_halls (
	hall         INTEGER PRIMARY KEY CHECK (hall BETWEEN 1 AND 65535),
	name         TEXT    NOT NULL CHECK (name <> ''),
	merchant     TEXT    NOT NULL CHECK (merchant <> ''),
	whole        INTEGER NOT NULL CHECK (whole IN (0, 1)),
	cap_fen      INTEGER NOT NULL CHECK (cap_fen > 0), -- that is held for a shower
	litre_fen    INTEGER NOT NULL CHECK (litre_fen > 0),
	litre_pulses INTEGER NOT NULL CHECK (litre_pulses > 0),
	cancel_min   INTEGER NOT NULL CHECK (cancel_min >= 0), -- minutes before a slot, until when it can be cancelled
	closed       INTEGER NOT NULL DEFAULT 0 CHECK (closed IN (0, 1))
) STRICT;

CREATE TRIGGER bath_halls_keep_what_codes_depend_on BEFORE UPDATE ON bath_halls
WHEN (OLD.hall, OLD.merchant, OLD.whole) IS NOT (NEW.hall, NEW.merchant, NEW.whole)
BEGIN SELECT RAISE(ABORT, 'store: a bath hall keeps its number, merchant and kind'); END;
CREATE TRIGGER bath_halls_are_never_deleted BEFORE DELETE ON bath_halls
BEGIN SELECT RAISE(ABORT, 'store: bath halls are never deleted'); END;

CREATE TABLE bath_stalls (
	hall   INTEGER NOT NULL REFERENCES bath_halls (hall),
	stall  INTEGER NOT NULL CHECK (stall BETWEEN 1 AND 65535),
	closed INTEGER NOT NULL DEFAULT 0 CHECK (closed IN (0, 1)),
	PRIMARY KEY (hall, stall)
) STRICT, WITHOUT ROWID;

CREATE TRIGGER bath_stalls_keep_their_number BEFORE UPDATE ON bath_stalls
WHEN (OLD.hall, OLD.stall) IS NOT (NEW.hall, NEW.stall)
BEGIN SELECT RAISE(ABORT, 'store: a stall keeps its number'); END;
CREATE TRIGGER bath_stalls_are_never_deleted BEFORE DELETE ON bath_stalls
BEGIN SELECT RAISE(ABORT, 'store: stalls are never deleted'); END;

-- Slots of every day. A number always means the same time: controllers know it.
CREATE TABLE bath_slots (
	hall     INTEGER NOT NULL REFERENCES bath_halls (hall),
	slot     INTEGER NOT NULL CHECK (slot BETWEEN 0 AND 255),
	from_min INTEGER NOT NULL CHECK (from_min >= 0),
	to_min   INTEGER NOT NULL CHECK (to_min > from_min AND to_min <= 1440),
	closed   INTEGER NOT NULL DEFAULT 0 CHECK (closed IN (0, 1)),
	PRIMARY KEY (hall, slot)
) STRICT, WITHOUT ROWID;

CREATE TRIGGER bath_slots_keep_their_time BEFORE UPDATE ON bath_slots
WHEN (OLD.hall, OLD.slot, OLD.from_min, OLD.to_min) IS NOT (NEW.hall, NEW.slot, NEW.from_min, NEW.to_min)
BEGIN SELECT RAISE(ABORT, 'store: a slot keeps its time'); END;
CREATE TRIGGER bath_slots_are_never_deleted BEFORE DELETE ON bath_slots
BEGIN SELECT RAISE(ABORT, 'store: slots are never deleted'); END;

-- Reservations. stall 0 is a whole hall; n is the serial number of the code, which
-- is not kept. State 1 reserved, 2 cancelled, 3 used, 4 not used, 5 nobody knows.
-- Hold 1 held, 2 captured, 3 released.
CREATE TABLE bath_reservations (
	ref          TEXT    PRIMARY KEY CHECK (length(ref) BETWEEN 1 AND 64 AND ref NOT GLOB '*[^0-9A-Za-z_]*'),
	terminal     TEXT    NOT NULL REFERENCES terminals (id),
	account      TEXT    NOT NULL REFERENCES accounts (account),
	hall         INTEGER NOT NULL REFERENCES bath_halls (hall),
	stall        INTEGER NOT NULL CHECK (stall BETWEEN 0 AND 65535),
	day          INTEGER NOT NULL CHECK (day BETWEEN 0 AND 65535),
	slot         INTEGER NOT NULL,
	n            INTEGER NOT NULL CHECK (n BETWEEN 0 AND 99),
	cap_fen      INTEGER NOT NULL CHECK (cap_fen > 0),
	litre_fen    INTEGER NOT NULL CHECK (litre_fen > 0),
	litre_pulses INTEGER NOT NULL CHECK (litre_pulses > 0),
	from_ms      INTEGER NOT NULL,
	to_ms        INTEGER NOT NULL CHECK (to_ms > from_ms),
	cancel_ms    INTEGER NOT NULL, -- until when it can be cancelled
	made_ms      INTEGER NOT NULL,
	state        INTEGER NOT NULL DEFAULT 1 CHECK (state BETWEEN 1 AND 5),
	moved_ms     INTEGER NOT NULL, -- when it came to its state
	hold         INTEGER NOT NULL DEFAULT 1 CHECK (hold BETWEEN 1 AND 3),
	captured_fen INTEGER NOT NULL DEFAULT 0 CHECK (captured_fen BETWEEN 0 AND cap_fen),
	entry_id     INTEGER UNIQUE REFERENCES entries (id),
	UNIQUE (hall, stall, day, slot, n),
	FOREIGN KEY (hall, slot) REFERENCES bath_slots (hall, slot),
	CHECK (stall > 0 OR n < 100),
	CHECK (stall = 0 OR n < 4),
	CHECK (state <> 1 OR hold = 1),
	CHECK (hold <> 2 OR state = 3),
	CHECK ((captured_fen > 0) = (entry_id IS NOT NULL)),
	CHECK (entry_id IS NULL OR state = 3)
) STRICT;
CREATE UNIQUE INDEX a_stall_is_reserved_once ON bath_reservations (hall, stall, day, slot)
	WHERE state = 1 AND stall > 0;
CREATE UNIQUE INDEX a_holder_reserves_a_slot_once ON bath_reservations (account, hall, day, slot) WHERE state = 1;
CREATE INDEX bath_reservations_of_an_account ON bath_reservations (account, to_ms);
CREATE INDEX bath_reservations_that_hold ON bath_reservations (to_ms) WHERE hold = 1;

CREATE TRIGGER bath_reservations_keep_their_content BEFORE UPDATE ON bath_reservations
WHEN (OLD.ref, OLD.terminal, OLD.account, OLD.hall, OLD.stall, OLD.day, OLD.slot, OLD.n, OLD.cap_fen, OLD.litre_fen,
		OLD.litre_pulses, OLD.from_ms, OLD.to_ms, OLD.cancel_ms, OLD.made_ms)
	IS NOT (NEW.ref, NEW.terminal, NEW.account, NEW.hall, NEW.stall, NEW.day, NEW.slot, NEW.n, NEW.cap_fen, NEW.litre_fen,
		NEW.litre_pulses, NEW.from_ms, NEW.to_ms, NEW.cancel_ms, NEW.made_ms)
BEGIN SELECT RAISE(ABORT, 'store: a reservation keeps its content'); END;
-- What was used is the end: whatever was thought before, the water has run.
CREATE TRIGGER bath_reservations_move_forward BEFORE UPDATE ON bath_reservations
WHEN OLD.state = 3 OR OLD.hold <> NEW.hold AND OLD.hold <> 1
	OR OLD.state <> NEW.state AND (OLD.state, NEW.state) NOT IN (VALUES
		(1, 2), (1, 3), (1, 4), (1, 5), (2, 3), (4, 3), (5, 3))
BEGIN SELECT RAISE(ABORT, 'store: a reservation moves forward only'); END;
CREATE TRIGGER bath_reservations_are_never_deleted BEFORE DELETE ON bath_reservations
BEGIN SELECT RAISE(ABORT, 'store: reservations are never deleted'); END;

-- Reports of controllers, as they came. A controller is its stall, or 0 for that of
-- a whole hall.
CREATE TABLE bath_reports (
	digest      BLOB    PRIMARY KEY CHECK (length(digest) = 32),
	hall        INTEGER NOT NULL,
	controller  INTEGER NOT NULL,
	day         INTEGER NOT NULL,
	slot        INTEGER NOT NULL,
	final       INTEGER NOT NULL CHECK (final IN (0, 1)), -- it says of every code whether it was used
	line        TEXT    NOT NULL,
	carrier     TEXT    NOT NULL, -- terminal, or 'console'
	received_ms INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX bath_reports_of_a_slot ON bath_reports (hall, controller, day, slot);

CREATE TRIGGER bath_reports_are_never_changed BEFORE UPDATE ON bath_reports
BEGIN SELECT RAISE(ABORT, 'store: reports are never changed'); END;
CREATE TRIGGER bath_reports_are_never_deleted BEFORE DELETE ON bath_reports
BEGIN SELECT RAISE(ABORT, 'store: reports are never deleted'); END;

-- What codes were used for. Part 0 is what a controller has said first; what it
-- has said otherwise later has 1 and more, and moves nothing.
CREATE TABLE bath_uses (
	hall       INTEGER NOT NULL,
	controller INTEGER NOT NULL,
	day        INTEGER NOT NULL,
	slot       INTEGER NOT NULL,
	n          INTEGER NOT NULL,
	part       INTEGER NOT NULL CHECK (part >= 0),
	stall      INTEGER NOT NULL CHECK (stall > 0),
	start_s    INTEGER NOT NULL,
	end_s      INTEGER NOT NULL CHECK (end_s >= start_s),
	pulses     INTEGER NOT NULL CHECK (pulses >= 0),
	amount_fen INTEGER NOT NULL CHECK (amount_fen >= 0),
	pauses     INTEGER NOT NULL CHECK (pauses >= 0),
	ending     INTEGER NOT NULL CHECK (ending BETWEEN 1 AND 5),
	inside     INTEGER NOT NULL CHECK (inside IN (0, 1)), -- it began in its slot, or in the grace around it
	ref        TEXT    REFERENCES bath_reservations (ref), -- NULL for a code that nobody had reserved
	report     BLOB    NOT NULL REFERENCES bath_reports (digest),
	PRIMARY KEY (hall, controller, day, slot, n, part)
) STRICT, WITHOUT ROWID;
CREATE UNIQUE INDEX a_reservation_is_used_once ON bath_uses (ref) WHERE part = 0;

CREATE TRIGGER bath_uses_are_never_changed BEFORE UPDATE ON bath_uses
BEGIN SELECT RAISE(ABORT, 'store: uses of bath codes are never changed'); END;
CREATE TRIGGER bath_uses_are_never_deleted BEFORE DELETE ON bath_uses
BEGIN SELECT RAISE(ABORT, 'store: uses of bath codes are never deleted'); END;
