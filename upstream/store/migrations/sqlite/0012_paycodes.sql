-- Virtual cards: whose phone may show codes, for how much, and which codes were
-- taken.

-- The campus's keys that sign what phones may do. Terminals get them with the
-- feed "keys". Algorithm 1 Ed25519, 2 SM2.
CREATE TABLE code_issuers (
	issuer     INTEGER PRIMARY KEY CHECK (issuer BETWEEN 0 AND 255),
	school     INTEGER NOT NULL CHECK (school BETWEEN 0 AND 65535),
	algorithm  INTEGER NOT NULL CHECK (algorithm IN (1, 2)),
	public_key BLOB    NOT NULL UNIQUE,
	since_ms   INTEGER NOT NULL
) STRICT;

CREATE TRIGGER code_issuers_are_never_changed BEFORE UPDATE ON code_issuers
BEGIN SELECT RAISE(ABORT, 'store: issuers are never changed'); END;
CREATE TRIGGER code_issuers_are_never_deleted BEFORE DELETE ON code_issuers
BEGIN SELECT RAISE(ABORT, 'store: issuers are never deleted'); END;

-- A phone is its public key; device is half of that one's hash. An account has
-- one phone at a time, so that its allowance in the dark is one.
CREATE TABLE phones (
	device      TEXT    PRIMARY KEY CHECK (length(device) = 32),
	account     TEXT    NOT NULL REFERENCES accounts (account),
	algorithm   INTEGER NOT NULL CHECK (algorithm IN (1, 2)),
	public_key  BLOB    NOT NULL,
	name        TEXT    NOT NULL,
	bound_ms    INTEGER NOT NULL,
	revoked_ms  INTEGER,
	revoked_why TEXT    NOT NULL DEFAULT '',
	CHECK ((revoked_ms IS NULL) = (revoked_why = ''))
) STRICT;
CREATE UNIQUE INDEX an_account_has_one_phone ON phones (account) WHERE revoked_ms IS NULL;

CREATE TRIGGER phones_are_revoked_once BEFORE UPDATE ON phones
WHEN OLD.revoked_ms IS NOT NULL
	OR (OLD.device, OLD.account, OLD.algorithm, OLD.public_key, OLD.name, OLD.bound_ms)
		IS NOT (NEW.device, NEW.account, NEW.algorithm, NEW.public_key, NEW.name, NEW.bound_ms)
BEGIN SELECT RAISE(ABORT, 'store: a phone is revoked once'); END;
CREATE TRIGGER phones_are_never_deleted BEFORE DELETE ON phones
BEGIN SELECT RAISE(ABORT, 'store: phones are never deleted'); END;

-- One-time codes by which a phone becomes a holder's. Only a hash is kept.
CREATE TABLE phone_invitations (
	code_hash  BLOB    PRIMARY KEY CHECK (length(code_hash) = 32),
	account    TEXT    NOT NULL REFERENCES accounts (account),
	made_ms    INTEGER NOT NULL,
	expires_ms INTEGER NOT NULL,
	used_ms    INTEGER,
	device     TEXT    REFERENCES phones (device),
	CHECK ((used_ms IS NULL) = (device IS NULL))
) STRICT;
CREATE INDEX phone_invitations_of_an_account ON phone_invitations (account);

CREATE TRIGGER phone_invitations_end_once BEFORE UPDATE ON phone_invitations
WHEN OLD.used_ms IS NOT NULL OR (OLD.code_hash, OLD.account, OLD.made_ms, OLD.expires_ms)
	IS NOT (NEW.code_hash, NEW.account, NEW.made_ms, NEW.expires_ms)
BEGIN SELECT RAISE(ABORT, 'store: an invitation ends once'); END;
CREATE TRIGGER phone_invitations_are_never_deleted BEFORE DELETE ON phone_invitations
BEGIN SELECT RAISE(ABORT, 'store: invitations are never deleted'); END;

-- What the campus has signed for a phone: until then it can be shown anywhere,
-- whatever happens here.
CREATE TABLE phone_grants (
	id           INTEGER PRIMARY KEY,
	device       TEXT    NOT NULL REFERENCES phones (device),
	issuer       INTEGER NOT NULL REFERENCES code_issuers (issuer),
	code_max_fen INTEGER NOT NULL CHECK (code_max_fen >= 0),
	day_max_fen  INTEGER NOT NULL CHECK (day_max_fen >= 0),
	issued_ms    INTEGER NOT NULL,
	expires_ms   INTEGER NOT NULL CHECK (expires_ms > issued_ms)
) STRICT;
CREATE INDEX phone_grants_of_a_phone ON phone_grants (device, expires_ms);

CREATE TRIGGER phone_grants_are_never_changed BEFORE UPDATE ON phone_grants
BEGIN SELECT RAISE(ABORT, 'store: grants are never changed'); END;
CREATE TRIGGER phone_grants_are_never_deleted BEFORE DELETE ON phone_grants
BEGIN SELECT RAISE(ABORT, 'store: grants are never deleted'); END;

-- Codes that terminals have taken, by the journal entry that says so. day is the
-- day in Beijing on which it was taken, alone is 1 if nobody was asked. The same
-- code may be here twice: it was taken at two terminals in the dark.
CREATE TABLE code_uses (
	journal    INTEGER NOT NULL REFERENCES journals (id),
	seq        INTEGER NOT NULL,
	part       INTEGER NOT NULL,
	device     TEXT    NOT NULL CHECK (length(device) = 32),
	made_s     INTEGER NOT NULL CHECK (made_s > 0),
	counter    INTEGER NOT NULL CHECK (counter BETWEEN 0 AND 65535),
	account    TEXT    NOT NULL,
	day        TEXT    NOT NULL CHECK (day GLOB '[0-9][0-9][0-9][0-9]-[0-9][0-9]-[0-9][0-9]'),
	alone      INTEGER NOT NULL CHECK (alone IN (0, 1)),
	amount_fen INTEGER NOT NULL CHECK (amount_fen > 0),
	PRIMARY KEY (journal, seq, part)
) STRICT, WITHOUT ROWID;
CREATE INDEX code_uses_of_a_code ON code_uses (device, made_s, counter);
CREATE INDEX code_uses_of_a_day ON code_uses (account, day);

CREATE TRIGGER code_uses_are_never_changed BEFORE UPDATE ON code_uses
BEGIN SELECT RAISE(ABORT, 'store: uses of codes are never changed'); END;
CREATE TRIGGER code_uses_are_never_deleted BEFORE DELETE ON code_uses
BEGIN SELECT RAISE(ABORT, 'store: uses of codes are never deleted'); END;
