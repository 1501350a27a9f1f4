-- Virtual cards, as in ../sqlite. A phone is revoked once and an invitation ends
-- once by what the program asks for in its UPDATE; the rest is rights.

CREATE TABLE code_issuers (
	issuer     BIGINT PRIMARY KEY CHECK (issuer BETWEEN 0 AND 255),
	school     BIGINT NOT NULL CHECK (school BETWEEN 0 AND 65535),
	algorithm  BIGINT NOT NULL CHECK (algorithm IN (1, 2)),
	public_key BYTEA  NOT NULL UNIQUE,
	since_ms   BIGINT NOT NULL
);

CREATE TABLE phones (
	device      TEXT   PRIMARY KEY CHECK (length(device) = 32),
	account     TEXT   NOT NULL REFERENCES accounts (account),
	algorithm   BIGINT NOT NULL CHECK (algorithm IN (1, 2)),
	public_key  BYTEA  NOT NULL,
	name        TEXT   NOT NULL,
	bound_ms    BIGINT NOT NULL,
	revoked_ms  BIGINT,
	revoked_why TEXT   NOT NULL DEFAULT '',
	CHECK ((revoked_ms IS NULL) = (revoked_why = ''))
);
CREATE UNIQUE INDEX an_account_has_one_phone ON phones (account) WHERE revoked_ms IS NULL;

CREATE TABLE phone_invitations (
	code_hash  BYTEA  PRIMARY KEY CHECK (length(code_hash) = 32),
	account    TEXT   NOT NULL REFERENCES accounts (account),
	made_ms    BIGINT NOT NULL,
	expires_ms BIGINT NOT NULL,
	used_ms    BIGINT,
	device     TEXT   REFERENCES phones (device),
	CHECK ((used_ms IS NULL) = (device IS NULL))
);
CREATE INDEX phone_invitations_of_an_account ON phone_invitations (account);

CREATE TABLE phone_grants (
	id           BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
	device       TEXT   NOT NULL REFERENCES phones (device),
	issuer       BIGINT NOT NULL REFERENCES code_issuers (issuer),
	code_max_fen BIGINT NOT NULL CHECK (code_max_fen >= 0),
	day_max_fen  BIGINT NOT NULL CHECK (day_max_fen >= 0),
	issued_ms    BIGINT NOT NULL,
	expires_ms   BIGINT NOT NULL CHECK (expires_ms > issued_ms)
);
CREATE INDEX phone_grants_of_a_phone ON phone_grants (device, expires_ms);

CREATE TABLE code_uses (
	journal    BIGINT  NOT NULL,
	seq        BIGINT  NOT NULL,
	part       BIGINT  NOT NULL,
	device     TEXT    NOT NULL CHECK (length(device) = 32),
	made_s     BIGINT  NOT NULL CHECK (made_s > 0),
	counter    BIGINT  NOT NULL CHECK (counter BETWEEN 0 AND 65535),
	account    TEXT    NOT NULL,
	day        TEXT    NOT NULL CHECK (day ~ '^[0-9]{4}-[0-9]{2}-[0-9]{2}$'),
	alone      BOOLEAN NOT NULL,
	amount_fen BIGINT  NOT NULL CHECK (amount_fen > 0),
	PRIMARY KEY (journal, seq, part)
);
CREATE INDEX code_uses_of_a_code ON code_uses (device, made_s, counter);
CREATE INDEX code_uses_of_a_day ON code_uses (account, day);
