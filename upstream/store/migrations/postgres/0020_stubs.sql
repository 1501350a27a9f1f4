-- Stubs of showers, as in ../sqlite.
ALTER TABLE bath_reservations ADD COLUMN stub_fen BIGINT CHECK (stub_fen >= 0);
ALTER TABLE bath_reservations ADD COLUMN stub_terminal TEXT REFERENCES terminals (id);
ALTER TABLE bath_reservations ADD COLUMN stubs_wrong BIGINT NOT NULL DEFAULT 0 CHECK (stubs_wrong BETWEEN 0 AND 5);
