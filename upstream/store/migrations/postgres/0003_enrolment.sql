-- How machines become terminals, as in ../sqlite. An enrolment ends once by what
-- the program does with the terminal's row locked; the rest is rights.

ALTER TABLE terminals ADD COLUMN next_fingerprint BYTEA
	CHECK (next_fingerprint IS NULL OR length(next_fingerprint) = 32);

CREATE TABLE certificates (
	fingerprint BYTEA  PRIMARY KEY CHECK (length(fingerprint) = 32),
	terminal    TEXT   NOT NULL REFERENCES terminals (id),
	key_hash    BYTEA  NOT NULL CHECK (length(key_hash) = 32), -- SHA-256 of its public key, DER
	der         BYTEA  NOT NULL,
	made_ms     BIGINT NOT NULL,
	expires_ms  BIGINT NOT NULL
);
CREATE INDEX certificates_of_a_terminal ON certificates (terminal);

CREATE TABLE enrolments (
	code_hash   BYTEA  PRIMARY KEY CHECK (length(code_hash) = 32),
	terminal    TEXT   NOT NULL REFERENCES terminals (id),
	journal_key BYTEA  CHECK (journal_key IS NULL OR length(journal_key) = 32), -- the only one that may use it
	made_ms     BIGINT NOT NULL,
	expires_ms  BIGINT NOT NULL,
	void_ms     BIGINT,
	used_ms     BIGINT,
	fingerprint BYTEA CHECK (fingerprint IS NULL OR length(fingerprint) = 32), -- what it was used for
	CHECK ((used_ms IS NULL) = (fingerprint IS NULL)),
	CHECK (used_ms IS NULL OR void_ms IS NULL)
);
CREATE INDEX enrolments_of_a_terminal ON enrolments (terminal);
