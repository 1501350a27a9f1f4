-- Of PostgreSQL only, see ../postgres. A file keeps its foreign keys: one
-- process has it, and they cost it little.
SELECT 1;
