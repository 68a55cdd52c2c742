package edi

import (
	"bytes"
	"errors"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/iotest"

	"pgregory.net/rapid"
)

// drain reads all messages; it gives their values and what ended the file: nil at its end.
func drain(r io.Reader, std Standard) (all []*Message, ended error) {
	rd := NewReader(r, std)
	for {
		m, err := rd.Next()
		if errors.Is(err, io.EOF) {
			return all, nil
		}
		if err != nil {
			return all, err
		}
		all = append(all, m)
	}
}

// TestTruncatedIsRefused: no beginning of a sample is taken for a whole one.
func TestTruncatedIsRefused(t *testing.T) {
	for _, file := range samples(t) {
		data, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		whole := len(bytes.TrimRight(data, "\r\n"))
		for n := 1; n < whole; n++ {
			if len(bytes.Trim(data[:n], "\r\n")) == 0 {
				continue
			}
			if _, err := drain(bytes.NewReader(data[:n]), standardOf(file)); err == nil {
				t.Fatalf("%s: %d of %d bytes were taken for a whole interchange", file, n, whole)
			}
		}
		if _, err := drain(iotest.OneByteReader(bytes.NewReader(data[:whole])), standardOf(file)); err != nil {
			t.Errorf("%s without its last line end, byte by byte: %v", file, err)
		}
	}
}

const (
	isaHead = "ISA*00*          *00*          *ZZ*A              *ZZ*B              *260115*1000*U*00401*000000001*0*T*>~"
	unbHead = "UNB+UNOC:3+A:14+B:14+260115:1000+R1'"
)

// TestAroundSegments: what programs put around interchanges and segments, and what means nothing there, is skipped.
func TestAroundSegments(t *testing.T) {
	x12 := isaHead + "GS*PO*A*B*20260115*1000*7*X*004010~ST*850*0001~BEG*00*SA*P **20260115~SE*3*0001~GE*1*7~IEA*1*000000001~"
	edifact := "UNA:+.? '" + unbHead + "UNH+1+ORDERS:D:96A:UN'BGM+220+P 'UNT+3+1'UNZ+1+R1'"
	for _, c := range []struct {
		name string
		make func(string) string
	}{
		{"byte order mark", func(s string) string { return "\ufeff" + s }},
		{"blanks before", func(s string) string { return " \r\n\t " + s }},
		{"blanks behind", func(s string) string { return s + "   \r\n" }},
		{"end of old systems", func(s string) string { return s + "\r\n\x1a\x00\x00" }},
		{"marks of a line around it", func(s string) string { return "\x01\x02" + s + "\x0c\x03\x04\x7f" }},
		{"marks between two", func(s string) string { return s + "\x03\x0c\ufeff\x02" + s }},
		{"padded records", func(s string) string {
			return strings.NewReplacer("~", "~   \n", "P 'U", "P '  \nU", "1'U", "1'  \nU").Replace(s)
		}},
		{"line ends that end segments, and empty lines", func(s string) string {
			if strings.HasPrefix(s, "ISA") {
				return strings.ReplaceAll(s, "~", "\n\n")
			}
			return strings.NewReplacer("UNA:+.? '", "UNA:+.? \n\n", "'", "\n\n").Replace(s)
		}},
		{"twice", func(s string) string { return s + "\n \n" + s }},
	} {
		for std, data := range map[Standard]string{X12: x12, EDIFACT: edifact} {
			all, err := drain(strings.NewReader(c.make(data)), std)
			if err != nil || len(all) == 0 || len(all[0].Faults) > 0 {
				t.Errorf("%s, %s: %d, %v", c.name, std, len(all), err)
				continue
			}
			s := &all[0].Segments[1]
			if got := all[0].Text(s, map[Standard]int{X12: 3, EDIFACT: 2}[std]); got != "P " { // blanks of a value stay
				t.Errorf("%s, %s: %q", c.name, std, got)
			}
		}
	}
}

func TestBrokenEnvelopes(t *testing.T) {
	group := "GS*PO*A*B*20260115*1000*7*X*004010~"
	set := "ST*850*0001~BEG*00*SA*P**20260115~SE*3*0001~"
	for _, c := range []struct{ name, data, want string }{
		{"no interchange", "hello", "no interchange begins here"},
		{"EDIFACT in a file of X12", unbHead, "no interchange begins here"},
		{"behind the interchange", isaHead + "IEA*0*000000001~rest", "no interchange begins here"},
		{"short field in ISA", strings.Replace(isaHead, "A              *", "A             *", 1) + strings.Repeat(" ", 9), "element 6: it must have 15 characters"},
		{"control number", strings.Replace(isaHead, "000000001", "00000000A", 1), "no control number"},
		{"same separators", strings.Replace(isaHead, "*>~", "*~~", 1), "a separator twice"},
		{"letter separates", strings.ReplaceAll(isaHead, "*", "Q"), "cannot be a separator"},
		{"group count", isaHead + group + set + "GE*2*7~IEA*1*000000001~", `GE, element 1: it says "2" transaction sets, and there are 1`},
		{"group reference", isaHead + group + set + "GE*1*8~IEA*1*000000001~", `GE, element 2: its reference is "8", and "7" in the header`},
		{"interchange count", isaHead + group + set + "GE*1*7~IEA*2*000000001~", `IEA, element 1: it says "2" groups, and there are 1`},
		{"interchange reference", isaHead + group + set + "GE*1*7~IEA*1*000000002~", `IEA, element 2: its reference is "000000002"`},
		{"group reference of X12 with a letter", isaHead + strings.Replace(group, "*7*X", "*7A*X", 1) + set + "GE*1*07A~IEA*1*000000001~", `GE, element 2: its reference is "07A"`},
		{"no GE", isaHead + group + set + "IEA*1*000000001~", "the interchange ends before GE"},
		{"no SE", isaHead + group + "ST*850*0001~BEG*00~GE*1*7~IEA*1*000000001~", "where SE should end"},
		{"next ST without SE", isaHead + group + "ST*850*0001~BEG*00~" + set + "GE*1*7~IEA*1*000000001~", "where SE should end"},
		{"set outside of a group", isaHead + set + "IEA*0*000000001~", "outside of a group"},
		{"segment outside", isaHead + group + "N1*BY~", "outside of a transaction set"},
		{"group in a group", isaHead + group + group, "a group begins before GE"},
		{"two groups of one", isaHead + group + set + "GE*1*7~GE*1*7~", "ends a group that has not begun"},
		{"no tag", isaHead + group + "ST*850*0001~b!*1~", "is no tag of a segment"},
		{"long segment", isaHead + group + "ST*850*0001~BEG*" + strings.Repeat("x", maxSegment) + "~", "more than 65536 bytes"},
		{"UNZ count", unbHead + "UNH+1+ORDERS:D:96A:UN'BGM+220'UNT+3+1'UNZ+2+R1'", `UNZ, element 1: it says "2" messages, and there are 1`},
		{"UNZ reference", unbHead + "UNH+1+ORDERS:D:96A:UN'BGM+220'UNT+3+1'UNZ+1+R2'", `UNZ, element 2: its reference is "R2"`},
		{"no UNT", unbHead + "UNH+1+ORDERS:D:96A:UN'BGM+220'UNZ+1+R1'", "where UNT should end"},
		{"UNE count", unbHead + "UNG+ORDERS+A+B+260115:1000+G1+UN+D:96A'UNH+1+ORDERS:D:96A:UN'UNT+2+1'UNE+2+G1'UNZ+1+R1'", `UNE, element 1: it says "2" messages`},
		{"message beside groups", unbHead + "UNG+ORDERS+A+B+260115:1000+G1+UN+D:96A'UNE+0+G1'UNH+1+ORDERS:D:96A:UN'UNT+2+1'", "outside of the groups"},
		{"character set", strings.Replace(unbHead, "UNOC", "UNOX", 1), `the character set "UNOX" is not known`},
		{"syntax version", strings.Replace(unbHead, ":3+", ":9+", 1), "version \"9\" of the syntax"},
		{"UNA and no UNB", "UNA:+.? 'UNH+1'", "UNB must follow UNA"},
		{"UNA with one separator twice", "UNA::.? 'UNB+UNOC:3'", "a separator twice"},
		{"no reference", "UNB+UNOC:3+A+B+260115:1000'UNZ+0+'", "control reference must be there"},
	} {
		std := X12
		if strings.Contains(c.want, "UN") || strings.HasPrefix(c.data, "UN") && c.name != "EDIFACT in a file of X12" {
			std = EDIFACT
		}
		_, err := drain(strings.NewReader(c.data), std)
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v, want %q", c.name, err, c.want)
		}
	}
}

// TestKindsOfTests: syntax 4 has several, and none of them is of production.
func TestKindsOfTests(t *testing.T) {
	for indicator, want := range map[string]bool{"": false, "+++++": false, "++++++0": false, "++++++1": true, "++++++2": true, "++++++3": true} {
		r := NewReader(strings.NewReader(strings.Replace(unbHead, "'", indicator+"'", 1)+"UNH+1+ORDERS:D:96A:UN'UNT+2+1'UNZ+1+R1'"), EDIFACT)
		if m, err := r.Next(); err != nil || m.Group.Interchange.Test != want {
			t.Errorf("%s: %v", indicator, err)
		}
	}
}

// TestNumbersOfTrailers: control numbers of X12 are numbers, and zeros before them mean nothing; EDIFACT's are texts.
func TestNumbersOfTrailers(t *testing.T) {
	set := "ST*850*0001~BEG*00*SA*P**20260115~SE*3*0001~"
	if all, err := drain(strings.NewReader(isaHead+"GS*PO*A*B*20260115*1000*007*X*004010~"+set+"GE*1*7~IEA*1*1~"), X12); err != nil || len(all) != 1 || len(all[0].Faults) > 0 {
		t.Errorf("%v %v", all, err)
	}
	if _, err := drain(strings.NewReader(strings.Replace(unbHead, "R1", "1", 1)+"UNZ+0+01'"), EDIFACT); err == nil || !strings.Contains(err.Error(), `its reference is "01"`) {
		t.Error(err)
	}
}

// TestTrailersOfMessages: a wrong count or reference is the message's own fault, and the next one is read.
func TestTrailersOfMessages(t *testing.T) {
	data := isaHead + "GS*PO*A*B*20260115*1000*7*X*004010~ST*850*0001~BEG*00~SE*9*0001~ST*850*0002~BEG*00~SE*3*0003~ST*850*0002~SE*2*0002~ST*850*0004~BEG*00~SE*3*0004~GE*4*7~IEA*1*000000001~"
	all, err := drain(strings.NewReader(data), X12)
	if err != nil {
		t.Fatal(err)
	}
	var kinds [][]Kind
	for _, m := range all {
		var k []Kind
		for _, f := range m.Faults {
			k = append(k, f.Kind)
		}
		kinds = append(kinds, k)
	}
	want := [][]Kind{{FaultCount}, {FaultReference}, {FaultDuplicate}, nil}
	if !slices.EqualFunc(kinds, want, slices.Equal) {
		t.Errorf("faults %v, want %v", kinds, want)
	}
	if got := all[0].Faults[0].Error(); got != `line 1: segment 3 (SE), element 1: it says "9" segments, and there are 3` {
		t.Error(got)
	}
	sample, err := os.ReadFile("testdata/x12/850-wrong-se-count.edi")
	if err != nil {
		t.Fatal(err)
	}
	if all, err = drain(bytes.NewReader(sample), X12); err != nil || len(all) != 1 || len(all[0].Faults) != 1 || all[0].Faults[0].Line != 22 {
		t.Errorf("%v %+v", err, all)
	}
}

// TestSeparators: what the header says counts, and nothing else.
func TestSeparators(t *testing.T) {
	one := func(data string, std Standard) *Message {
		t.Helper()
		all, err := drain(strings.NewReader(data), std)
		if err != nil || len(all) != 1 || len(all[0].Faults) > 0 {
			t.Fatalf("%q: %v %+v", data, err, all)
		}
		return all[0]
	}
	body := "UNH+1+ORDERS:D:96A:UN'FTX+AAI+++A B? C*D'UNT+3+1'UNZ+1+R1'"
	for _, c := range []struct {
		name, data string
		want       [][]string
	}{
		{"defaults: ? releases, * is a text", unbHead + strings.Replace(body, "? C", "?? C", 1), [][]string{{"A B? C*D"}}},
		{"no release character: blanks stay", "UNA:+.  '" + unbHead + body, [][]string{{"A B? C*D"}}},
		{"syntax 4: * repeats", strings.Replace(unbHead, "UNOC:3", "UNOC:4", 1) + strings.Replace(body, "? C", "?? C", 1), [][]string{{"A B? C"}, {"D"}}},
		{"syntax 4: released", strings.Replace(unbHead, "UNOC:3", "UNOC:4", 1) + strings.Replace(body, "? C*D", "?? C?*D", 1), [][]string{{"A B? C*D"}}},
		{"syntax 4 with advice: none repeats", "UNA:+.? '" + strings.Replace(unbHead, "UNOC:3", "UNOC:4", 1) + strings.Replace(body, "? C", "?? C", 1), [][]string{{"A B? C*D"}}},
		{"syntax 4 with advice: ^ repeats", "UNA:+.?^'" + strings.Replace(unbHead, "UNOC:3", "UNOC:4", 1) + strings.Replace(body, "? C*", "?? C*^", 1), [][]string{{"A B? C*"}, {"D"}}},
	} {
		m := one(c.data, EDIFACT)
		got, err := m.Values(&m.Segments[1], 4)
		if err != nil || !slices.EqualFunc(got, c.want, slices.Equal) {
			t.Errorf("%s: %q %v, want %q", c.name, got, err, c.want)
		}
	}
	x12 := func(eleven, release string) string {
		return strings.NewReplacer("*U*00401*", "*"+eleven+"*"+release+"*").Replace(isaHead) + "GS*PO*A*B*20260115*1000*7*X*005010~ST*850*0001~REF*A^B*C>D~SE*3*0001~GE*1*7~IEA*1*000000001~"
	}
	for _, c := range []struct {
		eleven, release string
		want            [][]string
	}{{"U", "00401", [][]string{{"A^B"}}}, {"^", "00501", [][]string{{"A"}, {"B"}}}, {"U", "00501", [][]string{{"A^B"}}}, {"^", "00401", [][]string{{"A^B"}}}} {
		m := one(x12(c.eleven, c.release), X12)
		if got, _ := m.Values(&m.Segments[1], 1); !slices.EqualFunc(got, c.want, slices.Equal) {
			t.Errorf("%s %s: %q, want %q", c.eleven, c.release, got, c.want)
		}
	}
	umlaut := one(strings.Replace(unbHead, "UNOC", "UNOY", 1)+"UNH+1+ORDERS:D:96A:UN'FTX+AAI+++Ä ж 数'UNT+3+1'UNZ+1+R1'", EDIFACT)
	if got := umlaut.Text(&umlaut.Segments[1], 4); got != "Ä ж 数" {
		t.Errorf("UNOY: %q", got)
	}
}

// values draws the elements of a segment.
func values(t *rapid.T, s *Syntax) [][][]string {
	runes := []rune("aZ09 .,:;+'*?^~>|-=/")
	switch s.Level {
	case "UNOA":
		runes = []rune("AZ09 .,:;+'*?-=/")
	case "", "UNOY":
		runes = append(runes, 'ä', '数', '€')
	case "UNOC":
		runes = append(runes, 'ä', 'ß')
	}
	var own []rune
	for _, r := range runes { // without a release character no value holds a separator
		if s.Release != 0 || r >= 0x80 || bytes.IndexByte(s.marks(), byte(r)) < 0 {
			own = append(own, r)
		}
	}
	text := rapid.StringOfN(rapid.RuneFrom(own), 0, 8, -1)
	n := rapid.IntRange(0, 4).Draw(t, "elements")
	out := make([][][]string, n)
	for i := range out {
		repeats := 1
		if s.Repetition != 0 {
			repeats = rapid.IntRange(1, 3).Draw(t, "repeats")
		}
		for range repeats {
			out[i] = append(out[i], rapid.SliceOfN(text, 1, 3).Draw(t, "components"))
		}
	}
	return out
}

// TestWhatIsWrittenIsRead: any values, by any separators, repetition and release or none, in any character set.
func TestWhatIsWrittenIsRead(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		marks := rapid.Permutation([]byte("*+:^~|'>!")).Draw(t, "marks")
		s := Syntax{Standard: X12, Element: marks[0], Component: marks[1], Terminator: marks[2], Decimal: '.', After: rapid.SampledFrom([]string{"", "\n", "\r\n"}).Draw(t, "after")}
		version := rapid.SampledFrom([]string{"004010", "005010"}).Draw(t, "version")
		o := Outgoing{Sender: Party{"ZZ", "A"}, Receiver: Party{"14", "B"}, Number: rapid.Int64Range(1, maxControl).Draw(t, "number"), Date: "20260115", Time: "1000", Version: version}
		if version == "005010" {
			s.Repetition = marks[3]
		}
		if rapid.Bool().Draw(t, "edifact") {
			s.Standard, s.UNA, s.Version, s.Repetition = EDIFACT, true, '3', 0
			s.Level = rapid.SampledFrom([]string{"UNOA", "UNOC", "UNOY"}).Draw(t, "level")
			o.Version = "D:96A:UN"
			if rapid.Bool().Draw(t, "release") {
				s.Release = '?'
			}
			if rapid.Bool().Draw(t, "syntax 4") {
				s.Version, s.Repetition = '4', marks[3]
			}
		}
		o.Syntax = s
		var bodies []Body
		for range rapid.IntRange(1, 3).Draw(t, "messages") {
			b := Body{Type: "850", Code: "PO"}
			for range rapid.IntRange(0, 5).Draw(t, "segments") {
				v := Values{Tag: rapid.SampledFrom([]string{"N1", "REF", "FTX"}).Draw(t, "tag"), Elements: values(t, &s)}
				if s.Standard == EDIFACT {
					v.trim()
				}
				b.Segments = append(b.Segments, v)
			}
			bodies = append(bodies, b)
		}
		data, err := Write(o, bodies)
		if err != nil {
			t.Fatal(err)
		}
		all, err := drain(bytes.NewReader(data), s.Standard)
		if err != nil || len(all) != len(bodies) {
			t.Fatalf("%q: %d messages, %v", data, len(all), err)
		}
		for i, m := range all {
			if len(m.Faults) > 0 || len(m.Segments) != len(bodies[i].Segments)+2 {
				t.Fatalf("%q: %v", data, m.Faults)
			}
			for j, want := range bodies[i].Segments {
				seg := &m.Segments[j+1]
				if m.Len(seg) != len(want.Elements) {
					t.Fatalf("%q: segment %d has %d elements, want %q", data, j, m.Len(seg), want.Elements)
				}
				for e := range want.Elements {
					got, err := m.Values(seg, e+1)
					if err != nil || !slices.EqualFunc(got, want.Elements[e], slices.Equal) {
						t.Fatalf("%q: %q %v, want %q", data, got, err, want.Elements[e])
					}
				}
			}
		}
	})
}

// TestWhatCannotBeWritten is refused, and nothing is changed to fit.
func TestWhatCannotBeWritten(t *testing.T) {
	x := Syntax{Standard: X12, Element: '*', Component: '>', Terminator: '~'}
	e := Syntax{Standard: EDIFACT, Element: '+', Component: ':', Terminator: '\'', Release: '?', Level: "UNOC", Version: '3'}
	a := e
	a.Level = "UNOA"
	for _, c := range []struct {
		s          Syntax
		text, want string
	}{{x, "A*B", "there is no release character"}, {x, "A\nB", "cannot be written"}, {e, "数", "UNOC does not have"}, {a, "lower", "in UNOA"}} {
		if out, err := c.s.appendText(nil, c.text); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%q: %q %v, want %q", c.text, out, err, c.want)
		}
	}
	if out, err := e.appendText(nil, "3/4' a+b: ?ä"); err != nil || string(out) != "3/4?' a?+b?: ??\xe4" {
		t.Errorf("%q %v", out, err)
	}
	if _, err := x.appendSegment(nil, Values{"REF", [][][]string{{{"a"}, {"b"}}}}); err == nil {
		t.Error("a repeat was written without a mark for it")
	}
}

func FuzzReader(f *testing.F) {
	for _, file := range samples(f) {
		data, err := os.ReadFile(file)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(data, filepath.Base(filepath.Dir(file)) == "edifact")
	}
	f.Add([]byte("UNA:+.  'UNB+UNOC:3+A+B+260115:1000+R1'UNZ+0+R1'"), true)
	f.Add([]byte("UNB\x1dUNOB\x1f1\x1dA\x1dB\x1d260115\x1f1000\x1d1\x1cUNZ\x1d0\x1d1\x1c"), true)
	f.Add([]byte(unbHead+"UNH+1+ORDERS'FTX+A??'UNT+3+1'UNZ+1+R1'"), true)
	tables := shipped(f)
	f.Fuzz(func(t *testing.T, data []byte, edifact bool) {
		std := X12
		if edifact {
			std = EDIFACT
		}
		all, err := drain(bytes.NewReader(data), std)
		again, err2 := drain(iotest.OneByteReader(bytes.NewReader(data)), std)
		if len(all) != len(again) || (err == nil) != (err2 == nil) {
			t.Fatalf("in one piece %d messages and %v, byte by byte %d and %v", len(all), err, len(again), err2)
		}
		for _, m := range all {
			for _, table := range []*Table{tables[m.Type], tables["850"], tables["INVOIC"]} {
				if table != nil {
					checkDocument(t, table, m)
				}
			}
		}
	})
}
