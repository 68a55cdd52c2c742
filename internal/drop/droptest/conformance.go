package droptest

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/waybill-hub/waybill/internal/connector"
	"github.com/waybill-hub/waybill/internal/connector/connectortest"
	"github.com/waybill-hub/waybill/internal/drop"
	"github.com/waybill-hub/waybill/internal/jsondoc"
	"github.com/waybill-hub/waybill/internal/lifecycle"
)

// Trouble are the failures and the states of a place that connectortest provokes there.
type Trouble struct {
	Faults  []connectortest.Fault
	Probes  []connectortest.Probe
	Secrets []string
}

// Conformance runs the suite that every kind passes, with one file for each document in two formats, and with one for many.
func Conformance(t *testing.T, place Fresh, trouble func(p Place, objects string) Trouble) {
	csv := `{csv: {columns: {code: text, rev: integer}}, write: {name: "{object}-{external}.csv"}}`
	for name, object := range map[string]string{"csv": csv, "jsonl": "{format: jsonl}", "batch": "{format: jsonl, write: {batch: {max: 5, wait: 1ms}}}"} {
		t.Run(name, func(t *testing.T) {
			connectortest.Run(t, func(t *testing.T) *connectortest.Subject {
				p := place(t)
				objects := "{stock: " + object + "}"
				tr := trouble(p, objects)
				return &connectortest.Subject{
					Kind: p.Kind, Settings: p.Settings(t, objects), Object: "stock", External: name != "batch", Faults: tr.Faults, Probes: tr.Probes, Secrets: tr.Secrets,
					Clock: func(sys connector.System, now func() time.Time) {
						sys.(*drop.System).Clock = testClock{lifecycle.Real(), now}
					},
					Drop: func(t testing.TB, file string, rows int) {
						text, line := "code,rev\n", "\"x\n%[1]d\",%[1]d\n"
						if name != "csv" {
							text, line = "\n", "{\"rev\":%d}\n"
						}
						for n := range rows {
							text += fmt.Sprintf(line, n+1)
						}
						p.Side.Put(t, file, text)
					},
					Revision: func(doc jsondoc.Value) int {
						d, _ := doc.Get("rev").Decimal()
						n, _ := d.Int64()
						return int(n)
					},
					Written: func(t testing.TB) int { return documents(t, p.Side, name) },
					New:     func(n int) string { return fmt.Sprintf(`{"code":"00%d, \"b\"\nc","rev":1}`, n) },
				}
			})
		})
	}
}

// documents counts what was written to a folder: files of one document, or lines of batches.
func documents(t testing.TB, side Side, kind string) (n int) {
	t.Helper()
	for _, name := range strings.Fields(side.List(t, ".")) {
		switch {
		case !strings.HasPrefix(name, "stock-"):
		case kind == "batch":
			n += strings.Count(side.Content(t, name), "\n")
		default:
			n++
		}
	}
	return n
}

// testClock tells a test's time.
type testClock struct {
	lifecycle.Clock
	now func() time.Time
}

func (c testClock) Now() time.Time { return c.now() }
