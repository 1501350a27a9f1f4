-- A hold can also be of room: cash is about to be taken onto an account, and
-- nothing else that would then lift it above the cap is let in before.
ALTER TABLE holds ADD COLUMN room BOOLEAN NOT NULL DEFAULT false;
