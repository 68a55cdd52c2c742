package road

import (
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// A hub that took less than can be told is not one of which nothing can be told, nor one that takes nothing.
func TestShareOf(t *testing.T) {
	for name, c := range map[string]struct {
		before, used time.Duration
		want         float64
		says         string
	}{
		"some":                     {time.Second, 50 * time.Millisecond, 0.01, ""},
		"less than can be told":    {time.Second, 0, 0, "look longer"},
		"nobody tells":             {0, 0, 0, "/proc is not there"},
		"its first hundredth":      {10 * time.Millisecond, 10 * time.Millisecond, 0.002, ""},
		"all of a core and a half": {time.Second, 7500 * time.Millisecond, 1.5, ""},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := shareOf(c.before, c.used, 5*time.Second)
			if got != c.want || (err == nil) != (c.says == "") || err != nil && !strings.Contains(err.Error(), c.says) {
				t.Errorf("%v, %v", got, err)
			}
		})
	}
}

// A build that is not there is named before the first hub is looked at.
func TestIdleAgainstNothing(t *testing.T) {
	path := filepath.Join(t.TempDir(), "waybill")
	if _, err := RunIdle(t.Context(), Idle{Flows: 2, For: time.Second, Against: path, Dir: t.TempDir()}); err == nil || !strings.Contains(err.Error(), "the build to compare with") || !strings.Contains(err.Error(), path) {
		t.Error(err)
	}
}
