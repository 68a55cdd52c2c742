package droptest

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/waybill-hub/waybill/internal/connector"
	"github.com/waybill-hub/waybill/internal/fault"
)

// TestChanges: what a change of an object that was written before becomes.
func testChanges(t *testing.T, place Fresh) {
	change := func(action connector.Action, key, version, doc string) connector.Write {
		return connector.Write{Object: "stock", Action: action, External: "e-1", Local: "stock-e-1.csv", IdempotencyKey: key, Version: version, Doc: []byte(doc)}
	}
	for name, c := range map[string]struct {
		object string
		w      connector.Write
		want   string // the name of the file, without its event; or, with !, why not
		text   string
	}{
		"by default":         {`{csv: {columns: {sku: text}}}`, change(connector.Update, "k", "7", `{"sku":"A"}`), "stock-e-1-7-EVENT.csv", "sku\r\nA\r\n"},
		"a time":             {`{csv: {columns: {sku: text}}}`, change(connector.Update, "k", "2026-03-01T12:00:00Z", `{"sku":"A"}`), "stock-e-1-2026-03-01T12_00_00Z-EVENT.csv", "sku\r\nA\r\n"},
		"no version":         {`{csv: {columns: {sku: text}}}`, change(connector.Update, "k", "", `{"sku":"A"}`), "stock-e-1-EVENT.csv", "sku\r\nA\r\n"},
		"a long version":     {`{format: jsonl}`, change(connector.Update, "k", strings.Repeat("v", 50), `{"sku":"A"}`), "stock-e-1-" + strings.Repeat("v", 40) + "-EVENT.jsonl", "{\"sku\":\"A\"}\n"},
		"its own name":       {`{format: jsonl, write: {changed-name: "change-{event}.json"}}`, change(connector.Update, "k", "7", `{"sku":"A"}`), "change-EVENT.json", "{\"sku\":\"A\"}\n"},
		"one name":           {`{format: jsonl, write: {name: "{object}-{event}.json"}}`, change(connector.Update, "k", "7", `{"sku":"A"}`), "stock-EVENT.json", "{\"sku\":\"A\"}\n"},
		"refused":            {`{format: jsonl, write: {changes: refuse}}`, change(connector.Update, "k", "7", `{"sku":"A"}`), "! a file that was written is not changed", ""},
		"no key":             {`{format: jsonl}`, change(connector.Update, "", "7", `{"sku":"A"}`), "! the file's name needs the change's id", ""},
		"deleted":            {`{format: jsonl, rows: {operation-column: op}}`, change(connector.Delete, "k", "7", `{"sku":"A"}`), "stock-e-1-7-EVENT.jsonl", "{\"op\":\"delete\",\"sku\":\"A\"}\n"},
		"deleted, no doc":    {`{format: jsonl, rows: {operation-column: op}}`, change(connector.Delete, "k", "7", ""), "! the deletion comes without a document", ""},
		"deleted, no column": {`{format: jsonl}`, change(connector.Delete, "k", "7", `{"sku":"A"}`), "! a deletion cannot be told", ""},
	} {
		t.Run(name, func(t *testing.T) {
			d := New(t, place(t), c.object)
			for range 2 { // its outcome was lost
				r, err := d.Write(t.Context(), c.w)
				if why, bad := strings.CutPrefix(c.want, "! "); bad {
					if fault.KindOf(err) != fault.Invalid || !strings.Contains(err.Error(), why) || d.List(d.T, ".") != "" {
						t.Errorf("%v, %s, want %q", err, d.List(d.T, "."), why)
					}
					continue
				}
				if err != nil || r.Local != "stock-e-1.csv" || (r.Doc == nil) != (c.w.Action == connector.Delete) {
					t.Fatalf("%+v %v", r, err)
				}
				before, after, _ := strings.Cut(c.want, "EVENT")
				got := d.List(d.T, ".")
				if !strings.HasPrefix(got, before) || !strings.HasSuffix(got, after) || len(got) != len(c.want)-5+16 || d.Content(d.T, got) != c.text {
					t.Fatalf("%q holds %q, want %q with %q", got, d.Content(d.T, got), c.want, c.text)
				}
			}
		})
	}
}

// TestChangeThatComesAgain: what was written for a change stays what it says, although it comes again saying something else.
func testChangeThatComesAgain(t *testing.T, place Fresh) {
	d := New(t, place(t), `{format: jsonl}`)
	for _, doc := range []string{`{"a":1}`, `{"a":2}`} {
		if _, err := d.Write(t.Context(), connector.Write{Object: "stock", Action: connector.Update, External: "e", Local: "x", IdempotencyKey: "k", Doc: []byte(doc)}); err != nil {
			t.Fatal(err)
		}
	}
	if got := d.Content(d.T, d.List(d.T, ".")); got != "{\"a\":1}\n" {
		t.Errorf("%q", got)
	}
}

// TestChangeFile: a batch tells of each object what happened to it.
func testChangeFile(t *testing.T, place Fresh) {
	d := New(t, place(t), `{csv: {columns: {sku: text}}, rows: {operation-column: op, create: I, update: U, delete: D, event-column: id}, write: {batch: {max: 1, wait: 1h}}}`)
	for _, a := range []connector.Action{connector.Create, connector.Update, connector.Delete} {
		if _, err := d.Write(t.Context(), connector.Write{Object: "stock", Action: a, Local: "x#1", IdempotencyKey: "k-" + string(a), Doc: []byte(`{"sku":"A"}`)}); err != nil {
			t.Fatal(err)
		}
	}
	var rows []string
	for _, name := range strings.Fields(d.List(d.T, ".")) { // in the order of their times
		rows = append(rows, strings.TrimPrefix(strings.ReplaceAll(d.Content(d.T, name), "\r\n", " "), "op,id,sku "))
	}
	if got := strings.Join(rows, ""); got != "I,k-create,A U,k-update,A D,k-delete,A " {
		t.Errorf("%s", got)
	}
}

// TestGrouped: a document with lines goes out as rows and comes back as it was.
func testGrouped(t *testing.T, place Fresh) {
	d := New(t, place(t), `{ready: {when: renamed}, group-by: [no], csv: {columns: {no: text, sku: text, qty: integer}}}`)
	const order = `{"no":"17","lines":[{"sku":"A","qty":1},{"sku":"B","qty":2}]}`
	r, err := d.Deliver("e-1", order)
	if err != nil {
		t.Fatal(err)
	}
	files, _ := d.Files()
	if got := d.Rows(files[0], 0); got != "1 @2: "+order+"\n" {
		t.Errorf("%s", got)
	}
	if found, err := d.Find(t.Context(), connector.Lookup{Object: "stock", Local: r.Local}); err != nil || string(found[0].Doc) != order {
		t.Errorf("%+v %v", found, err)
	}
	d.Put(d.T, "bad.csv", "no,sku,qty\n18,A,x\n")
	files, _ = d.Files()
	bad := files[slices.IndexFunc(files, func(f connector.File) bool { return f.Name == "bad.csv" })]
	if got := d.Rows(bad, 0); strings.Count(got, "line 2") != 1 || !strings.Contains(got, "column qty") {
		t.Errorf("a row that cannot be read: %s", got)
	}
	d = New(t, place(t), `{rows: {each: lines}, csv: {columns: {no: text, sku: text, qty: integer}}}`)
	if r, err = d.Deliver("e-1", order); err != nil {
		t.Fatal(err)
	}
	if found, err := d.Find(t.Context(), connector.Lookup{Object: "stock", Local: r.Local}); err != nil || len(found) != 1 || found[0].Doc != nil {
		t.Errorf("a row is not the document: %+v %v", found, err)
	}
}

// TestWrittenTo: a file that was written to while it was read, or after, is neither taken half nor moved away.
func testWrittenTo(t *testing.T, place Fresh) {
	d := New(t, place(t), `{ready: {when: renamed}}`)
	d.Put(d.T, "a.csv", "sku\n1\n2")
	files, _ := d.Files()
	first := files[0]
	var got []string
	for row, err := range d.Read(t.Context(), "stock", first, 0) {
		if err != nil {
			got = append(got, err.Error())
			continue
		}
		if row.Number == 1 {
			d.Put(d.T, "a.csv", "sku\n1\n22\n3\n")
		}
		got = append(got, string(row.Doc))
	}
	if len(got) != 2 || got[0] != `{"sku":"1"}` || !strings.Contains(got[1], "written to while it was read") {
		t.Errorf("%q", got)
	}
	if err := d.Done(t.Context(), "stock", first, nil); !errors.Is(err, connector.ErrChanged) {
		t.Errorf("done: %v", err)
	}
	files, _ = d.Files()
	id, err := d.IDAt(t.Context(), "stock", files[0], first.Size)
	if err != nil || id != first.ID {
		t.Errorf("its beginning is %s, and was %s: %v", id, first.ID, err)
	}
	d.Put(d.T, "a.csv", "sku\nother\nthings\n")
	files, _ = d.Files()
	if id, err := d.IDAt(t.Context(), "stock", files[0], first.Size); err != nil || id == first.ID {
		t.Errorf("another content begins like the first: %s %v", id, err)
	}
	if d.List(t, "done") != "" {
		t.Error("it was moved")
	}
}

// TestTakenAway: a file that somebody takes away while it is read was whole.
func testTakenAway(t *testing.T, place Fresh) {
	d := New(t, place(t), `{ready: {when: renamed}}`)
	d.Put(d.T, "a.csv", "sku\n1\n2\n")
	files, _ := d.Files()
	n := 0
	for row, err := range d.Read(t.Context(), "stock", files[0], 0) {
		if n++; err != nil {
			t.Errorf("%d: %v", row.Number, err)
		}
		if n == 1 {
			d.Remove(d.T, "a.csv")
		}
	}
	if err := d.Done(t.Context(), "stock", files[0], nil); err != nil || n != 2 || d.List(t, "done") != "" {
		t.Errorf("%d rows, %v, done %q", n, err, d.List(t, "done"))
	}
}

// TestNamesAlone: nothing is read or moved that is not in the object's own folder.
func testNamesAlone(t *testing.T, place Fresh) {
	d := New(t, place(t), `{path: in}`)
	d.Put(d.T, "a.csv", "sku\n1\n")
	d.Put(d.T, "in/sub/a.csv", "sku\n1\n")
	for _, name := range []string{"../a.csv", "sub/a.csv", ".", ""} {
		f := connector.File{Name: name}
		if got := d.Rows(f, 0); !strings.Contains(got, "this is no name of a file") {
			t.Errorf("read %q: %s", name, got)
		}
		if err := d.Done(t.Context(), "stock", f, nil); err == nil || !strings.Contains(err.Error(), "this is no name of a file") {
			t.Errorf("move %q: %v", name, err)
		}
		if name == "" {
			continue // then it is the external id that counts
		}
		if found, err := d.Find(t.Context(), connector.Lookup{Object: "stock", Local: name}); err != nil || len(found) != 0 {
			t.Errorf("find %q: %+v %v", name, found, err)
		}
	}
}

// TestReaderGoes: a reading ends with its context.
func testReaderGoes(t *testing.T, place Fresh) {
	d := New(t, place(t), `{ready: {when: renamed}}`)
	d.Put(d.T, "a.csv", "sku\n"+strings.Repeat("1\n", 200_000))
	files, _ := d.Files()
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	n, last := 0, error(nil)
	for _, err := range d.Read(ctx, "stock", files[0], 0) {
		n, last = n+1, err
		cancel()
	}
	if fault.KindOf(last) != fault.Unavailable || n >= 200_000 {
		t.Errorf("%d rows, then %v", n, last)
	}
	for what, err := range map[string]error{
		"a file is moved": d.Done(ctx, "stock", files[0], nil), "folders are looked at": d.Probe(ctx),
		"a file is written": func() error {
			_, err := d.Write(ctx, connector.Write{Object: "stock", Action: connector.Create, External: "e", Doc: []byte(`{"sku":"1"}`)})
			return err
		}(),
	} {
		if fault.KindOf(err) != fault.Unavailable || d.List(t, ".") != "a.csv" {
			t.Errorf("%s for somebody who has gone: %v", what, err)
		}
	}
}
