//go:build !unix

package main

import "errors"

func lock(string) (unlock func() error, err error) {
	return nil, errors.New("the upstream serves on Unix only")
}
