package cli

import (
	"context"
	"errors"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/waybill-hub/waybill/internal/api"
)

// A demo asks a hub that is too busy to tell its figures again, says so, and gives up when that lasts.
func TestPatiently(t *testing.T) {
	late := errors.New("too late")
	want := &api.Status{}
	for name, c := range map[string]struct {
		failures int
		err      error
		most     time.Duration
	}{
		"at once":    {},
		"in the end": {failures: 3, most: 3 * time.Second},
		"never":      {failures: 1000, err: late, most: busyFor},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var out strings.Builder
				asked, began := 0, time.Now()
				st, err := patiently(t.Context(), &out, func(context.Context) (*api.Status, error) {
					if asked++; asked <= c.failures {
						return nil, late
					}
					return want, nil
				})
				if !errors.Is(err, c.err) || err == nil && st != want {
					t.Errorf("got %v, %v", st, err)
				}
				if took := time.Since(began); took != c.most {
					t.Errorf("it took %s, not %s", took, c.most)
				}
				if told := strings.Count(out.String(), late.Error()); told != min(asked-1, c.failures) {
					t.Errorf("told %d times of %d: %s", told, asked, out.String())
				}
			})
		})
	}
	t.Run("interrupted", func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		_, err := patiently(ctx, &strings.Builder{}, func(context.Context) (*api.Status, error) { cancel(); return nil, late })
		if !errors.Is(err, late) {
			t.Error(err)
		}
	})
}

// TestLineOnce: figures that stand still are shown once.
func TestLineOnce(t *testing.T) {
	var out strings.Builder
	d := demo{env: &env{out: &out}}
	st := &api.Status{Totals: api.Totals{Accepted: 5}}
	for _, what := range []string{"working", "settling", "settling", "settling"} {
		d.line(what, st)
	}
	st.Totals.Accepted++
	d.line("settling", st)
	if got := out.String(); strings.Count(got, "\n") != 3 || strings.Count(got, "settling  accepted 5 ") != 1 || strings.Count(got, "settling  accepted 6 ") != 1 {
		t.Errorf("shown:\n%s", got)
	}
}
