//go:build !e2e

package ui

import "context"

// serveMap does nothing in a terminal that is for people: see e2e.go.
func (f *frame) serveMap(context.Context) {}
