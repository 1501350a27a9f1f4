CREATE TABLE feed (
	name    TEXT    PRIMARY KEY,
	version INTEGER NOT NULL CHECK (version >= 0), -- 0: there is none upstream
	issued  INTEGER NOT NULL, -- ms since 1970, by upstream
	checked INTEGER NOT NULL, -- ms since 1970: when upstream last said that this was the newest
	content BLOB    NOT NULL,
	body    BLOB    NOT NULL CHECK (length(body) = 32),  -- digest of what the feed says
	digest  BLOB    NOT NULL CHECK (length(digest) = 32) -- of this row
) STRICT, WITHOUT ROWID;

CREATE TABLE hot (
	card   BLOB    PRIMARY KEY CHECK (length(card) = 10),
	reason INTEGER NOT NULL CHECK (reason BETWEEN 0 AND 255)
) STRICT, WITHOUT ROWID;

CREATE TRIGGER feeds_only_go_forward BEFORE UPDATE ON feed
WHEN new.version < old.version
BEGIN SELECT RAISE(ABORT, 'feed: feeds only go forward'); END;
