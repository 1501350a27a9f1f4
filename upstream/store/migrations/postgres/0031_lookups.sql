-- What is asked for a holder's pages, and when something strange is found, is not
-- looked for among all that ever was.
CREATE INDEX claims_open_on_an_account ON claims (account) WHERE state = 1;
CREATE INDEX exceptions_about ON exceptions (kind, ref);
