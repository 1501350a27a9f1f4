// Package staff is who stands at a till and what they may do there: roles and
// privileges, sign-in by card and PIN, and the second person's release.
//
// The upstream checks card and PIN. For some time after it has done so for a
// member at this terminal, the terminal can do it alone: it keeps a verifier of
// that PIN, never the PIN ([Desk]).
//
// It refuses to know screens and what is sold. That a till locks itself is the
// till's business.
package staff
