package store

import (
	"context"
	"embed"
	"errors"
	"fmt"
	"io/fs"

	"quancun/upstream/store/sqldb"
)

// migrations are numbered from 1 in both folders alike, run once each, and
// never edited after a release.
//
//go:embed migrations/*/*.sql
var migrations embed.FS

func schema() sqldb.Schema {
	return sqldb.Schema{SQLite: folder("sqlite"), Postgres: folder("postgres"), Rights: rights, Tables: tables}
}

func folder(name string) fs.FS {
	sub, err := fs.Sub(migrations, "migrations/"+name)
	if err != nil {
		panic("store: internal error: " + err.Error())
	}
	return sub
}

// tables are all tables, each after those that it refers to.
var tables = []sqldb.Table{
	{Name: "terminals"}, {Name: "terminal_places"}, {Name: "hotlists_heard"},
	{Name: "accounts"}, {Name: "holders"}, {Name: "cards"}, {Name: "orders"},
	{Name: "journals", Whole: true}, {Name: "journal_entries"}, {Name: "fork_entries"}, {Name: "carried_entries"},
	{Name: "checkpoints"}, {Name: "intents"}, {Name: "claims"}, {Name: "entries"}, {Name: "postings", View: true},
	{Name: "loads"}, {Name: "load_offers"}, {Name: "purse_moves"}, {Name: "alarms"}, {Name: "holds"},
	{Name: "sightings"}, {Name: "exceptions"},
	{Name: "feeds", Seeded: true}, {Name: "hot_changes"}, {Name: "feed_contents"},
	{Name: "certificates"}, {Name: "enrolments"},
	{Name: "statements"}, {Name: "statement_lines"}, {Name: "movements"}, {Name: "differences"},
	{Name: "corrections"}, {Name: "returns"}, {Name: "settlements"}, {Name: "settlement_lines"},
	{Name: "transfers"},
	{Name: "business_days"},
	{Name: "centre_acts"}, {Name: "centre_closed"}, {Name: "centre_cards"}, {Name: "centre_told"},
	{Name: "centre_register"}, {Name: "card_checks"}, {Name: "card_refusals"},
	{Name: "holder_photos"},
	{Name: "payments"}, {Name: "payment_refunds"}, {Name: "channel_bookings"},
	{Name: "bills"}, {Name: "bill_refunds"},
	{Name: "code_issuers"}, {Name: "phones"}, {Name: "phone_invitations"}, {Name: "phone_grants"}, {Name: "code_uses"},
	{Name: "code_asks"},
	{Name: "staff"}, {Name: "staff_changes"},
	{Name: "bath_halls"}, {Name: "bath_stalls"}, {Name: "bath_slots"}, {Name: "bath_reservations"},
	{Name: "bath_reports"}, {Name: "bath_uses"}, {Name: "bath_ended"}, {Name: "bath_acts"},
	{Name: "lost_reports"}, {Name: "lost_ended"}, {Name: "lost_tries"}, {Name: "found_cards"},
}

// ErrNotEmpty means that books cannot be copied to where books are.
var ErrNotEmpty = sqldb.ErrNotEmpty

// CopyTo copies the books, which are a file, into the empty PostgreSQL of to,
// in one transaction, and returns the number of rows. Before it is committed all
// that is about money is compared: both have the same [Books.StateHash]. Nobody
// may write to either meanwhile.
func (b *Books) CopyTo(ctx context.Context, to *Books) (rows int64, err error) {
	return sqldb.Copy(ctx, b.db, to.db, schema(), func(from, to *sqldb.Tx) error {
		was, err1 := stateHash(ctx, from)
		is, err2 := stateHash(ctx, to)
		if err := errors.Join(err1, err2); err != nil {
			return err
		}
		if is != was {
			return fmt.Errorf("the copy's state is %x, and not %x", is, was)
		}
		return nil
	})
}

// rights are what campusd's role on PostgreSQL may do to rows that are there,
// for every table: what SQLite's triggers say of them. PostgreSQL locks a row
// that others refer to by a right to change some column of it, so a table that
// never changes and is referred to names its number, which changes for nobody.
var rights = map[string]sqldb.Rights{
	"terminals": {Update: []string{
		"fingerprint", "next_fingerprint", "revoked_ms", "heard_ms", "version", "drift_ms", "epoch", "journal_head",
		"journal_key", "feeds", "fault",
	}},
	"accounts": {Update: []string{"balance_fen", "last_entry"}},
	"holders": {Update: []string{
		"pin_wrong", "daily_limit_fen", "pin_salt", "pin_hash", "name", "until_ms", "closed_ms",
	}},
	"cards": {Update: []string{"status", "mirror_fen", "proven_counter"}},
	"orders": {Update: []string{
		"state", "qr", "trade_no", "paid_ms", "late", "seen_ms", "mismatch", "tries", "next_ms",
	}},
	"entries":     {Update: []string{"id"}},
	"postings":    {},
	"loads":       {Update: []string{"state", "claim", "evidence", "settled_ms"}},
	"load_offers": {},
	"purse_moves": {},
	"alarms":      {Update: []string{"detail", "last_ms", "times"}},

	"journals": {Update: []string{
		"head_seq", "head_hash", "frontier", "journal_key", "note", "pushed_ms", "origin", "carrying",
		"superseded_by",
	}},
	"journal_entries": {},
	"fork_entries":    {},
	"carried_entries": {},
	"checkpoints":     {},
	"intents":         {Update: []string{"claimed"}, Delete: true},
	"claims":          {Update: []string{"state", "evidence", "proven", "settled_ms"}},
	"holds":           {Update: []string{"state", "closed_ms"}},
	"sightings":       {Update: []string{"purse_fen", "offline", "online", "terminal", "seen_ms"}},
	"exceptions":      {Update: []string{"owner", "next_step", "closed_ms", "closing_entry", "evidence"}},
	"feeds":           {Update: []string{"version", "whole_from", "changed_ms"}},
	"hot_changes":     {},
	"feed_contents":   {},

	"certificates": {},
	"enrolments":   {Update: []string{"void_ms", "used_ms", "fingerprint"}},

	"statements":       {Update: []string{"compared_ms", "superseded_ms"}},
	"statement_lines":  {},
	"movements":        {},
	"differences":      {},
	"corrections":      {},
	"returns":          {Update: []string{"state", "ended_ms"}},
	"settlements":      {Update: []string{"settled_ms", "settled_by", "entry_id"}},
	"settlement_lines": {},
	"transfers":        {},
	"business_days":    {},

	"terminal_places": {},
	"hotlists_heard":  {Update: []string{"last_ms"}},

	"centre_acts":      {},
	"centre_closed":    {},
	"centre_cards":     {Update: []string{"factor"}},
	"centre_told":      {Update: []string{"outcome", "ended_ms"}},
	"centre_register":  {Delete: true},
	"card_checks":      {},
	"card_refusals":    {},
	"holder_photos":    {Update: []string{"jpeg", "at_ms"}, Delete: true},
	"payments":         {Update: []string{"state", "cause", "trade_no", "paid_ms", "mismatch", "tries", "next_ms"}},
	"payment_refunds":  {Update: []string{"state", "ended_ms", "tries", "next_ms"}},
	"channel_bookings": {},
	"bills": {Update: []string{
		"state", "cause", "sent_ms", "record_no", "entry_id", "late", "tries", "next_ms",
	}},
	"bill_refunds":      {},
	"code_issuers":      {Update: []string{"issuer"}},
	"phones":            {Update: []string{"revoked_ms", "revoked_why"}},
	"phone_invitations": {Update: []string{"used_ms", "device"}},
	"phone_grants":      {},
	"code_uses":         {},
	"code_asks":         {Delete: true},

	"staff": {Update: []string{
		"role", "card_no", "pin_salt", "pin_hash", "pin_wrong", "pin_version", "revoked_ms",
	}},
	"staff_changes": {},

	"bath_halls":  {Update: []string{"name", "cap_fen", "litre_fen", "litre_pulses", "cancel_min", "closed"}},
	"bath_stalls": {Update: []string{"closed"}},
	"bath_slots":  {Update: []string{"closed"}},
	"bath_reservations": {Update: []string{"state", "moved_ms", "hold", "captured_fen", "entry_id",
		"stub_fen", "stub_terminal", "stubs_wrong"}},
	"bath_reports": {Update: []string{"digest"}},
	"bath_uses":    {},
	"bath_ended":   {},
	"bath_acts":    {},

	"lost_reports": {},
	"lost_ended":   {},
	"lost_tries":   {Delete: true},
	"found_cards":  {},
}
