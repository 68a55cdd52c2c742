package webhook

import (
	"encoding/base64"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/waybill-hub/waybill/internal/jsondoc"
)

func envelope(org string, notifications ...string) string {
	return `<?xml version="1.0" encoding="UTF-8"?><soapenv:Envelope xmlns:soapenv="http://schemas.xmlsoap.org/soap/envelope/" xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance">` +
		`<soapenv:Body><notifications xmlns="http://soap.sforce.com/2005/09/outbound"><OrganizationId>` + org + `</OrganizationId><ActionId>04k1</ActionId>` +
		`<SessionId>SECRET-SESSION</SessionId>` + strings.Join(notifications, "") + `</notifications></soapenv:Body></soapenv:Envelope>`
}

func notify(id, fields string) string {
	return `<Notification><Id>` + id + `</Id><sObject xsi:type="sf:Account" xmlns:sf="urn:sobject.enterprise.soap.sforce.com">` + fields + `</sObject></Notification>`
}

const org = "00D000000000001EAA"

func TestSalesforceDocuments(t *testing.T) {
	for _, c := range []struct{ name, fields, want string }{
		{"texts stay texts", `<sf:Id>001</sf:Id><sf:Total__c>00123.50</sf:Total__c><sf:IsDeleted>false</sf:IsDeleted>`,
			`{"attributes":{"type":"Account"},"Id":"001","Total__c":"00123.50","IsDeleted":"false"}`},
		{"nil is null, empty is empty", `<sf:A xsi:nil="true"/><sf:B/>`, `{"attributes":{"type":"Account"},"A":null,"B":""}`},
		{"entities and space", `<sf:N>a &amp; "b" &#228; </sf:N>`, `{"attributes":{"type":"Account"},"N":"a & \"b\" ä "}`},
		{"nested and repeated", `<sf:Adr><sf:City>Köln</sf:City></sf:Adr><sf:X>1</sf:X><sf:Y>y</sf:Y><sf:X>2</sf:X>`,
			`{"attributes":{"type":"Account"},"Adr":{"City":"Köln"},"X":["1","2"],"Y":"y"}`},
	} {
		t.Run(c.name, func(t *testing.T) {
			msg, err := parseOutbound([]byte(envelope(org, notify("04l1", c.fields))))
			if err != nil {
				t.Fatal(err)
			}
			if got := string(msg.notifications[0].doc); got != c.want {
				t.Errorf("got  %s\nwant %s", got, c.want)
			}
		})
	}
}

func TestSalesforceRefuses(t *testing.T) {
	var many []string
	for i := range 101 {
		many = append(many, notify(fmt.Sprint("04l", i), "<sf:Id>1</sf:Id>"))
	}
	deep := strings.Repeat("<sf:D>", xmlDepthBound) + strings.Repeat("</sf:D>", xmlDepthBound)
	for name, body := range map[string]string{
		"nothing":             "",
		"no XML":              "hello",
		"cut off":             envelope(org, notify("1", ""))[:300],
		"other root":          "<a/>",
		"two roots":           envelope(org, notify("1", "")) + "<a/>",
		"text behind":         envelope(org, notify("1", "")) + "x",
		"doctype":             `<!DOCTYPE a [<!ENTITY x "y">]>` + envelope(org, notify("1", "")),
		"entity":              envelope(org, notify("1", "<sf:A>&x;</sf:A>")),
		"other character set": strings.Replace(envelope(org, notify("1", "")), "UTF-8", "ISO-8859-1", 1),
		"bad UTF-8":           envelope(org, notify("1", "<sf:A>\xff</sf:A>")),
		"no notifications":    envelope(org),
		"101 notifications":   envelope(org, many...),
		"no id":               envelope(org, notify("", "<sf:A/>")),
		"no object":           envelope(org, "<Notification><Id>1</Id></Notification>"),
		"deep":                envelope(org, notify("1", deep)),
		"wide":                envelope(org, notify("1", strings.Repeat("<a/>", xmlElementsBound))),
	} {
		if _, err := parseOutbound([]byte(body)); err == nil {
			t.Errorf("%s: accepted", name)
		}
	}
	if msg, err := parseOutbound([]byte(envelope(org, many[:100]...))); err != nil || len(msg.deliveries()) != 100 { // as many as Salesforce sends
		t.Errorf("100 notifications: %v", err)
	}
}

func TestSalesforceIdentity(t *testing.T) {
	ids := func(fields string) string {
		msg, err := parseOutbound([]byte(envelope(org, notify("04l1", fields))))
		if err != nil {
			t.Fatal(err)
		}
		d := msg.deliveries()[0]
		for name, value := range d.headers {
			if strings.Contains(value, "SESSION") {
				t.Errorf("header %s holds the session id", name)
			}
		}
		if strings.Contains(string(d.body), "SESSION") {
			t.Error("the document holds the session id")
		}
		return d.id
	}
	if a, b := ids("<sf:N>1</sf:N>"), ids("<sf:N>1</sf:N>"); a != b || !strings.HasPrefix(a, "04l1.") {
		t.Errorf("the same notification is %s and %s", a, b)
	}
	if a, b := ids("<sf:N>1</sf:N>"), ids("<sf:N>2</sf:N>"); a == b {
		t.Error("a repeated notification with a newer state would count as a duplicate")
	}
	s, err := newScheme(Verify{Scheme: "salesforce-outbound", Organization: org[:15]})
	if err != nil {
		t.Fatal(err)
	}
	if err := s.verify(&request{body: []byte(envelope(org, notify("1", "")))}); err != nil {
		t.Errorf("15 and 18 characters of one organization: %v", err)
	}
	if err := s.verify(&request{body: []byte(envelope("", notify("1", "")))}); err == nil {
		t.Error("no organization is believed")
	}
	if err := s.verify(&request{body: []byte(envelope("00d000000000001EAA", notify("1", "")))}); err == nil {
		t.Error("organization ids are compared without their case")
	}
}

func TestCloudEventsRefuse(t *testing.T) {
	good := `"id":"1","source":"/s","type":"t","specversion":"1.0"`
	for name, c := range map[string]struct{ media, body string }{
		"not JSON":           {mediaEvent, `{`},
		"an array":           {mediaEvent, `[]`},
		"old version":        {mediaEvent, `{"id":"1","source":"/s","type":"t","specversion":"0.3"}`},
		"no version":         {mediaEvent, `{"id":"1","source":"/s","type":"t"}`},
		"no id":              {mediaEvent, `{"source":"/s","type":"t","specversion":"1.0"}`},
		"empty source":       {mediaEvent, `{"id":"1","source":"","type":"t","specversion":"1.0"}`},
		"no type":            {mediaEvent, `{"id":"1","source":"/s","specversion":"1.0"}`},
		"attribute object":   {mediaEvent, `{` + good + `,"x":{}}`},
		"attribute name":     {mediaEvent, `{` + good + `,"X-y":"1"}`},
		"both kinds of data": {mediaEvent, `{` + good + `,"data":1,"data_base64":"MQ=="}`},
		"bad base64":         {mediaEvent, `{` + good + `,"data_base64":"?"}`},
		"no text as base64":  {mediaEvent, `{` + good + `,"data_base64":1}`},
		"XML data":           {mediaEvent, `{` + good + `,"datacontenttype":"text/xml","data":"<a/>"}`},
		"batch of no list":   {mediaBatch, `{}`},
		"batch of texts":     {mediaBatch, `["a"]`},
		"batch, one bad":     {mediaBatch, `[{` + good + `},{}]`},
	} {
		_, err := unpackEvents(&request{media: c.media, body: []byte(c.body)})
		var ref *refusal
		if !errors.As(err, &ref) || ref.status != http.StatusBadRequest && ref.status != http.StatusUnsupportedMediaType {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestCloudEventsModes(t *testing.T) {
	structured := func(id, more string) string {
		return `{"id":"` + id + `","source":"/s","type":"t","specversion":"1.0","sequence":7,"flag":true,"gone":null` + more + `}`
	}
	for _, c := range []struct {
		name   string
		r      request
		bodies []string
		ids    []string
	}{
		{"structured", request{media: mediaEvent, body: []byte(structured("1", `,"data":{"a":1.50}`))}, []string{`{"a":1.50}`}, []string{"/s/1"}},
		{"base64", request{media: mediaEvent, body: []byte(structured("1", `,"data_base64":"`+base64.StdEncoding.EncodeToString([]byte(`[1]`))+`"`))}, []string{`[1]`}, []string{"/s/1"}},
		{"without data", request{media: mediaEvent, body: []byte(structured("1", ""))}, []string{`null`}, []string{"/s/1"}},
		{"batch", request{media: mediaBatch, body: []byte("[" + structured("1", `,"data":1`) + "," + structured("2", `,"data":"x"`) + "]")}, []string{`1`, `"x"`}, []string{"/s/1", "/s/2"}},
		{"empty batch", request{media: mediaBatch, body: []byte("[]")}, nil, nil},
		{"binary", request{media: "application/json", body: []byte(`{}`), header: http.Header{
			"Ce-Id": {"a%20b%25"}, "Ce-Source": {`"/s\"x"`}, "Ce-Type": {"t"}, "Ce-Specversion": {"1.0"}, "Ce-Subject": {"M%C3%BCller"}}},
			[]string{`{}`}, []string{`/s"x/a b%`}},
	} {
		t.Run(c.name, func(t *testing.T) {
			got, err := unpackEvents(&c.r)
			if err != nil || len(got) != len(c.bodies) {
				t.Fatalf("%d deliveries, %v", len(got), err)
			}
			for i, d := range got {
				if string(d.body) != c.bodies[i] || d.id != c.ids[i] {
					t.Errorf("delivery %d is %q: %s", i, d.id, d.body)
				}
				if c.r.media != "application/json" && (d.headers["ce-sequence"] != "7" || d.headers["ce-flag"] != "true") {
					t.Errorf("headers %v", d.headers)
				}
				if c.name == "binary" && d.headers["ce-subject"] != "Müller" {
					t.Errorf("subject %q", d.headers["ce-subject"])
				}
			}
		})
	}
	for _, bad := range []string{"%", "%1", "%zz", "%ff"} {
		h := http.Header{"Ce-Id": {bad}, "Ce-Source": {"s"}, "Ce-Type": {"t"}, "Ce-Specversion": {"1.0"}}
		if _, err := unpackEvents(&request{header: h, body: []byte("1")}); err == nil {
			t.Errorf("the header value %q was accepted", bad)
		}
	}
}

func FuzzSalesforce(f *testing.F) {
	for _, v := range vectors(f) {
		if v.Scheme == "salesforce-outbound" {
			f.Add(v.Body)
		}
	}
	f.Add([]byte(envelope(org, notify("1", `<sf:A xsi:nil="1"/><sf:A>&#x1F600;</sf:A><sf:attributes>x</sf:attributes>`))))
	f.Fuzz(func(t *testing.T, body []byte) {
		msg, err := parseOutbound(body)
		if err != nil {
			return
		}
		for _, d := range msg.deliveries() {
			if _, err := jsondoc.Parse(d.body, jsondoc.Limits{}); err != nil {
				t.Fatalf("made %s: %v", d.body, err)
			}
		}
	})
}

func FuzzCloudEvents(f *testing.F) {
	f.Add(mediaEvent, []byte(`{"id":"1","source":"/s","type":"t","specversion":"1.0","data":{"a":[1]},"data_base64":null}`), "%C3%BC")
	f.Add(mediaBatch, []byte(`[{"id":"1","source":"/s","type":"t","specversion":"1.0","data_base64":"MQ=="}]`), `"a\"b"`)
	f.Add("application/json", []byte(`{}`), "%")
	f.Fuzz(func(t *testing.T, media string, body []byte, id string) {
		h := http.Header{"Ce-Id": {id}, "Ce-Source": {"s"}, "Ce-Type": {"t"}, "Ce-Specversion": {"1.0"}}
		got, err := unpackEvents(&request{media: media, header: h, body: body})
		if err != nil {
			return
		}
		for _, d := range got {
			if d.id == "" || len(d.body) == 0 {
				t.Fatalf("a delivery without id or body: %+v", d)
			}
		}
	})
}
