-- Who works at terminals: cashiers, supervisors, clerks and admins. A member is
-- never deleted, since journals name them. pin_version is another one whenever the
-- PIN is another, so that a terminal knows that what it keeps to check one by has
-- ended.

CREATE TABLE staff (
	no          TEXT    PRIMARY KEY CHECK (length(no) BETWEEN 1 AND 16),
	name        TEXT    NOT NULL CHECK (name <> ''),
	role        INTEGER NOT NULL CHECK (role BETWEEN 1 AND 4), -- as on the wire
	card_no     TEXT    UNIQUE CHECK (length(card_no) = 20 AND card_no NOT GLOB '*[^0-9A-F]*'), -- of who may sign in
	pin_salt    BLOB    NOT NULL CHECK (length(pin_salt) = 16),
	pin_hash    BLOB    NOT NULL CHECK (length(pin_hash) = 32),
	pin_wrong   INTEGER NOT NULL DEFAULT 0 CHECK (pin_wrong BETWEEN 0 AND 5),
	pin_version INTEGER NOT NULL DEFAULT 1,
	revoked_ms  INTEGER,
	CHECK (revoked_ms IS NULL OR card_no IS NULL)
) STRICT;

CREATE TRIGGER staff_are_never_deleted BEFORE DELETE ON staff
BEGIN SELECT RAISE(ABORT, 'store: staff are never deleted'); END;

-- What was changed of a member, and by whom. It holds nothing of a PIN.
CREATE TABLE staff_changes (
	id     INTEGER PRIMARY KEY,
	no     TEXT    NOT NULL REFERENCES staff (no),
	what   TEXT    NOT NULL,
	by_who TEXT    NOT NULL CHECK (by_who <> ''),
	at_ms  INTEGER NOT NULL
) STRICT;
CREATE INDEX changes_of_a_member ON staff_changes (no);

CREATE TRIGGER staff_changes_are_never_changed BEFORE UPDATE ON staff_changes
BEGIN SELECT RAISE(ABORT, 'store: changes of the staff are never changed'); END;
CREATE TRIGGER staff_changes_are_never_deleted BEFORE DELETE ON staff_changes
BEGIN SELECT RAISE(ABORT, 'store: changes of the staff are never deleted'); END;
