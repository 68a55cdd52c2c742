package drop_test

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"

	"go.uber.org/goleak"

	"github.com/waybill-hub/waybill/connectors/file"
	"github.com/waybill-hub/waybill/internal/connector"
	"github.com/waybill-hub/waybill/internal/drop/droptest"
	"github.com/waybill-hub/waybill/internal/fault"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// newDrop is a drop of this machine: what these tests look at is the same wherever files lie.
func newDrop(t *testing.T, object string) *droptest.Drop {
	t.Helper()
	dir := t.TempDir()
	return droptest.New(t, droptest.Place{Kind: file.Kind{}, System: "connector: file\npath: " + dir + "\n", Side: droptest.Dir(dir), Dir: dir}, object)
}

func TestWriteCSV(t *testing.T) {
	d := newDrop(t, `{encoding: iso-8859-15, csv: {delimiter: ";", decimal-mark: comma, date-layout: 02.01.2006,
  columns: {sku: text, name: text, price: decimal, count: integer, day: date, ok: bool}}}`)
	r, err := d.Deliver("e/1", `{"ok":true,"sku":"0042","name":"Größe; \"5 €\"","price":1234.50,"count":3,"day":"2026-02-28"}`)
	if err != nil {
		t.Fatal(err)
	}
	if r.Local != "stock-e_1.csv" {
		t.Errorf("%s", r.Local)
	}
	want := "sku;name;price;count;day;ok\r\n0042;\"Gr\xf6\xdfe; \"\"5 \xa4\"\"\";1234,50;3;28.02.2026;true\r\n"
	if got := d.Content(t, r.Local); got != want {
		t.Errorf("%q, want %q", got, want)
	}
	if d.List(t, ".") != r.Local {
		t.Errorf("left behind: %s", d.List(t, "."))
	}
	for _, bad := range []string{`{"sku":7}`, `{"colour":"red"}`, `{"name":["a"]}`, `{"price":"1.5"}`, `{"count":1.5}`, `{"day":"28.2.2026"}`, `{"ok":1}`, `{"name":"数量"}`, `[]`, `{`} {
		if _, err := d.Deliver("e-2", bad); fault.KindOf(err) != fault.Invalid {
			t.Errorf("%s: %v", bad, err)
		}
	}
	if _, err := d.Deliver("", `{"sku":"1"}`); fault.KindOf(err) != fault.Invalid {
		t.Errorf("no external id: %v", err)
	}
}

func TestWriteJSONL(t *testing.T) {
	d := newDrop(t, `{format: jsonl}`)
	r, err := d.Deliver("e-1", "{\n  \"a\": 1.50,\n  \"b\": [ {\"c\": \"x\\ny\"} , null ]\n}")
	if err != nil {
		t.Fatal(err)
	}
	if got := d.Content(t, r.Local); got != "{\"a\":1.50,\"b\":[{\"c\":\"x\\ny\"},null]}\n" {
		t.Errorf("%q", got)
	}
	_, err = d.Deliver("e-1", `{}`)
	if f, ok := fault.As(err); !ok || f.Kind != fault.Conflict || !f.Duplicate {
		t.Errorf("%v", err)
	}
}

func TestBatches(t *testing.T) {
	d := newDrop(t, `{format: jsonl, write: {batch: {max: 10, wait: 1h}}}`)
	var wg sync.WaitGroup
	for range 20 {
		wg.Go(func() {
			r, err := d.Deliver("", `{"a":1}`)
			if err != nil || !strings.Contains(r.Local, ".jsonl#") {
				t.Errorf("%+v %v", r, err)
			}
		})
	}
	wg.Wait() // an hour has not passed: full batches are written at once
	n := 0
	for _, name := range strings.Fields(d.List(t, ".")) {
		n += strings.Count(d.Content(t, name), "\n")
	}
	if n == 0 || n%10 != 0 {
		t.Errorf("%d documents in %s", n, d.List(t, "."))
	}
	// A caller that must end takes its batch with it.
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() {
		_, err := d.Write(ctx, connector.Write{Object: "stock", Action: connector.Create, Doc: []byte(`{"last":true}`)})
		done <- err
	}()
	for !d.Gathering("stock") {
		runtime.Gosched()
	}
	cancel()
	if err := <-done; err != nil {
		t.Errorf("%v", err)
	}
	_, err := d.Find(t.Context(), connector.Lookup{Object: "stock", External: "e"})
	if !errors.Is(err, connector.ErrNoLookup) {
		t.Errorf("%v", err)
	}
}

// TestBatchAfterTakeover: what is not the hub's to write any more is not in the file, and what else was gathered is.
func TestBatchAfterTakeover(t *testing.T) {
	d := newDrop(t, `{format: jsonl, write: {batch: {max: 6, wait: 1h}}}`)
	replaced := errors.New("another hub has taken over")
	var mu sync.Mutex
	var locals []string
	var wg sync.WaitGroup
	for i := range 6 {
		wg.Go(func() {
			ctx := connector.WithFence(t.Context(), func(context.Context) error {
				if i%3 == 0 {
					return replaced
				}
				return nil
			})
			r, err := d.Write(ctx, connector.Write{Object: "stock", Action: connector.Create, Doc: fmt.Appendf(nil, `{"n":%d}`, i)})
			switch {
			case i%3 == 0:
				if !errors.Is(err, replaced) || fault.KindOf(err) != fault.Unavailable {
					t.Errorf("%d: %+v %v", i, r, err)
				}
			case err != nil:
				t.Errorf("%d: %v", i, err)
			default:
				mu.Lock()
				locals = append(locals, r.Local)
				mu.Unlock()
			}
		})
	}
	wg.Wait()
	name := d.List(t, ".")
	lines := strings.Split(strings.TrimSpace(d.Content(t, name)), "\n")
	slices.Sort(lines)
	if want := []string{`{"n":1}`, `{"n":2}`, `{"n":4}`, `{"n":5}`}; !slices.Equal(lines, want) {
		t.Errorf("%q, want %q", lines, want)
	}
	slices.Sort(locals)
	if want := []string{name + "#1", name + "#2", name + "#3", name + "#4"}; !slices.Equal(locals, want) {
		t.Errorf("%q, want %q", locals, want)
	}
	ctx := connector.WithFence(t.Context(), func(context.Context) error { return replaced })
	ctx, cancel := context.WithCancel(ctx)
	cancel()
	if _, err := d.Write(ctx, connector.Write{Object: "stock", Action: connector.Create, Doc: []byte(`{}`)}); err == nil {
		t.Error("written by a hub that was replaced")
	}
	if d.List(t, ".") != name {
		t.Errorf("more files: %s", d.List(t, "."))
	}
}

// The hub's own files are read back by the hub as they were written.
func TestWrittenIsRead(t *testing.T) {
	d := newDrop(t, `{ready: {when: renamed}, encoding: gb18030, csv: {columns: {sku: text, qty: decimal}}}`)
	if _, err := d.Deliver("e-1", `{"sku":"00数,\"1","qty":12345678901234567890.10}`); err != nil {
		t.Fatal(err)
	}
	files, _ := d.Files()
	if got := d.Rows(files[0], 0); got != "1 @2: {\"sku\":\"00数,\\\"1\",\"qty\":12345678901234567890.10}\n" {
		t.Errorf("%s", got)
	}
}
