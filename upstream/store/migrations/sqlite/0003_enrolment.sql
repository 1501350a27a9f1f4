-- How machines become terminals: codes that were given out, and certificates
-- that were made.

-- The certificate that a terminal was given and has not used yet. With its
-- first use it takes the place of the one before.
ALTER TABLE terminals ADD COLUMN next_fingerprint BLOB
	CHECK (next_fingerprint IS NULL OR length(next_fingerprint) = 32);

-- Every certificate that was made for a terminal's own key.
CREATE TABLE certificates (
	fingerprint BLOB    PRIMARY KEY CHECK (length(fingerprint) = 32),
	terminal    TEXT    NOT NULL REFERENCES terminals (id),
	key_hash    BLOB    NOT NULL CHECK (length(key_hash) = 32), -- SHA-256 of its public key, DER
	der         BLOB    NOT NULL,
	made_ms     INTEGER NOT NULL,
	expires_ms  INTEGER NOT NULL
) STRICT;
CREATE INDEX certificates_of_a_terminal ON certificates (terminal);

CREATE TRIGGER certificates_are_never_changed BEFORE UPDATE ON certificates
BEGIN SELECT RAISE(ABORT, 'store: certificates are never changed'); END;
CREATE TRIGGER certificates_are_never_deleted BEFORE DELETE ON certificates
BEGIN SELECT RAISE(ABORT, 'store: certificates are never deleted'); END;

-- One-time codes. Of a code only its hash is kept. A code ends by being used,
-- by its time, or by a newer one for the same terminal (void).
CREATE TABLE enrolments (
	code_hash   BLOB    PRIMARY KEY CHECK (length(code_hash) = 32),
	terminal    TEXT    NOT NULL REFERENCES terminals (id),
	journal_key BLOB    CHECK (journal_key IS NULL OR length(journal_key) = 32), -- the only one that may use it
	made_ms     INTEGER NOT NULL,
	expires_ms  INTEGER NOT NULL,
	void_ms     INTEGER,
	used_ms     INTEGER,
	fingerprint BLOB    CHECK (fingerprint IS NULL OR length(fingerprint) = 32), -- what it was used for
	CHECK ((used_ms IS NULL) = (fingerprint IS NULL)),
	CHECK (used_ms IS NULL OR void_ms IS NULL)
) STRICT;
CREATE INDEX enrolments_of_a_terminal ON enrolments (terminal);

CREATE TRIGGER enrolments_end_once BEFORE UPDATE ON enrolments
WHEN OLD.used_ms IS NOT NULL OR OLD.void_ms IS NOT NULL
	OR (OLD.code_hash, OLD.terminal, OLD.journal_key, OLD.made_ms, OLD.expires_ms)
		IS NOT (NEW.code_hash, NEW.terminal, NEW.journal_key, NEW.made_ms, NEW.expires_ms)
BEGIN SELECT RAISE(ABORT, 'store: an enrolment ends once'); END;
CREATE TRIGGER enrolments_are_never_deleted BEFORE DELETE ON enrolments
BEGIN SELECT RAISE(ABORT, 'store: enrolments are never deleted'); END;
