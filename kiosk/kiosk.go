// Package kiosk is what happens at the terminal, in order, for every service
// of its faces. It joins the card, the journal and the upstream, which do not
// know each other, and it refuses to know how anything looks: it shows a
// [View] and takes an [Input].
//
// A flow is a table (flow.go): the steps, the events, and what leads where.
// [Session] owns it: one goroutine holds the card, performs what a step asks
// for, and writes down before and after each act. Three outcomes are kept
// apart all the way: done, refused, and unknown; unknown is never shown as
// failed.
//
// Section numbers refer to the project's design: rules of money (2), protocols
// (3) and invariants (5).
package kiosk
