package mail

import (
	"bytes"
	"context"
	"encoding/base64"
	"fmt"
	"io"
	"mime"
	"mime/multipart"
	"mime/quotedprintable"
	stdmail "net/mail"
	"os"
	"strings"
	"testing"

	"github.com/emersion/go-smtp"
	"github.com/xuri/excelize/v2"
	"go.uber.org/goleak"

	"github.com/waybill-hub/waybill/internal/connector"
	"github.com/waybill-hub/waybill/internal/connector/connectortest"
	"github.com/waybill-hub/waybill/internal/fault"
	"github.com/waybill-hub/waybill/internal/parquetdoc"
)

func TestMain(m *testing.M) {
	code := m.Run()
	if err := stopAiosmtpd(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		code = 1
	}
	if err := goleak.Find(); code == 0 && err != nil {
		fmt.Fprintln(os.Stderr, err)
		code = 1
	}
	os.Exit(code)
}

func TestProblems(t *testing.T) { connectortest.Problems(t, Kind{}, "testdata/problems") }

func TestConformance(t *testing.T) {
	conformance(t, func(t testing.TB) *server { return startDouble(t, false) })
}

func TestQuote(t *testing.T) { testQuote(t, startDouble(t, false)) }

func TestParquet(t *testing.T) { testParquet(t, startDouble(t, false)) }

func TestRecipients(t *testing.T) { testRecipients(t, startDouble(t, false)) }

// The same on aiosmtpd.

func TestAiosmtpdConformance(t *testing.T) { conformance(t, startAiosmtpd) }

func TestAiosmtpdQuote(t *testing.T) { testQuote(t, startAiosmtpd(t)) }

func TestAiosmtpdParquet(t *testing.T) { testParquet(t, startAiosmtpd(t)) }

func TestAiosmtpdRecipients(t *testing.T) { testRecipients(t, startAiosmtpd(t)) }

func conformance(t *testing.T, start func(testing.TB) *server) {
	const objects = "objects: {stock: {to: [stock@acme.example], subject: \"Stock {rev}\", text: \"See {code}\", csv: {columns: {code: text, rev: integer}}}}\n"
	connectortest.Run(t, func(t *testing.T) *connectortest.Subject {
		s := start(t)
		with := func(old, now string) func(testing.TB, *connector.Settings) {
			return func(t testing.TB, set *connector.Settings) {
				system := strings.Replace(s.system(), old, now, 1)
				if system == s.system() {
					t.Fatalf("%q is not in the settings", old)
				}
				*set = settingsOf(t, system+objects)
			}
		}
		dead := with("port: "+s.addr[strings.LastIndex(s.addr, ":")+1:], "port: 1")
		return &connectortest.Subject{
			Kind: Kind{}, Settings: settingsOf(t, s.system()+objects), Object: "stock",
			New:     func(n int) string { return fmt.Sprintf(`{"code":"00%d","rev":1}`, n) },
			Written: func(t testing.TB) int { return len(s.mails(t)) },
			Secrets: []string{password, "not-the-password"},
			Faults: []connectortest.Fault{
				{Name: "nobody listens", Want: fault.Unavailable, Arrange: dead},
				{Name: "another certificate", Want: fault.Unavailable, Arrange: with("ca: "+s.ca+"\n", "")},
			},
			Probes: []connectortest.Probe{
				{Name: "it answers"},
				{Name: "nobody listens", Want: fault.Unavailable, Create: fault.Unavailable, Text: "refused", Arrange: dead},
				{Name: "another password", Want: fault.Auth, Create: fault.Auth, Text: "535", Arrange: with("${env:PASSWORD}", "${env:WRONG}")},
				{Name: "another certificate", Want: fault.Unavailable, Create: fault.Unavailable, Text: "certificate", Arrange: with("ca: "+s.ca+"\n", "")},
			},
		}
	})
}

const quote = "objects:\n  quote:\n    to: [\"{customer.email}\"]\n    cc: [\"Sales <sales@acme.example>\"]\n    subject: \"Quote {no} für {customer.name}\"\n    text: \"Dear {customer.name},\\n\\nthe total is {total} {{EUR}}.\\n\"\n" +
	"    fields: [no, lines]\n    name: \"quote-{no}.xlsx\"\n    format: xlsx\n    xlsx: {columns: {no: text, sku: text, qty: decimal}}\n    rows: {each: lines}\n"

const quoteDoc = `{"no":"Q/0042","total":1234.50,"customer":{"name":"Größe 数量","email":"ada@customer.example"},"lines":[{"sku":"007","qty":1.50},{"sku":"=1+1","qty":2}]}`

// testQuote: a quote goes out with a text and a workbook, under an id that its event gives.
func testQuote(t *testing.T, s *server) {
	sys, err := Kind{}.Open(t.Context(), settingsOf(t, s.system()+quote))
	if err != nil {
		t.Fatal(err)
	}
	defer sys.Close()
	w := connector.Write{Object: "quote", Action: connector.Create, IdempotencyKey: "event-1", Doc: []byte(quoteDoc)}
	var ids []string
	for range 2 { // its outcome was lost
		r, err := sys.(connector.Sink).Write(t.Context(), w)
		if err != nil {
			t.Fatal(err)
		}
		ids = append(ids, r.Local)
	}
	mails := s.mails(t)
	if len(mails) != 2 || ids[0] != ids[1] || !strings.HasSuffix(ids[0], "@acme.example") {
		t.Fatalf("%d mails, %q", len(mails), ids)
	}
	m, err := stdmail.ReadMessage(strings.NewReader(mails[0]))
	if err != nil {
		t.Fatal(err)
	}
	subject, _ := new(mime.WordDecoder).DecodeHeader(m.Header.Get("Subject"))
	for name, c := range map[string][2]string{
		"to the server": {m.Header.Get("X-To"), "ada@customer.example, sales@acme.example"},
		"id":            {m.Header.Get("Message-ID"), "<" + ids[0] + ">"},
		"subject":       {subject, "Quote Q/0042 für Größe 数量"},
		"from":          {m.Header.Get("From"), `"Sales" <sales@acme.example>`},
		"to":            {m.Header.Get("To"), "<ada@customer.example>"},
	} {
		if c[0] != c[1] {
			t.Errorf("%s: %q, want %q", name, c[0], c[1])
		}
	}
	_, params, err := mime.ParseMediaType(m.Header.Get("Content-Type"))
	if err != nil {
		t.Fatal(err)
	}
	parts := multipart.NewReader(m.Body, params["boundary"])
	text, err := parts.NextRawPart()
	if err != nil {
		t.Fatal(err)
	}
	body, _ := io.ReadAll(quotedprintable.NewReader(text))
	if got := strings.ReplaceAll(string(body), "\r\n", "\n"); got != "Dear Größe 数量,\n\nthe total is 1234.50 {EUR}.\n" {
		t.Errorf("%q", got)
	}
	file, err := parts.NextRawPart()
	if err != nil {
		t.Fatal(err)
	}
	if file.FileName() != "quote-Q_0042.xlsx" {
		t.Errorf("%s", file.FileName())
	}
	data, err := io.ReadAll(base64.NewDecoder(base64.StdEncoding, file))
	if err != nil {
		t.Fatal(err)
	}
	book, err := excelize.OpenReader(bytes.NewReader(data))
	if err != nil {
		t.Fatal(err)
	}
	defer book.Close()
	rows, err := book.GetRows("Data")
	if err != nil || fmt.Sprint(rows) != "[[no sku qty] [Q/0042 007 1.50] [Q/0042 =1+1 2]]" {
		t.Errorf("%v %v", rows, err)
	}
}

// testParquet: a file of bytes arrives as it was.
func testParquet(t *testing.T, s *server) {
	sys, err := Kind{}.Open(t.Context(), settingsOf(t, s.system()+"objects: {order: {to: [a@x.example], subject: s, text: t, fields: [no, lines], format: parquet, parquet: {columns: {no: text, lines.sku: text, lines.qty: decimal(8.2)}, lists: [lines]}}}\n"))
	if err != nil {
		t.Fatal(err)
	}
	defer sys.Close()
	if _, err := sys.(connector.Sink).Write(t.Context(), connector.Write{Object: "order", Action: connector.Create, IdempotencyKey: "event-1", Doc: []byte(quoteDoc)}); err != nil {
		t.Fatal(err)
	}
	mails := s.mails(t)
	m, err := stdmail.ReadMessage(strings.NewReader(mails[len(mails)-1]))
	if err != nil {
		t.Fatal(err)
	}
	_, params, err := mime.ParseMediaType(m.Header.Get("Content-Type"))
	if err != nil {
		t.Fatal(err)
	}
	parts := multipart.NewReader(m.Body, params["boundary"])
	if _, err := parts.NextRawPart(); err != nil {
		t.Fatal(err)
	}
	file, err := parts.NextRawPart()
	if err != nil || file.FileName() != "order.parquet" {
		t.Fatalf("%v %v", file, err)
	}
	data, err := io.ReadAll(base64.NewDecoder(base64.StdEncoding, file))
	if err != nil {
		t.Fatal(err)
	}
	f, err := parquetdoc.Open(bytes.NewReader(data), int64(len(data)), 1<<20)
	if err != nil {
		t.Fatal(err)
	}
	if doc, err := f.Next(nil, 1<<10); err != nil || string(doc) != `{"no":"Q/0042","lines":[{"sku":"007","qty":1.50},{"sku":"=1+1","qty":2.00}]}` {
		t.Errorf("%s %v", doc, err)
	}
}

// testRecipients: what a server says to one mail is that mail's, and what would make two mails of one, or a header of a field, is refused.
func testRecipients(t *testing.T, s *server) {
	sys, err := Kind{}.Open(t.Context(), settingsOf(t, s.system()+"objects: {note: {to: [\"{to}\"], subject: \"{subject}\", text: \"{text}\", attach: nothing, changes: refuse}}\n"))
	if err != nil {
		t.Fatal(err)
	}
	defer sys.Close()
	for name, c := range map[string]struct {
		doc  string
		want fault.Kind
		why  string
	}{
		"taken":              {`{"to":"a@x.example","subject":"s","text":"t"}`, fault.None, ""},
		"with a name":        {`{"to":"Ada <a@x.example>","subject":"s","text":"a\n.\nb"}`, fault.None, ""},
		"nobody":             {`{"to":"nobody@x.example","subject":"s","text":"t"}`, fault.Invalid, "recipient 1"},
		"later":              {`{"to":"later@x.example","subject":"s","text":"t"}`, fault.Unavailable, "come again"},
		"two in one":         {`{"to":"a@x.example, b@x.example","subject":"s","text":"t"}`, fault.Invalid, "what {to} gives is no address"},
		"a header behind it": {`{"to":"a@x.example (x\r\nBcc: b@x.example)","subject":"s","text":"t"}`, fault.Invalid, "what {to} gives is no address"},
		"no address":         {`{"to":"ada","subject":"s","text":"t"}`, fault.Invalid, "what {to} gives is no address"},
		"a header in it":     {`{"to":"a@x.example","subject":"s\r\nBcc: b@x.example","text":"t"}`, fault.Invalid, "holds a line end"},
		"a field is missing": {`{"to":"a@x.example","subject":"s"}`, fault.Invalid, "the document's text is"},
		"a field is a list":  {`{"to":["a@x.example"],"subject":"s","text":"t"}`, fault.Invalid, "the document's to is"},
		"no document":        {`[`, fault.Invalid, "is no JSON"},
	} {
		before := len(s.mails(t))
		_, err := sys.(connector.Sink).Write(t.Context(), connector.Write{Object: "note", Action: connector.Create, IdempotencyKey: name, Doc: []byte(c.doc)})
		if fault.KindOf(err) != c.want || err != nil && !strings.Contains(err.Error(), c.why) {
			t.Errorf("%s: %v, want %s", name, err, c.why)
		}
		if err != nil && strings.Contains(err.Error(), "@x.example") {
			t.Errorf("%s: whom it is to is shown: %v", name, err)
		}
		if got := len(s.mails(t)) - before; (got == 1) != (c.want == fault.None) {
			t.Errorf("%s: %d mails", name, got)
		}
	}
	for _, w := range []connector.Write{{Object: "note", Action: connector.Create, Doc: []byte(`{"to":"a@x.example","subject":"s","text":"t"}`)}, {Object: "note", Action: connector.Update}, {Object: "note", Action: connector.Delete}, {Object: "notes", Action: connector.Create}} {
		if _, err := sys.(connector.Sink).Write(t.Context(), w); fault.KindOf(err) != fault.Invalid {
			t.Errorf("%+v: %v", w, err)
		}
	}
}

// TestAnswers: what a server says, or does not say, to the mail itself.
func TestAnswers(t *testing.T) {
	for name, c := range map[string]struct {
		answer error
		broken bool
		want   fault.Kind
	}{
		"too large":    {&smtp.SMTPError{Code: 552, EnhancedCode: smtp.EnhancedCode{5, 3, 4}, Message: "too large"}, false, fault.Invalid},
		"for now":      {&smtp.SMTPError{Code: 452, EnhancedCode: smtp.EnhancedCode{4, 3, 1}, Message: "no room"}, false, fault.Unavailable},
		"not allowed":  {&smtp.SMTPError{Code: 530, EnhancedCode: smtp.EnhancedCode{5, 7, 0}, Message: "not with " + password}, false, fault.Auth},
		"no answer":    {nil, true, fault.UnknownOutcome},
		"it was taken": {nil, false, fault.None},
	} {
		t.Run(name, func(t *testing.T) {
			s := startDouble(t, false)
			s.double.data, s.double.breakOff = c.answer, c.broken
			sys, err := Kind{}.Open(t.Context(), settingsOf(t, s.system()+"objects: {note: {to: [a@x.example], subject: s, text: t, attach: nothing}}\n"))
			if err != nil {
				t.Fatal(err)
			}
			defer sys.Close()
			_, err = sys.(connector.Sink).Write(t.Context(), connector.Write{Object: "note", Action: connector.Create, IdempotencyKey: "k", Doc: []byte(`{}`)})
			if fault.KindOf(err) != c.want || strings.Contains(fmt.Sprint(err), password) {
				t.Errorf("%v, want %v", err, c.want)
			}
		})
	}
}

// TestSilence: a server that says nothing more holds nobody up who has gone.
func TestSilence(t *testing.T) {
	s := startDouble(t, false)
	s.double.silent = make(chan struct{})
	defer close(s.double.silent)
	sys, err := Kind{}.Open(t.Context(), settingsOf(t, s.system()+"objects: {note: {to: [a@x.example], subject: s, text: t, attach: nothing}}\n"))
	if err != nil {
		t.Fatal(err)
	}
	defer sys.Close()
	ctx, cancel := context.WithCancel(t.Context())
	s.double.asked = cancel
	if err := sys.Probe(ctx); fault.KindOf(err) != fault.Unavailable {
		t.Errorf("%v", err)
	}
}

// TestNothingInTheClear: a server without STARTTLS hears no password and gets no mail.
func TestNothingInTheClear(t *testing.T) {
	s := startDouble(t, true)
	sys, err := Kind{}.Open(t.Context(), settingsOf(t, s.system()+"objects: {note: {to: [a@x.example], subject: s, text: t, attach: nothing}}\n"))
	if err != nil {
		t.Fatal(err)
	}
	defer sys.Close()
	_, err = sys.(connector.Sink).Write(t.Context(), connector.Write{Object: "note", Action: connector.Create, IdempotencyKey: "k", Doc: []byte(`{}`)})
	if fault.KindOf(err) != fault.Unavailable || !strings.Contains(err.Error(), "STARTTLS") || len(s.mails(t)) != 0 {
		t.Errorf("%v, %d mails", err, len(s.mails(t)))
	}
}
