package file

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/waybill-hub/waybill/internal/connector"
	"github.com/waybill-hub/waybill/internal/drop"
	"github.com/waybill-hub/waybill/internal/drop/droptest"
	"github.com/waybill-hub/waybill/internal/edi"
	"github.com/waybill-hub/waybill/internal/fault"
	"github.com/waybill-hub/waybill/internal/state"
	"github.com/waybill-hub/waybill/internal/store"

	"github.com/waybill-hub/waybill/internal/strictyaml"
)

// exchanging is a drop in a folder of this machine.
type exchanging struct {
	*droptest.Drop
	dir    string
	ledger connector.Exchanges // with partners
}

func newExchanging(t *testing.T, object string) *exchanging {
	t.Helper()
	at := place(t)
	return &exchanging{Drop: droptest.New(t, at, object), dir: at.Dir}
}

func (d *exchanging) wants(what, want string) {
	d.T.Helper()
	if _, got := d.Files(); got != want {
		d.T.Errorf("%s: pending %q, want %q", what, got, want)
	}
}

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
	d := newExchanging(t, "{format: x12, edi: {tables: [x12-850]}, ready: {when: renamed}}")
	good, wrong := interchange(t, "x12/850.edi"), interchange(t, "x12/850-wrong-se-count.edi")
	for _, c := range []struct{ name, data, want string }{
		{"a.edi", good, `1 @3: {"edi":{"standard":"x12","type":"850"`},
		{"b.edi", wrong + good, `1 @3: file: read b.edi: line 3: line 22: segment 20 (SE), element 1: it says "99" segments, and there are 20`},
		{"c.edi", good[:len(good)-20], `0 @0: file: read c.edi: line 23: IEA: the file ends within interchange 000000001: its trailer is not there; nothing of the file was taken`},
		{"d.edi", strings.Replace(good, "GE*1*1", "GE*2*1", 1), `0 @0: file: read d.edi: line 23: GE, element 1: it says "2" transaction sets, and there are 1; nothing of the file was taken`},
		{"e.edi", interchange(t, "x12/810.edi"), `1 @3: file: read e.edi: line 3: line 3: segment 1 (ST): a message 810, and there are tables for 850`},
		{"f.edi", "no interchange", `no interchange begins here`},
	} {
		d.Put(d.T, c.name, c.data)
		files, _ := d.Files()
		if got := d.Rows(files[len(files)-1], 0); !strings.Contains(got, strings.Replace(c.want, "file: read", "drop: read", 1)) {
			t.Errorf("%s:\n%s\nwant\n%s", c.name, got, c.want)
		}
		if err := os.Remove(filepath.Join(d.dir, c.name)); err != nil {
			t.Fatal(err)
		}
	}
}

// TestDocumentsOfEachLine: a message with several lines is a document of each, also behind rows that were taken before; one with a fault, or without lines, is one row.
func TestDocumentsOfEachLine(t *testing.T) {
	d := newExchanging(t, "{format: x12, edi: {tables: [x12-846], each: lines}, ready: {when: renamed}}")
	two := interchange(t, "x12/846.edi")
	for _, c := range []struct {
		name, data string
		from, rows int
		want       []string
	}{
		{"a.edi", two, 0, 2, []string{`"VP":"TG11"`, `"VP":"TG12"`}},
		{"b.edi", two, 1, 1, []string{`"VP":"TG12"`}},
		{"c.edi", strings.Replace(two, "SE*12", "SE*99", 1), 0, 1, []string{`it says "99" segments`}},
	} {
		d.Put(d.T, c.name, c.data)
		files, _ := d.Files()
		got := d.Rows(files[len(files)-1], c.from)
		if n := strings.Count(got, " @3: "); n != c.rows {
			t.Errorf("%s: %d rows, want %d:\n%s", c.name, n, c.rows, got)
		}
		for _, want := range c.want {
			if !strings.Contains(got, want) {
				t.Errorf("%s:\n%s\nwant %s", c.name, got, want)
			}
		}
		if err := os.Remove(filepath.Join(d.dir, c.name)); err != nil {
			t.Fatal(err)
		}
	}
}

// TestHalfAnInterchangeIsHeldBack: it may be half an upload.
func TestHalfAnInterchangeIsHeldBack(t *testing.T) {
	d := newExchanging(t, "{format: edifact, edi: {tables: [edifact-orders]}, ready: {age: 10s, cut-after: 10m}}")
	data := interchange(t, "edifact/ORDERS-D96A.edi")
	d.Put(d.T, "whole.edi", data)
	d.Put(d.T, "half.edi", data[:len(data)/2])
	d.Put(d.T, "broken.edi", strings.Replace(data, "UNT+25+1'", "UNZ+1+REF0001'", 1)) // no upload mends it
	d.wants("at first", "")
	d.Clock.Advance(11 * time.Second)
	d.wants("after its age", "broken.edi whole.edi")
	if notes := d.FileNotes("stock"); len(notes) != 1 || !strings.Contains(notes[0].Why, "the file ends within interchange REF0001") {
		t.Errorf("%+v", notes)
	}
	files, _ := d.Files()
	whole := slices.IndexFunc(files, func(f connector.File) bool { return f.Name == "whole.edi" })
	if got := d.Rows(files[whole], 0); !strings.Contains(got, `Müller & Söhne DC 7`) || !strings.Contains(got, `"text":"Rampe 3: nur vormittags, Tor 4 + 5, geöffnet"`) {
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
		{"{format: x12, edi: {tables: [x12-850]}, bad-rows: {at-most: 3}}", "each message is taken or answered by itself"},
		{"{format: x12, edi: {tables: [x12-850]}, write: {batch: {max: 3}}}", "an interchange holds one document"},
		{"{format: x12, edi: {tables: [x12-850]}, write: {name: \"{external}-{hash}\"}}", "it cannot have {hash}"},
		{"{format: x12, edi: {tables: [x12-850], partners: [no.yaml]}}", "partners: no.yaml"},
		{"{format: x12, edi: {tables: [x12-850], partner: acme}}", `there is no agreement with "acme"`},
		{"{format: x12, edi: {tables: [x12-850], message: \"810\"}}", `no table is of "810"`},
		{"{format: x12, edi: {tables: [x12-850], each: line}}", `the documents of x12-850 have no list "line" (did you mean "lines"?)`},
		{"{format: x12, edi: {tables: [x12-850], answers: ../out}}", "is not below the system's path"},
	} {
		var p strictyaml.Problems
		Kind{}.Check(droptest.SettingsOf(t, "connector: file\npath: .\nobjects: {stock: "+c.object+"}", nil), &p)
		if err := p.Err(); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v, want %q", c.object, err, c.want)
		}
	}
}

// ledger is the hub's store as the connector sees it.
type ledger struct{ *store.Store }

func (l ledger) NumberSent(ctx context.Context, pair, token, message string, from int64, due time.Duration) (int64, error) {
	return l.Store.NumberSent(ctx, state.Sent{Pair: pair, Token: token, Message: message}, from, due)
}

func (l ledger) NoteReceived(ctx context.Context, came []connector.Received) (int, error) {
	return l.Store.NoteReceived(ctx, received(came))
}

func (l ledger) SettleReceived(ctx context.Context, came []connector.Received) error {
	return l.Store.SettleReceived(ctx, received(came))
}

func received(came []connector.Received) []state.Received {
	all := make([]state.Received, len(came))
	for i, c := range came {
		all[i] = state.Received(c)
	}
	return all
}

func (l ledger) AnswerSent(ctx context.Context, pair string, number int64, accepted, rejected bool) (bool, error) {
	return l.Store.AnswerSent(ctx, pair, number, map[bool]string{true: state.AnswerAccepted, false: state.AnswerRejected}[accepted])
}

func (l ledger) TroubledSent(ctx context.Context, pair string) (out []connector.TroubledSent, err error) {
	list, err := l.Store.TroubledSent(ctx, pair)
	for _, s := range list {
		out = append(out, connector.TroubledSent{Message: s.Message, Number: s.Number, At: s.At, Due: s.Due, Answer: s.Answer})
	}
	return out, err
}

const acme = `
partner: acme
standard: x12
own: {qualifier: ZZ, id: SUPPLIERCO}
their: {qualifier: ZZ, id: ACMERETAIL}
test: true
acknowledge: "997"
acknowledged-within: 24h
number-from: 41
---
partner: frame
standard: edifact
own: {qualifier: "14", id: "4012345000009"}
their: {qualifier: "14", id: "5412345000013"}
acknowledge: contrl
`

// exchange is a drop with partners, whose answers go to the folder out.
func exchange(t *testing.T, object string) *exchanging {
	t.Helper()
	d := newExchanging(t, "{}")
	d.Put(d.T, "partners.yaml", acme)
	if err := os.Mkdir(filepath.Join(d.dir, "out"), 0o755); err != nil {
		t.Fatal(err)
	}
	s, err := store.Open(t.Context(), store.Config{SQLite: filepath.Join(t.TempDir(), "waybill.db"), Clock: d.Clock})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	settings := d.Settings(t, "{stock: "+strings.ReplaceAll(object, "PARTNERS", d.dir+"/partners.yaml")+"}")
	d.ledger = ledger{s}
	settings.Exchanges = d.ledger
	sys, err := Kind{}.Open(t.Context(), settings)
	if err != nil {
		t.Fatal(err)
	}
	d.System = sys.(*drop.System)
	d.System.Clock = d.Clock
	return d
}

const exchanged = "{pattern: \"*.edi\", format: x12, edi: {tables: [x12-850, x12-855], message: \"855\", partners: [PARTNERS], answers: out}, ready: {when: renamed}, write: {name: \"{object}-{external}.x12\"}}"

// taken reads a file as the intake does, and says what of it failed.
func (d *exchanging) taken(name string) string {
	d.T.Helper()
	files, _ := d.Files()
	i := slices.IndexFunc(files, func(f connector.File) bool { return f.Name == name })
	if i < 0 {
		d.T.Fatalf("%s is not pending", name)
	}
	var failed error
	var all []string
	for row, err := range d.Read(d.T.Context(), "stock", files[i], 0) {
		switch {
		case row.Number == 0:
			failed = err
		case err != nil:
			all = append(all, "bad")
		default:
			all = append(all, "good")
		}
	}
	if err := d.Done(d.T.Context(), "stock", files[i], failed); err != nil {
		d.T.Fatal(err)
	}
	if failed != nil {
		return failed.Error()
	}
	return strings.Join(all, " ")
}

// answers are the files in the folder out, without their envelopes' times.
func (d *exchanging) answers() string {
	d.T.Helper()
	entries, err := os.ReadDir(filepath.Join(d.dir, "out"))
	if err != nil {
		d.T.Fatal(err)
	}
	var out strings.Builder
	for _, e := range entries {
		data, err := os.ReadFile(filepath.Join(d.dir, "out", e.Name()))
		if err != nil {
			d.T.Fatal(err)
		}
		out.WriteString(strings.Join(strings.Fields(string(data)), " ") + "\n")
	}
	return out.String()
}

// TestAcknowledged: what comes is answered by segment and element, once; what comes twice is refused.
func TestAcknowledged(t *testing.T) {
	d := exchange(t, exchanged)
	good := interchange(t, "x12/850.edi")
	bad := strings.Replace(strings.Replace(good, "*24*EA*52.75", "*2x*EA*52.75", 1), "000000001", "000000002", 2)
	wrong := interchange(t, "x12/850-wrong-se-count.edi")
	d.Put(d.T, "a.edi", good)
	d.Put(d.T, "b.edi", bad)
	d.Put(d.T, "c.edi", wrong)
	for name, want := range map[string]string{"a.edi": "good", "b.edi": "bad", "c.edi": "bad"} {
		if got := d.taken(name); got != want {
			t.Errorf("%s: %s, want %s", name, got, want)
		}
	}
	got := d.answers()
	for _, want := range []string{
		"ST*997*0001~ AK1*PO*1~ AK2*850*0001~ AK5*A~ AK9*A*1*1*1~ SE*6*0001~",
		"ST*997*0001~ AK1*PO*1~ AK2*850*0001~ AK3*PO1*14*PO1*8~ AK4*2**6*2x~ AK5*R*5~ AK9*R*1*1*0~ SE*8*0001~",
		"ST*997*0001~ AK1*PO*21~ AK2*850*0001~ AK5*R*4~ AK9*R*1*1*0~ SE*6*0001~",
		"ISA*00* *00* *ZZ*SUPPLIERCO *ZZ*ACMERETAIL *260301*1200*U*00401*000000041*0*T*>~ GS*FA*SUPPLIERCO*ACMERETAIL*20260301*1200*41*X*004010~",
		"IEA*1*000000043~",
	} {
		if !strings.Contains(got, want) {
			t.Errorf("the answers do not hold\n%s\n%s", want, got)
		}
	}
	d.Put(d.T, "again.edi", good)
	if got := d.taken("again.edi"); got != "drop: read again.edi: the interchange 000000001 of acme has come before; nothing of the file was taken" {
		t.Error(got)
	}
	d.Put(d.T, "a.edi", good)
	if err := os.Chtimes(filepath.Join(d.dir, "a.edi"), d.Clock.Now(), d.Clock.Now()); err != nil {
		t.Fatal(err)
	}
	if got := d.taken("a.edi"); got != "drop: read a.edi: the interchange 000000001 of acme has come before; nothing of the file was taken" {
		t.Errorf("the same under the same name: %s", got)
	}
	fifth := strings.Replace(good, "000000001", "000000005", 2)
	d.Put(d.T, "both.edi", fifth+good)
	if got := d.taken("both.edi"); got != "drop: read both.edi: the interchange 000000001 of acme has come before; nothing of the file was taken" {
		t.Error(got)
	}
	d.Put(d.T, "twice.edi", fifth+fifth)
	if got := d.taken("twice.edi"); got != "drop: read twice.edi: the interchange 000000005 of acme has come before; nothing of the file was taken" {
		t.Error(got)
	}
	d.Put(d.T, "other.edi", strings.ReplaceAll(good, "ACMERETAIL     ", "SOMEBODY       "))
	if got := d.taken("other.edi"); !strings.Contains(got, "ISA, element 6: it is from ZZ:SOMEBODY, and there is no agreement with that id") {
		t.Error(got)
	}
	d.Put(d.T, "production.edi", strings.Replace(good, "*T*>", "*P*>", 1))
	if got := d.taken("production.edi"); !strings.Contains(got, "the interchange is one of production, and the agreement with acme is of tests") {
		t.Error(got)
	}
	if after := d.answers(); after != got {
		t.Errorf("what was refused was answered:\n%s", after)
	}
	d.Put(d.T, "fifth.edi", fifth)
	if got := d.taken("fifth.edi"); got != "good" {
		t.Errorf("what came with one that was refused: %s", got)
	}
}

// TestAnsweredAgain: a hub that ended before it moved the file puts the same acknowledgement, with the same number.
func TestAnsweredAgain(t *testing.T) {
	d := exchange(t, exchanged)
	d.Put(d.T, "a.edi", interchange(t, "x12/850.edi"))
	files, _ := d.Files()
	for range 2 {
		if err := d.Done(t.Context(), "stock", files[0], nil); err != nil {
			t.Fatal(err)
		}
		if err := os.Rename(filepath.Join(d.dir, "done", "a.edi"), filepath.Join(d.dir, "a.edi")); err != nil { // as if it had not been moved
			t.Fatal(err)
		}
	}
	if got := d.answers(); strings.Count(got, "\n") != 1 || !strings.Contains(got, "*000000041*") {
		t.Error(got)
	}
}

func (d *exchanging) send(external, key string, doc []byte) error {
	_, err := d.Write(d.T.Context(), connector.Write{Object: "stock", Action: connector.Create, External: external, IdempotencyKey: key, Doc: doc})
	return err
}

// TestWrittenIsAnswered: documents become interchanges with numbers that go on; acknowledgements are matched, and one that does not come is told.
func TestWrittenIsAnswered(t *testing.T) {
	d := exchange(t, exchanged)
	sample, err := os.ReadFile("../../internal/edi/testdata/x12/855.edi.json")
	if err != nil {
		t.Fatal(err)
	}
	doc := bytes.Replace(sample, []byte(`"sender"`), []byte(`"partner": "acme", "sender"`), 1)
	for i, external := range []string{"1", "2", "3"} {
		if err := d.send(external, "key-"+external, doc); err != nil {
			t.Fatal(err)
		}
		data, err := os.ReadFile(filepath.Join(d.dir, "stock-"+external+".x12"))
		if err != nil {
			t.Fatal(err)
		}
		want := regexp.MustCompile(`(?s)^ISA\*.*SUPPLIERCO .*ACMERETAIL .*\*0000000` + fmt.Sprint(41+i) + `\*0\*T\*>~\nGS\*PR\*SUPPLIERCO\*ACMERETAIL\*20260301\*1200\*` + fmt.Sprint(41+i) + `\*X\*004010~\nST\*855\*0001~\nBAK.*IEA\*1\*0000000`)
		if !want.Match(data) {
			t.Errorf("%s", data)
		}
		r := edi.NewReader(bytes.NewReader(data), edi.X12)
		if m, err := r.Next(); err != nil || len(m.Faults) > 0 {
			t.Errorf("what was written cannot be read: %v %+v", err, m)
		}
	}
	if err := d.send("1", "another", doc); err == nil {
		t.Error("a file was written over")
	} else if f, _ := fault.As(err); !f.Duplicate {
		t.Error(err)
	}
	for _, bad := range []struct{ doc, want string }{
		{`{"edi":{"partner":"nobody"}}`, `there is no agreement with "nobody"`},
		{`{}`, "says who it is for"},
		{`{"edi":{"partner":"acme"},"purpose":"00"}`, "type: it must be there"},
		{`{"edi":{"partner":"acme"},"purpose":"00","type":"AC","order_number":"a*b","ordered_on":"2026-01-15"}`, `BAK, element 3: "*" is a separator`},
	} {
		if err := d.send("x", "x", []byte(bad.doc)); err == nil || !strings.Contains(err.Error(), bad.want) {
			t.Errorf("%s: %v, want %q", bad.doc, err, bad.want)
		}
	}
	frozen := connector.WithFence(t.Context(), func(context.Context) error { return errors.New("another hub has it") })
	w := connector.Write{Object: "stock", Action: connector.Create, External: "4", IdempotencyKey: "key-3", Doc: doc}
	if _, err := d.Write(frozen, w); err == nil || !strings.Contains(err.Error(), "another hub has it") || strings.Contains(d.List(t, "."), "stock-4") {
		t.Errorf("written by a hub that may not: %v", err)
	}
	w.Action, w.Local = connector.Delete, "stock-1.x12"
	if _, err := d.Write(t.Context(), w); err == nil || !strings.Contains(err.Error(), "a deletion is no message") {
		t.Errorf("a deletion became a message: %v", err)
	}
	ack := interchange(t, "x12/997.edi")
	ack = strings.NewReplacer("SUPPLIERCO     *ZZ*ACMERETAIL     ", "ACMERETAIL     *ZZ*SUPPLIERCO     ", "AK1*PO*1", "AK1*PR*41").Replace(ack)
	d.Put(d.T, "ack.edi", ack)
	if got := d.taken("ack.edi"); got != "" {
		t.Errorf("an acknowledgement became a document: %s", got)
	}
	refused := strings.NewReplacer("AK1*PR*41", "AK1*PR*42", "AK5*A", "AK5*R*5", "AK9*A*1*1*1", "AK9*R*1*1*0", "000000006", "000000007").Replace(ack)
	d.Put(d.T, "refused.edi", refused)
	d.taken("refused.edi")
	d.Clock.Advance(24*time.Hour + time.Second)
	d.Files()
	var told []string
	for _, n := range d.FileNotes("stock") {
		if n.Unanswered {
			told = append(told, n.Name+": "+n.Why)
		}
	}
	want := []string{"855 42 to acme: it was sent 2026-03-01T12:00:00Z, and the partner has rejected it",
		"855 43 to acme: it was sent 2026-03-01T12:00:00Z, and no acknowledgement had come by 2026-03-02T12:00:00Z"}
	if !slices.Equal(told, want) {
		t.Errorf("told are %q, want %q", told, want)
	}
	if got := d.answers(); got != "" {
		t.Errorf("an acknowledgement was acknowledged: %s", got)
	}
}

// TestInterchangeRefused: a TA1 that refuses an interchange is told as any rejection, and a file that holds nothing else is taken.
func TestInterchangeRefused(t *testing.T) {
	d := exchange(t, exchanged)
	for _, external := range []string{"1", "2"} {
		if err := d.send(external, external, []byte(`{"edi":{"partner":"acme"},"purpose":"00","type":"AC","order_number":"4711","ordered_on":"2026-01-15","lines":[]}`)); err != nil {
			t.Fatal(err)
		}
	}
	head, _, _ := strings.Cut(interchange(t, "x12/850.edi"), "GS*")
	control := strings.Split(head, "*")[13]
	d.Put(d.T, "ta1.edi", head+"TA1*000000041*260301*1200*R*006~\nTA1*000000042*260301*1200*A*000~\nIEA*0*"+control+"~\n")
	if got := d.taken("ta1.edi"); got != "" {
		t.Errorf("a TA1 became a document: %s", got)
	}
	d.Files()
	var told []string
	for _, n := range d.FileNotes("stock") {
		if n.Unanswered {
			told = append(told, n.Name+": "+n.Why)
		}
	}
	if want := []string{"855 41 to acme: it was sent 2026-03-01T12:00:00Z, and the partner has rejected it"}; !slices.Equal(told, want) {
		t.Errorf("told are %q, want %q", told, want)
	}
	d.Clock.Advance(24*time.Hour + time.Second) // an interchange that came is not acknowledged yet
	d.Files()
	if notes := slices.DeleteFunc(d.FileNotes("stock"), func(n connector.FileNote) bool { return !n.Unanswered }); len(notes) != 2 || !strings.Contains(notes[1].Why, "no acknowledgement had come") {
		t.Errorf("%+v", notes)
	}
}

// TestRejectedUnasked: what a partner rejects is told, also where no acknowledgement is awaited.
func TestRejectedUnasked(t *testing.T) {
	d := exchange(t, exchanged)
	d.Put(d.T, "partners.yaml", strings.Replace(acme, "acknowledged-within: 24h\n", "", 1))
	settings := d.Settings(t, "{stock: "+strings.ReplaceAll(exchanged, "PARTNERS", d.dir+"/partners.yaml")+"}")
	settings.Exchanges = d.ledger
	d.System = watch(t, settings, watched{})
	d.System.Clock = d.Clock
	for _, external := range []string{"1", "2"} {
		if err := d.send(external, external, []byte(`{"edi":{"partner":"acme"},"purpose":"00","type":"AC","order_number":"4711","ordered_on":"2026-01-15","lines":[]}`)); err != nil {
			t.Fatal(err)
		}
	}
	ack := strings.NewReplacer("SUPPLIERCO     *ZZ*ACMERETAIL     ", "ACMERETAIL     *ZZ*SUPPLIERCO     ", "AK1*PO*1", "AK1*PR*41", "AK5*A", "AK5*R*5", "AK9*A*1*1*1", "AK9*R*1*1*0").Replace(interchange(t, "x12/997.edi"))
	d.Put(d.T, "refused.edi", ack)
	d.taken("refused.edi")
	d.Clock.Advance(24 * time.Hour)
	d.Files()
	notes := slices.DeleteFunc(d.FileNotes("stock"), func(n connector.FileNote) bool { return !n.Unanswered })
	if len(notes) != 1 || !strings.Contains(notes[0].Why, "the partner has rejected it") {
		t.Errorf("%+v", notes)
	}
}

// TestControl: EDIFACT is answered with CONTRL.
func TestControl(t *testing.T) {
	d := exchange(t, "{pattern: \"*.edi\", format: edifact, edi: {tables: [edifact-orders], partners: [PARTNERS], answers: out}, ready: {when: renamed}}")
	good := interchange(t, "edifact/ORDERS-D96A.edi")
	d.Put(d.T, "a.edi", good)
	d.Put(d.T, "b.edi", strings.NewReplacer("REF0001", "REF0009", "QTY+21:10:PCE", "QTY+21:1o:PCE", "BGM+220", "BGM+"+strings.Repeat("2", 9)).Replace(good))
	if got := d.taken("a.edi") + " " + d.taken("b.edi"); got != "good bad" {
		t.Error(got)
	}
	got := d.answers()
	for _, want := range []string{
		"UNA:+.? ' UNB+UNOC:3+4012345000009:14+5412345000013:14+260301:1200+1' UNH+1+CONTRL:D:3:UN' UCI+REF0001+5412345000013:14+4012345000009:14+7' UCM+1+ORDERS:D:96A:UN:EAN008+7' UNT+4+1' UNZ+1+1'",
		"UCI+REF0009+5412345000013:14+4012345000009:14+7' UCM+1+ORDERS:D:96A:UN:EAN008+4' UCS+2' UCD+39+2:1' UCS+20' UCD+37+2:2' UNT",
	} {
		if !strings.Contains(got, want) {
			t.Errorf("the answers do not hold\n%s\n%s", want, got)
		}
	}
}

// TestAnswersFolderIsLookedAt: a check tells that acknowledgements would have no place.
func TestAnswersFolderIsLookedAt(t *testing.T) {
	settings := droptest.SettingsOf(t, "connector: file\npath: "+t.TempDir()+"\nobjects: {stock: {format: x12, edi: {tables: [x12-850], answers: out}}}", nil)
	found := Kind{}.Survey(settings)
	if len(found) != 1 || !strings.Contains(found[0].Text, "/out is not there") {
		t.Errorf("%+v", found)
	}
}

// TestFilesOfSettings: a reload must notice that a table or an agreement has changed.
func TestFilesOfSettings(t *testing.T) {
	settings := droptest.SettingsOf(t, "connector: file\npath: .\nobjects: {stock: {format: x12, edi: {tables: [x12-850, own.yaml], partners: [partners.yaml]}}, plain: {}}", nil)
	settings.Dir = "/project"
	if got := (Kind{}).Reads(settings); !slices.Equal(got, []string{"/project/own.yaml", "/project/partners.yaml"}) {
		t.Errorf("%q", got)
	}
}
