package lost_test

import (
	"testing"

	"quancun/upstream/store/pgtest"
)

func TestMain(m *testing.M) { pgtest.Main(m) }
