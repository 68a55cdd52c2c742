package rows

import (
	"bytes"
	"os"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"

	"github.com/waybill-hub/waybill/internal/store/pgtest"
)

func TestMain(m *testing.M) { os.Exit(pgtest.Main(m)) }

// Every part does its work, and one that finds other differences than were made fails.
func TestParts(t *testing.T) {
	left, right := pgtest.URL(t), pgtest.URL(t)
	o := Options{Left: left, Right: right, Rows: 3000, Differences: 20}
	if err := o.Make(t.Context(), left, false); err != nil {
		t.Fatal(err)
	}
	if err := o.Make(t.Context(), right, true); err != nil {
		t.Fatal(err)
	}
	part := func(mode string) (string, error) {
		var out bytes.Buffer
		o := o
		o.Mode, o.Out = mode, &out
		err := Run(t.Context(), o)
		return out.String(), err
	}
	for mode, want := range map[string]string{Reading: "rows=5992", Streamed: "compared=3000 found=20 travelled=5992", Pushed: "compared=3000 found=20 "} {
		if got, err := part(mode); err != nil || !strings.Contains(got, want) || !strings.HasPrefix(got, mode+"_seconds=") {
			t.Errorf("%s: %q %v", mode, got, err)
		}
	}
	if got, err := part(Expected); err != nil || strings.Count(got, "\n") != 20 {
		t.Errorf("%q %v", got, err)
	}
	c, err := pgx.Connect(t.Context(), right)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close(t.Context())
	if _, err := c.Exec(t.Context(), "UPDATE t SET qty = qty + 1 WHERE id = 3"); err != nil {
		t.Fatal(err)
	}
	for _, mode := range []string{Streamed, Pushed} {
		if got, err := part(mode); err == nil {
			t.Errorf("%s: one difference too many is none: %s", mode, got)
		}
	}
}
