//go:build !unix

package lockfile

import (
	"errors"
	"fmt"
)

func take(path string) (release func() error, err error) {
	return nil, fmt.Errorf("lock %s: %w", path, errors.ErrUnsupported)
}
