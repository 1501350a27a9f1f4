package store

import (
	"embed"
	"io/fs"

	"quancun/upstream/store/sqldb"
)

// migrations are numbered from 1 in both folders alike, run once each, and
// never edited after a release.
//
//go:embed migrations/*/*.sql
var migrations embed.FS

func schema() sqldb.Schema {
	return sqldb.Schema{SQLite: folder("sqlite"), Postgres: folder("postgres"), Rights: rights}
}

func folder(name string) fs.FS {
	sub, err := fs.Sub(migrations, "migrations/"+name)
	if err != nil {
		panic("store: internal error: " + err.Error())
	}
	return sub
}

// rights are what campusd's role on PostgreSQL may do to rows that are there,
// for every table: what SQLite's triggers say of them. PostgreSQL locks a row
// that others refer to by a right to change some column of it, so a table that
// never changes and is referred to names its number, which changes for nobody.
var rights = map[string]sqldb.Rights{
	"terminals": {Update: []string{
		"fingerprint", "revoked_ms", "heard_ms", "version", "drift_ms", "epoch", "journal_head",
	}},
	"accounts": {Update: []string{"balance_fen"}},
	"holders":  {Update: []string{"pin_wrong"}},
	"cards":    {Update: []string{"status", "mirror_fen"}},
	"orders": {Update: []string{
		"state", "qr", "trade_no", "paid_ms", "late", "seen_ms", "mismatch", "tries", "next_ms",
	}},
	"entries":     {Update: []string{"id"}},
	"postings":    {},
	"loads":       {Update: []string{"state", "claim", "evidence", "settled_ms"}},
	"load_offers": {},
	"purse_moves": {},
	"alarms":      {Update: []string{"detail", "last_ms", "times"}},
}
