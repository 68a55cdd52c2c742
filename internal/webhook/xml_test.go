package webhook

import (
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/waybill-hub/waybill/internal/inbox"
	"github.com/waybill-hub/waybill/internal/jsondoc"
	"github.com/waybill-hub/waybill/internal/strictyaml"
	"github.com/waybill-hub/waybill/internal/webhook/webhooktest"
	"github.com/waybill-hub/waybill/internal/xmldoc"
)

// Written for this test, as SAP's port of type XML HTTP sends an order: no system was at hand.
const idocOrder = `<?xml version="1.0" encoding="UTF-8"?>
<ORDERS05>
  <IDOC BEGIN="1">
    <EDI_DC40 SEGMENT="1"><TABNAM>EDI_DC40</TABNAM><MANDT>100</MANDT><DOCNUM>0000000000123456</DOCNUM><IDOCTYP>ORDERS05</IDOCTYP><MESTYP>ORDERS</MESTYP><SNDPRN>S4HCLNT100</SNDPRN></EDI_DC40>
    <E1EDK01 SEGMENT="1"><CURCY>EUR</CURCY><BELNR>0000004711</BELNR></E1EDK01>
    <E1EDKA1 SEGMENT="1"><PARVW>AG</PARVW><PARTN>0000010001</PARTN></E1EDKA1>
    <E1EDP01 SEGMENT="1"><POSEX>000010</POSEX><MENGE>2.000</MENGE><E1EDP19 SEGMENT="1"><QUALF>002</QUALF><IDTNR>A&amp;B</IDTNR></E1EDP19></E1EDP01>
  </IDOC>
</ORDERS05>`

func idocs(n ...string) string {
	out := "<ORDERS05>"
	for _, number := range n {
		out += `<IDOC BEGIN="1"><EDI_DC40 SEGMENT="1"><DOCNUM>` + number + `</DOCNUM></EDI_DC40><E1EDK01 SEGMENT="1"><BELNR>` + number + `</BELNR></E1EDK01></IDOC>`
	}
	return out + "</ORDERS05>"
}

func soapMessage(space, header, body string) string {
	return `<x:Envelope xmlns:x="` + space + `" xmlns:a="` + nsAddressing + `"><x:Header>` + header + `</x:Header><x:Body>` + body + `</x:Body></x:Envelope>`
}

func TestXMLDocuments(t *testing.T) {
	for name, c := range map[string]struct {
		xml  XML
		in   string
		want []string // id, document
		err  string
	}{
		"an IDoc": {xml: XML{Form: XMLIDoc}, in: idocOrder, want: []string{"100.S4HCLNT100.0000000000123456",
			`{"EDI_DC40":{"TABNAM":"EDI_DC40","MANDT":"100","DOCNUM":"0000000000123456","IDOCTYP":"ORDERS05","MESTYP":"ORDERS","SNDPRN":"S4HCLNT100"},"E1EDK01":[{"CURCY":"EUR","BELNR":"0000004711"}],` +
				`"E1EDKA1":[{"PARVW":"AG","PARTN":"0000010001"}],"E1EDP01":[{"POSEX":"000010","MENGE":"2.000","E1EDP19":[{"QUALF":"002","IDTNR":"A&B"}]}]}`}},
		"an IDoc by a table": {xml: XML{Form: XMLIDoc, Shape: xmldoc.Shape{Names: map[string]string{"EDI_DC40": "control", "E1EDP01": "lines", "E1EDP19": "materials", "MENGE": "quantity"},
			Types: map[string]string{"lines.quantity": "decimal"}}}, in: idocOrder, want: []string{"100.S4HCLNT100.0000000000123456",
			`{"control":{"TABNAM":"EDI_DC40","MANDT":"100","DOCNUM":"0000000000123456","IDOCTYP":"ORDERS05","MESTYP":"ORDERS","SNDPRN":"S4HCLNT100"},"E1EDK01":[{"CURCY":"EUR","BELNR":"0000004711"}],` +
				`"E1EDKA1":[{"PARVW":"AG","PARTN":"0000010001"}],"lines":[{"POSEX":"000010","quantity":2.000,"materials":[{"QUALF":"002","IDTNR":"A&B"}]}]}`}},
		"several IDocs":                {xml: XML{Form: XMLIDoc}, in: idocs("1", "2"), want: []string{"..1", `{"EDI_DC40":{"DOCNUM":"1"},"E1EDK01":[{"BELNR":"1"}]}`, "..2", `{"EDI_DC40":{"DOCNUM":"2"},"E1EDK01":[{"BELNR":"2"}]}`}},
		"an IDoc in an envelope":       {xml: XML{Form: XMLIDoc}, in: soapMessage(nsSOAP, "", idocs("3")), want: []string{"..3", `{"EDI_DC40":{"DOCNUM":"3"},"E1EDK01":[{"BELNR":"3"}]}`}},
		"an empty envelope":            {xml: XML{Form: XMLIDoc}, in: soapMessage(nsSOAP, "", ""), err: "holds no IDOC"},
		"no IDoc":                      {xml: XML{Form: XMLIDoc}, in: `<a/>`, err: "holds no IDOC"},
		"an IDoc without its control":  {xml: XML{Form: XMLIDoc}, in: `<O><IDOC><E1EDK01 SEGMENT="1"/></IDOC></O>`, err: "does not begin with its control record"},
		"an empty IDoc":                {xml: XML{Form: XMLIDoc}, in: `<O><IDOC/></O>`, err: "it is empty"},
		"an IDoc without a number":     {xml: XML{Form: XMLIDoc}, in: `<O><IDOC><EDI_DC40/></IDOC></O>`, err: "has no DOCNUM"},
		"too many IDocs":               {xml: XML{Form: XMLIDoc}, in: idocs(strings.Split(strings.Repeat("1,", maxIDocs)+"1", ",")...), err: "more than 1000 IDocs"},
		"a SOAP message":               {xml: XML{Form: XMLSOAP}, in: soapMessage(nsSOAP, "<a:MessageID>uuid:1</a:MessageID>", `<b:Ship xmlns:b="urn:b"><b:no>7</b:no></b:Ship>`), want: []string{"uuid:1", `{"no":"7"}`}},
		"a SOAP message of 1.2":        {xml: XML{Form: XMLSOAP, Shape: xmldoc.Shape{Lists: map[string]bool{"no": true}}}, in: soapMessage(nsSOAP12, "", `<Ship><no>7</no></Ship>`), want: []string{"", `{"no":["7"]}`}},
		"a SOAP message of a text":     {xml: XML{Form: XMLSOAP}, in: soapMessage(nsSOAP, "", `<Ping>x</Ping>`), want: []string{"", `{"#text":"x"}`}},
		"a SOAP message of nothing":    {xml: XML{Form: XMLSOAP}, in: soapMessage(nsSOAP, "", `<Ping/>`), want: []string{"", `{}`}},
		"no envelope":                  {xml: XML{Form: XMLSOAP}, in: `<Envelope/>`, err: "not a SOAP envelope"},
		"an envelope with two":         {xml: XML{Form: XMLSOAP}, in: soapMessage(nsSOAP, "", `<a/><b/>`), err: "does not hold one element"},
		"an envelope with none":        {xml: XML{Form: XMLSOAP}, in: soapMessage(nsSOAP, "", ``), err: "does not hold one element"},
		"a fault":                      {xml: XML{Form: XMLSOAP}, in: soapMessage(nsSOAP, "", `<x:Fault/>`), err: "holds a fault"},
		"a header to be understood":    {xml: XML{Form: XMLSOAP}, in: soapMessage(nsSOAP, `<t:Transaction xmlns:t="urn:t" x:mustUnderstand="1"/>`, `<a/>`), err: "Transaction must be understood"},
		"an address to be understood":  {xml: XML{Form: XMLSOAP}, in: soapMessage(nsSOAP, `<a:MessageID x:mustUnderstand="1">1</a:MessageID>`, `<a>1</a>`), want: []string{"1", `{"#text":"1"}`}},
		"a plain root":                 {xml: XML{Form: XMLPlain}, in: `<order no="7"><a/></order>`, want: []string{"", `{"@no":"7","a":""}`}},
		"a document type":              {xml: XML{Form: XMLPlain}, in: `<!DOCTYPE a><a/>`, err: "document type declaration"},
		"an encoding that is not read": {xml: XML{Form: XMLPlain}, in: `<?xml version="1.0" encoding="ISO-8859-1"?><a/>`, err: "not UTF-8"},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := c.xml.unpack([]byte(c.in))
			if c.err != "" {
				if err == nil || !strings.Contains(err.Error(), c.err) {
					t.Errorf("got %v, want %s", err, c.err)
				}
				return
			}
			if err != nil || len(got)*2 != len(c.want) {
				t.Fatalf("%d documents, %v", len(got), err)
			}
			for i, d := range got {
				if d.id != c.want[2*i] || string(d.body) != c.want[2*i+1] {
					t.Errorf("got  %s %s\nwant %s %s", d.id, d.body, c.want[2*i], c.want[2*i+1])
				}
			}
		})
	}
}

// FuzzXML: whatever is accepted is documents that an inbox takes.
func FuzzXML(f *testing.F) {
	for _, seed := range []string{idocOrder, idocs("1", "2"), soapMessage(nsSOAP, "<a:MessageID>1</a:MessageID>", "<b><c>1</c><c/></b>"), soapMessage(nsSOAP12, "", idocs("1")), `<a b="1">x<c/></a>`} {
		for form := range forms {
			f.Add([]byte(seed), form)
		}
	}
	f.Fuzz(func(t *testing.T, body []byte, form int) {
		x := XML{Form: forms[uint(form)%uint(len(forms))], Shape: xmldoc.Shape{Lists: map[string]bool{"c": true}, Types: map[string]string{"c": "decimal", "E1EDP01.MENGE": "decimal"}, Names: map[string]string{"b": "c"}}}
		got, err := x.unpack(body)
		if ref := (*refusal)(nil); err != nil && (!errors.As(err, &ref) || ref.status != http.StatusBadRequest) {
			t.Fatalf("%v is no answer for a sender", err)
		}
		for _, d := range got {
			doc, err := jsondoc.Parse(d.body, inbox.DocumentLimits)
			if err != nil {
				t.Fatalf("%s: %v", d.body, err)
			}
			if doc.Root().Kind() != jsondoc.Object {
				t.Fatalf("%s is no object", d.body)
			}
		}
	})
}

var forms = []string{XMLPlain, XMLSOAP, XMLIDoc}

func xmlHook(form string) *Endpoint {
	return &Endpoint{Path: "sap/orders", Verify: Verify{Scheme: "bearer", Prefix: "Basic ", Secrets: []strictyaml.Secret{strictyaml.NewSecret("aHViOnBhc3N3b3Jk")}}, XML: &XML{Form: form}}
}

func postXML(b *bench, media, body string) *httptest.ResponseRecorder {
	r := httptest.NewRequest(http.MethodPost, "/hooks/sap/orders", strings.NewReader(body))
	r.Header.Set("Content-Type", media)
	r.SetBasicAuth("hub", "password")
	return b.serve(r)
}

// TestXMLOverHTTP: an IDoc is a row before its 200, is one row however often it comes, and another content under its number is an alarm.
func TestXMLOverHTTP(t *testing.T) {
	onSQLite(t, func(t *testing.T, b *bench) {
		b.start(xmlHook(XMLIDoc))
		for range 2 {
			if w := postXML(b, "text/xml", idocOrder); w.Code != 200 || w.Body.Len() > 0 {
				t.Fatalf("%d %s", w.Code, w.Body)
			}
		}
		if n := b.Unpublished(); n != 1 {
			t.Errorf("%d rows, want 1", n)
		}
		if w := postXML(b, "application/xml; charset=utf-8", strings.Replace(idocOrder, "4711", "4712", 1)); w.Code != 409 || b.seen.Text(inbox.AlarmConflict) == "" {
			t.Errorf("another content: %d %s", w.Code, w.Body)
		}
		if w := postXML(b, "text/xml", idocs("7", "8")); w.Code != 200 || b.Unpublished() != 3 {
			t.Errorf("two IDocs: %d, %d rows", w.Code, b.Unpublished())
		}
		webhooktest.WantAnswer(t, postXML(b, "application/json", `{}`), 415, "")
		webhooktest.WantAnswer(t, postXML(b, "text/xml", `<!DOCTYPE a><a/>`), 400, "document type")
		webhooktest.WantAnswer(t, postXML(b, "text/xml; charset=ISO-8859-1", idocOrder), 415, "character set")
		r := httptest.NewRequest(http.MethodPost, "/hooks/sap/orders", strings.NewReader(idocOrder))
		r.Header.Set("Content-Type", "text/xml")
		webhooktest.WantAnswer(t, b.serve(r), 401, "")
	})
}

// TestSOAPAnswers: a message that is taken is answered 202 with nothing, or with what the flow says, and one that is not with a fault.
func TestSOAPAnswers(t *testing.T) {
	onSQLite(t, func(t *testing.T, b *bench) {
		b.start(xmlHook(XMLSOAP))
		if w := postXML(b, "text/xml", soapMessage(nsSOAP, "", `<a><b>1</b></a>`)); w.Code != 202 || w.Body.Len() > 0 {
			t.Errorf("%d %s", w.Code, w.Body)
		}
		w := postXML(b, "text/xml", soapMessage(nsSOAP, "", `<a/><b/>`))
		root, err := xmldoc.Parse(w.Body.Bytes())
		if err != nil || w.Code != 400 || root.Child(nsSOAP, "Body").Child(nsSOAP, "Fault").Child("", "faultcode").Content() != "soap:Client" {
			t.Errorf("%d %s, %v", w.Code, w.Body, err)
		}
	})
	onSQLite(t, func(t *testing.T, b *bench) {
		hook := xmlHook(XMLSOAP)
		hook.Answer = &Answer{Status: 200, Type: "text/xml", Body: "<ok/>"}
		b.start(hook)
		if w := postXML(b, "text/xml", soapMessage(nsSOAP, "", `<a/>`)); w.Code != 200 || w.Body.String() != "<ok/>" || w.Header().Get("Content-Type") != "text/xml" {
			t.Errorf("%d %s", w.Code, w.Body)
		}
		if w := postXML(b, "text/xml", "<a/>"); w.Code != 400 || !strings.Contains(w.Body.String(), "<faultcode>soap:Client") {
			t.Errorf("%d %s", w.Code, w.Body)
		}
	})
}
