package edi

import (
	"bytes"
	"encoding/json"
	"errors"
	"flag"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/waybill-hub/waybill/internal/jsondoc"
	"github.com/waybill-hub/waybill/internal/strictyaml"
)

var update = flag.Bool("update", false, "write the golden files anew")

// shipped gives the tables of the samples, by message.
func shipped(t testing.TB) map[string]*Table {
	t.Helper()
	out := map[string]*Table{}
	for _, name := range Shipped() {
		var p strictyaml.Problems
		table := ShippedTable(name, &p)
		if err := p.Err(); err != nil || table == nil {
			t.Fatalf("%s: %v", name, err)
		}
		if table.Name != name {
			t.Errorf("%s calls itself %s", name, table.Name)
		}
		out[table.Message] = table
	}
	return out
}

func standardOf(path string) Standard {
	if strings.Contains(path, "edifact") {
		return EDIFACT
	}
	return X12
}

// samples are the interchanges of testdata, valid ones.
func samples(t testing.TB) []string {
	t.Helper()
	var out []string
	for _, dir := range []string{"x12", "edifact"} {
		files, err := filepath.Glob("testdata/" + dir + "/*.edi")
		if err != nil || len(files) == 0 {
			t.Fatalf("no samples in %s: %v", dir, err)
		}
		for _, f := range files {
			if !strings.Contains(f, "wrong") {
				out = append(out, f)
			}
		}
	}
	return out
}

// rewrite gives the bytes of an interchange again, from its values.
func rewrite(t testing.TB, data []byte, std Standard) []byte {
	t.Helper()
	out, err := rewritten(data, std)
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// rewritten reads all values of an interchange with one group, and writes them with the same syntax and envelope.
func rewritten(data []byte, std Standard) ([]byte, error) {
	r := NewReader(bytes.NewReader(data), std)
	var o Outgoing
	var bodies []Body
	for {
		m, err := r.Next()
		if errors.Is(err, io.EOF) {
			return Write(o, bodies)
		}
		if err != nil {
			return nil, err
		}
		if len(m.Faults) > 0 {
			return nil, &m.Faults[0]
		}
		in := m.Group.Interchange
		date := in.Date
		if len(date) == 6 {
			date = "20" + date
		}
		d, err := jsondoc.ParseDecimal(strings.TrimPrefix(in.Control, "REF"))
		if err != nil {
			return nil, err
		}
		n, _ := d.Int64()
		o = Outgoing{Syntax: in.Syntax, Sender: in.Sender, Receiver: in.Receiver, GroupSender: m.Group.Sender.ID, GroupReceiver: m.Group.Receiver.ID, Number: n, Date: date, Time: in.Time,
			Version: m.Version, Test: in.Test, Wanted: in.Wanted}
		b := Body{Type: m.Type, Code: m.Group.Code, Control: m.Control}
		for i := 1; i < len(m.Segments)-1; i++ {
			s := &m.Segments[i]
			v := Values{Tag: s.Tag}
			for e := 1; e <= m.Len(s); e++ {
				one, err := m.Values(s, e)
				if err != nil {
					return nil, err
				}
				v.Elements = append(v.Elements, one)
			}
			b.Segments = append(b.Segments, v)
		}
		bodies = append(bodies, b)
	}
}

// TestSamplesRoundTrip: every sample becomes values, and the same bytes again; and its document becomes the same segments.
func TestSamplesRoundTrip(t *testing.T) {
	tables := shipped(t)
	for _, file := range samples(t) {
		t.Run(filepath.Base(file), func(t *testing.T) {
			data, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			std := standardOf(file)
			want := data
			if std == EDIFACT { // its control reference has letters, and UNB an application reference: the hub writes numbers
				want = regexp.MustCompile(`(UN[BZ].*)REF000`).ReplaceAll(want, []byte("$1"))
				want = regexp.MustCompile(`(UNB.*[^+])\+\+[A-Z]+'`).ReplaceAll(want, []byte("$1'"))
			}
			if got := rewrite(t, data, std); !bytes.Equal(got, want) {
				t.Errorf("the bytes differ:\n%s\n%s", got, want)
			}
			r := NewReader(bytes.NewReader(data), std)
			m, err := r.Next()
			if err != nil {
				t.Fatal(err)
			}
			table := tables[m.Type]
			if table == nil {
				t.Fatalf("no table for %s", m.Type)
			}
			doc, faults := table.Document(m, "")
			if len(faults) > 0 {
				t.Fatalf("%v", faults)
			}
			golden(t, file+".json", doc)
			parsed, err := jsondoc.Parse(doc, jsondoc.Limits{})
			if err != nil {
				t.Fatalf("%s: %v", doc, err)
			}
			body, err := table.Compose(parsed.Root(), m.Version, '.')
			if err != nil {
				t.Fatal(err)
			}
			in := m.Group.Interchange
			date := in.Date
			if len(date) == 6 {
				date = "20" + date
			}
			body.Control = m.Control
			out, err := Write(Outgoing{Syntax: in.Syntax, Sender: in.Sender, Receiver: in.Receiver, Number: 1, Date: date, Time: in.Time, Version: m.Version, Test: in.Test}, []Body{body})
			if err != nil {
				t.Fatal(err)
			}
			if got, want := inner(out), inner(data); got != want {
				t.Errorf("the document becomes other segments:\n%s\nwant\n%s", got, want)
			}
			if _, err := r.Next(); !errors.Is(err, io.EOF) {
				t.Errorf("behind the message: %v", err)
			}
		})
	}
}

// inner are the lines of an interchange without its envelope.
func inner(data []byte) string {
	var out []string
	for line := range strings.SplitSeq(string(data), "\n") {
		if tag := line[:min(2, len(line))]; tag != "IS" && tag != "GS" && tag != "GE" && tag != "IE" && !strings.HasPrefix(line, "UNA") && !strings.HasPrefix(line, "UNB") && !strings.HasPrefix(line, "UNZ") {
			out = append(out, line)
		}
	}
	return strings.Join(out, "\n")
}

func golden(t *testing.T, file string, doc []byte) {
	t.Helper()
	var b bytes.Buffer
	if err := json.Indent(&b, doc, "", "  "); err != nil {
		t.Fatalf("%s: %v", doc, err)
	}
	got := append(b.Bytes(), '\n')
	if *update {
		if err := os.WriteFile(file, got, 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(got, want) {
		t.Errorf("%s:\n%s", file, got)
	}
}
