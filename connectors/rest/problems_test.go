package rest

import (
	"strings"
	"testing"

	"github.com/waybill-hub/waybill/internal/connector/connectortest"
	"github.com/waybill-hub/waybill/internal/strictyaml"
)

func TestProblems(t *testing.T) { connectortest.Problems(t, Kind{}, "testdata/problems") }

// mistake is made in settings that are right by writing one text in place of another; want is a part of what is said of it.
type mistake struct{ old, new, want string }

// refuses: settings have no problem, and each mistake is told.
func refuses(t *testing.T, yaml string, mistakes map[string]mistake) {
	t.Helper()
	check := func(yaml string) error {
		var p strictyaml.Problems
		Kind{}.Check(settingsOf(t, yaml), &p)
		return p.Err()
	}
	if err := check(yaml); err != nil {
		t.Error(err)
	}
	for name, m := range mistakes {
		t.Run(name, func(t *testing.T) {
			if err := check(strings.Replace(yaml, m.old, m.new, 1)); err == nil || !strings.Contains(err.Error(), m.want) {
				t.Errorf("got %v, want %s", err, m.want)
			}
		})
	}
}
