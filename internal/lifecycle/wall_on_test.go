//go:build failpoints

package lifecycle

import (
	"os"
	"path/filepath"
	"testing"
	"time"
)

// A step moves the wall time and nothing that is measured.
func TestStep(t *testing.T) {
	file := filepath.Join(t.TempDir(), "offset")
	t.Setenv(OffsetVariable, file)
	before := Real().Now()
	for _, by := range []time.Duration{time.Hour, -time.Hour, 24 * time.Hour, 0} {
		if err := os.WriteFile(file, []byte(by.String()), 0o600); err != nil {
			t.Fatal(err)
		}
		time.Sleep(20 * time.Millisecond) // until it is read again
		now := Real().Now()
		if d := now.Sub(before); d < 0 || d > 10*time.Second {
			t.Errorf("%s: %s are measured", by, d)
		}
		if d := now.Round(0).Sub(time.Now().Round(0)) - by; d < -time.Second || d > time.Second {
			t.Errorf("%s: the wall time is %s beside it", by, d)
		}
	}
}
