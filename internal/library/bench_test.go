package library_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"syscall"
	"testing"
	"testing/fstest"
	"time"

	"github.com/waybill-hub/waybill/internal/config"
	"github.com/waybill-hub/waybill/internal/edi"
	"github.com/waybill-hub/waybill/internal/event"
	"github.com/waybill-hub/waybill/internal/jsondoc"
	"github.com/waybill-hub/waybill/internal/library"
	"github.com/waybill-hub/waybill/internal/mapping"
	"github.com/waybill-hub/waybill/internal/strictyaml"
)

// known answers for every customer.
type known struct{}

func (known) HubID(context.Context, string, string, string) (string, bool, error) {
	return "h-1", true, nil
}

func (known) LocalID(context.Context, string, string, string) (string, bool, error) {
	return "1", true, nil
}

// shippedMapping gives a mapping as a project has it that names it.
func shippedMapping(tb testing.TB, name string) *mapping.Mapping {
	tb.Helper()
	plan, p := config.Load(config.EmbeddedPaths(fstest.MapFS{"waybill.yaml": {Data: []byte("{}\n")}},
		fstest.MapFS{"f.yaml": {Data: []byte("flow: f\nentity: order\nfrom: {topic: a}\nmap: " + name + "\nto: {topic: b}\n")}}, fstest.MapFS{}, fstest.MapFS{}),
		config.Options{Library: library.Shipped()})
	if err := p.Err(); err != nil {
		tb.Fatal(err)
	}
	return plan.Flows[0].Map
}

// orders is an interchange of n purchase orders.
func orders(tb testing.TB, n int) []byte {
	tb.Helper()
	data, err := os.ReadFile("../edi/testdata/x12/850.edi")
	if err != nil {
		tb.Fatal(err)
	}
	text := strings.ReplaceAll(strings.ReplaceAll(string(data), "\r\n", "\n"), "~\n", "~")
	from, to := strings.Index(text, "ST*850"), strings.Index(text, "GE*1")
	var b strings.Builder
	b.WriteString(text[:from])
	for i := range n {
		b.WriteString(strings.ReplaceAll(text[from:to], "*0001~", fmt.Sprintf("*%04d~", i+1)))
	}
	b.WriteString(strings.Replace(text[to:], "GE*1*", fmt.Sprintf("GE*%d*", n), 1))
	return []byte(b.String())
}

// BenchmarkX12Canonical reads purchase orders, makes documents of them and canonical orders of those. MB/cpu-s are the interchange's bytes by a second of a processor.
func BenchmarkX12Canonical(b *testing.B) {
	data := orders(b, 1000)
	m := shippedMapping(b, "x12-850-to-order")
	var p strictyaml.Problems
	table := edi.ShippedTable("x12-850", &p)
	e := &event.Event{Hub: "h-1", Source: "edi", Entity: "order"}
	b.SetBytes(int64(len(data)))
	b.ReportAllocs()
	begun := cpu(b)
	var out []byte
	for b.Loop() {
		r := edi.NewReader(bytes.NewReader(data), edi.X12)
		for {
			msg, err := r.Next()
			if errors.Is(err, io.EOF) {
				break
			}
			if err != nil {
				b.Fatal(err)
			}
			raw, faults := table.Document(msg, "")
			if len(faults) > 0 {
				b.Fatal(faults)
			}
			doc := jsondoc.Get() // as flows have their documents
			if err := doc.Reset(raw, jsondoc.Limits{}); err != nil {
				b.Fatal(err)
			}
			if out, err = m.Apply(b.Context(), &mapping.Input{Doc: doc, Event: e, Lookup: known{}}, out[:0]); err != nil {
				b.Fatal(err)
			}
			jsondoc.Put(doc)
		}
	}
	b.ReportMetric(float64(len(data))*float64(b.N)/1e6/(cpu(b)-begun).Seconds(), "MB/cpu-s")
}

// cpu is the processor time that the process has used.
func cpu(b *testing.B) time.Duration {
	b.Helper()
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		b.Fatal(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}
