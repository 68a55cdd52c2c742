package file

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/waybill-hub/waybill/internal/strictyaml"
)

func interchange(t testing.TB, name string) string {
	t.Helper()
	data, err := os.ReadFile(filepath.Join("../../internal/edi/testdata", name))
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}

// TestInterchangesBecomeDocuments: each message is a row; one with a fault parks alone, and a broken envelope fails the file.
func TestInterchangesBecomeDocuments(t *testing.T) {
	d := newDrop(t, "{format: x12, edi: {tables: [x12-850]}, ready: {when: renamed}}")
	good, wrong := interchange(t, "x12/850.edi"), interchange(t, "x12/850-wrong-se-count.edi")
	for _, c := range []struct{ name, data, want string }{
		{"a.edi", good, `1 @3: {"edi":{"standard":"x12","type":"850"`},
		{"b.edi", wrong + good, `1 @3: file: read b.edi: line 3: line 22: segment 20 (SE), element 1: it says "99" segments, and there are 20`},
		{"c.edi", good[:len(good)-20], `0 @0: file: read c.edi: line 23: IEA: the file ends within interchange 000000001: its trailer is not there; nothing of the file was taken`},
		{"d.edi", strings.Replace(good, "GE*1*1", "GE*2*1", 1), `0 @0: file: read d.edi: line 23: GE, element 1: it says "2" transaction sets, and there are 1; nothing of the file was taken`},
		{"e.edi", interchange(t, "x12/810.edi"), `1 @3: file: read e.edi: line 3: a message 810, and edi.tables has 850`},
		{"f.edi", "no interchange", `no interchange begins here`},
	} {
		d.put(c.name, c.data)
		files, _ := d.pending()
		if got := d.rows(files[len(files)-1], 0); !strings.Contains(got, strings.Replace(c.want, "file: read", "drop: read", 1)) {
			t.Errorf("%s:\n%s\nwant\n%s", c.name, got, c.want)
		}
		if err := os.Remove(filepath.Join(d.dir, c.name)); err != nil {
			t.Fatal(err)
		}
	}
}

// TestHalfAnInterchangeIsHeldBack: it may be half an upload.
func TestHalfAnInterchangeIsHeldBack(t *testing.T) {
	d := newDrop(t, "{format: edifact, edi: {tables: [edifact-orders]}, ready: {age: 10s, cut-after: 10m}}")
	data := interchange(t, "edifact/ORDERS-D96A.edi")
	d.put("whole.edi", data)
	d.put("half.edi", data[:len(data)/2])
	d.wants("at first", "")
	d.clock.Advance(11 * time.Second)
	d.wants("after its age", "whole.edi")
	if notes := d.FileNotes("stock"); len(notes) != 1 || !strings.Contains(notes[0].Why, "the file ends within interchange REF0001") {
		t.Errorf("%+v", notes)
	}
	files, _ := d.pending()
	if got := d.rows(files[0], 0); !strings.Contains(got, `Müller & Söhne DC 7`) || !strings.Contains(got, `"text":"Rampe 3: nur vormittags, Tor 4 + 5, geöffnet"`) {
		t.Error(got)
	}
}

func TestEDISettings(t *testing.T) {
	for _, c := range []struct{ object, want string }{
		{"{format: x12}", "no table says what the messages are"},
		{"{format: x12, edi: {tables: [x12-580]}}", `there is no shipped table "x12-580" (did you mean "x12-850"?)`},
		{"{format: x12, edi: {tables: [edifact-orders]}}", "edifact-orders is one of edifact, and the format is x12"},
		{"{format: x12, edi: {tables: [x12-850, x12-850]}}", "two are of message 850"},
		{"{format: x12, edi: {tables: [x12-850]}, group-by: [a]}", "group-by: a message is a document already"},
		{"{format: x12, edi: {tables: [not-there.yaml]}}", "not-there.yaml"},
	} {
		var p strictyaml.Problems
		Kind{}.Check(settingsOf(t, "connector: file\npath: .\nobjects: {stock: "+c.object+"}"), &p)
		if err := p.Err(); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v, want %q", c.object, err, c.want)
		}
	}
}
