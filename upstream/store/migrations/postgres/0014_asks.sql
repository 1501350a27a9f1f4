-- Codes for which a terminal was given a hold: no other gets one. They are
-- forgotten when such a code can be shown no more.
CREATE TABLE code_asks (
	device   TEXT   NOT NULL CHECK (length(device) = 32),
	made_s   BIGINT NOT NULL CHECK (made_s > 0),
	counter  BIGINT NOT NULL CHECK (counter BETWEEN 0 AND 65535),
	terminal TEXT   NOT NULL REFERENCES terminals (id),
	PRIMARY KEY (device, made_s, counter)
);
