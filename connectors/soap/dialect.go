package soap

import (
	"bytes"
	"crypto/rand"
	"crypto/sha1" //nolint:gosec // the digest that WS-Security's UsernameToken profile defines
	"encoding/base64"
	"encoding/xml"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/waybill-hub/waybill/connectors/rest"
	"github.com/waybill-hub/waybill/internal/httpclient"
	"github.com/waybill-hub/waybill/internal/jsondoc"
	"github.com/waybill-hub/waybill/internal/xmldoc"
)

// Namespaces of the protocol.
const (
	ns11   = "http://schemas.xmlsoap.org/soap/envelope/"
	ns12   = "http://www.w3.org/2003/05/soap-envelope"
	nsWSSE = "http://docs.oasis-open.org/wss/2004/01/oasis-200401-wss-wssecurity-secext-1.0.xsd"
	nsWSU  = "http://docs.oasis-open.org/wss/2004/01/oasis-200401-wss-wssecurity-utility-1.0.xsd"

	profile = "http://docs.oasis-open.org/wss/2004/01/oasis-200401-wss-username-token-profile-1.0#"
	base64T = "http://docs.oasis-open.org/wss/2004/01/oasis-200401-wss-soap-message-security-1.0#Base64Binary"
)

// dialect is the rest.Dialect of SOAP.
type dialect struct {
	envelope string
	spaces   map[string]string
	token    *usernameToken
	header   []*template
	faults   []faultRow
	ops      map[string]*bound // by object and action
	now      func() time.Time
}

// bound is an operation of an object type.
type bound struct {
	*operation
	shape  *xmldoc.Shape
	base   string // path of the object inside the answer
	unread bool
}

func newDialect(set *settings) *dialect {
	return &dialect{envelope: set.Envelope, spaces: set.Namespaces, token: set.UsernameToken, faults: set.Faults, ops: map[string]*bound{}, now: time.Now}
}

// of gives the operation of a call: look-ups and lists of ids go by the list's where they have none of their own.
func (d *dialect) of(c *rest.Call) *bound {
	b := d.ops[c.Object+" "+c.Action]
	if (c.Action == rest.ActFind || c.Action == rest.ActIDs) && (b == nil || b.template == nil) {
		b = d.ops[c.Object+" "+rest.ActList]
	}
	return b
}

// Put makes the request of a call.
func (d *dialect) Put(c *rest.Call) error {
	b := d.of(c)
	if b == nil || b.template == nil {
		return c.Missing("request")
	}
	f := &filler{params: map[string]string{}}
	for _, p := range c.Query {
		f.params[p.Name] = p.Value
	}
	if c.ID != "" {
		f.params["id"] = c.ID
	}
	if len(c.Body) > 0 {
		doc, err := jsondoc.Parse(c.Body, jsondoc.Limits{})
		if err != nil {
			return fmt.Errorf("the document is no JSON: %w", err)
		}
		f.root = doc.Root()
	}
	body, err := f.content(nil, b.template.children, f.root)
	if err != nil {
		return err
	}
	if len(body) == 0 {
		return errNoRequest
	}
	header := c.Header.Clone()
	if header == nil {
		header = http.Header{}
	}
	media := mediaXML
	switch d.envelope {
	case "soap11":
		header.Set("Accept", "text/xml")
		header.Set("SOAPAction", `"`+b.Action+`"`)
	case "soap12":
		header.Set("Accept", "application/soap+xml")
		media = "application/soap+xml; charset=utf-8"
		if b.Action != "" {
			media += `; action="` + b.Action + `"`
		}
	default:
		header.Set("Accept", "*/*")
	}
	if body, err = d.wrapped(f, body); err != nil {
		return err
	}
	c.Request = httpclient.Request{Method: http.MethodPost, Path: b.Endpoint, Header: header, Body: body, ContentType: media, Once: c.Once, Op: c.Op}
	return nil
}

// wrapped puts a body into an envelope, or gives the root element its namespaces.
func (d *dialect) wrapped(f *filler, body []byte) ([]byte, error) {
	xsi := xml.Attr{Name: xml.Name{Local: "xsi"}, Value: xmldoc.NSInstance}
	out := []byte(xml.Header)
	if d.envelope == "none" {
		end := bytes.IndexAny(body, " />")
		out = append(append(out, body[:end]...), declarations(d.spaces, xsi)...)
		return append(out, body[end:]...), nil
	}
	space := ns11
	if d.envelope == "soap12" {
		space = ns12
	}
	out = append(out, "<soap:Envelope"...)
	out = append(out, declarations(d.spaces, xml.Attr{Name: xml.Name{Local: "soap"}, Value: space}, xsi)...)
	out = append(out, '>')
	head, err := f.content(nil, d.header, f.root)
	if err != nil {
		return nil, fmt.Errorf("header: %w", err)
	}
	if d.token != nil {
		if head, err = d.token.append(head, d.now()); err != nil {
			return nil, fmt.Errorf("username-token: %w", err)
		}
	}
	if len(head) > 0 {
		out = append(append(append(out, "<soap:Header>"...), head...), "</soap:Header>"...)
	}
	return append(append(append(out, "<soap:Body>"...), body...), "</soap:Body></soap:Envelope>"...), nil
}

// append writes the security header.
func (u *usernameToken) append(dst []byte, now time.Time) ([]byte, error) {
	user, err := xmldoc.AppendText(nil, u.User)
	if err != nil {
		return nil, errors.New("the user holds a sign that XML cannot hold")
	}
	dst = append(dst, `<wsse:Security soap:mustUnderstand="1" xmlns:wsse="`+nsWSSE+`" xmlns:wsu="`+nsWSU+`"><wsse:UsernameToken><wsse:Username>`...)
	dst = append(append(dst, user...), `</wsse:Username>`...)
	if !u.Digest {
		password, err := xmldoc.AppendText(nil, u.Password.Reveal())
		if err != nil {
			return nil, errors.New("the password holds a sign that XML cannot hold")
		}
		dst = append(dst, `<wsse:Password Type="`+profile+`PasswordText">`...)
		dst = append(dst, password...)
		return append(dst, `</wsse:Password></wsse:UsernameToken></wsse:Security>`...), nil
	}
	nonce := make([]byte, 16)
	_, _ = rand.Read(nonce) // it never fails
	created := now.UTC().Format("2006-01-02T15:04:05.000Z")
	sum := sha1.Sum(append(append(nonce[:len(nonce):len(nonce)], created...), u.Password.Reveal()...)) //nolint:gosec // see above
	dst = append(dst, `<wsse:Password Type="`+profile+`PasswordDigest">`+base64.StdEncoding.EncodeToString(sum[:])+`</wsse:Password><wsse:Nonce EncodingType="`+base64T+`">`...)
	return append(dst, base64.StdEncoding.EncodeToString(nonce)+`</wsse:Nonce><wsu:Created>`+created+`</wsu:Created></wsse:UsernameToken></wsse:Security>`...), nil
}

// Read makes the answer's body JSON: an object of the elements in the envelope's body, or a Fault.
func (d *dialect) Read(c *rest.Call, resp *httpclient.Response) error {
	b := d.of(c)
	empty := len(bytes.TrimSpace(resp.Body)) == 0
	ok := resp.Status >= 200 && resp.Status < 300
	if ok && b.unread || ok && empty && (c.Action == rest.ActDelete || c.Action == rest.ActCreate || c.Action == rest.ActUpdate) {
		resp.Body = []byte("{}")
		return nil
	}
	if strings.HasPrefix(strings.ToLower(resp.Header.Get("Content-Type")), "multipart/") {
		return errors.New("the answer has several parts (MTOM or SOAP with attachments), which are not read")
	}
	root, err := xmldoc.Parse(resp.Body)
	if err != nil {
		return fmt.Errorf("the answer is not well-formed XML: %w", err)
	}
	if d.envelope == "none" {
		out := append(jsondoc.AppendString([]byte{'{'}, root.Name.Local), ':')
		resp.Body = append(root.AppendJSON(out, root.Name.Local, b.shape), '}')
		return nil
	}
	space := root.Name.Space
	if root.Name.Local != "Envelope" || space != ns11 && space != ns12 {
		return fmt.Errorf("the answer is no SOAP envelope: <%.100s> of %.200q", root.Name.Local, space)
	}
	content := root.Child(space, "Body")
	if content == nil {
		return errors.New("the answer's envelope has no body")
	}
	if f := content.Child(space, "Fault"); f != nil {
		resp.Body = readFault(space, f)
		return nil
	}
	plain := &xmldoc.Element{Children: content.Children} // attributes of the body mean nothing
	if len(plain.Children) == 0 {
		resp.Body = []byte("{}")
		return nil
	}
	resp.Body = plain.AppendJSON(nil, "", b.shape)
	return nil
}

// readFault gives both versions' faults one form: {"Fault": {"code", "subcodes", "text", "detail"}}. Codes are without their prefixes. Servers write one version's
// fault into the other's envelope (npm's soap 1.13 does), and qualify names that have no namespace: both are read.
func readFault(space string, f *xmldoc.Element) []byte {
	child := func(e *xmldoc.Element, local string) *xmldoc.Element {
		if c := e.Child("", local); c != nil {
			return c
		}
		return e.Child(space, local)
	}
	var codes []string
	text, detail := child(f, "faultstring").Content(), child(f, "detail")
	if code := child(f, "faultcode"); code != nil {
		codes = append(codes, local(code.Content()))
	}
	for at := child(f, "Code"); at != nil && len(codes) < 10; at = child(at, "Subcode") {
		codes = append(codes, local(child(at, "Value").Content()))
	}
	if text == "" {
		text = child(child(f, "Reason"), "Text").Content()
	}
	if detail == nil {
		detail = child(f, "Detail")
	}
	if len(codes) == 0 {
		codes = []string{""}
	}
	out := jsondoc.AppendString([]byte(`{"Fault":{"code":`), codes[0])
	out = append(out, `,"subcodes":[`...)
	for i, c := range codes[1:] {
		if i > 0 {
			out = append(out, ',')
		}
		out = jsondoc.AppendString(out, c)
	}
	out = jsondoc.AppendString(append(out, `],"text":`...), text)
	if detail != nil {
		out = detail.AppendJSON(append(out, `,"detail":`...), "", nil)
	}
	return append(out, "}}"...)
}

// local is a qualified name without its prefix.
func local(qname string) string { return qname[strings.LastIndexByte(qname, ':')+1:] }

// fits reports whether a row of the table is about a fault.
func (row faultRow) fits(r *rest.Refusal) bool {
	return (row.Code == "" || slices.Contains(r.Codes, row.Code)) && (row.Text == "" || strings.Contains(strings.ToLower(r.Text), strings.ToLower(row.Text)))
}

// faultKinds are what the codes of the protocol and of WS-Security mean; errors.kinds stands before them.
var faultKinds = map[string]string{
	"Client": "invalid", "Sender": "invalid", "VersionMismatch": "invalid", "MustUnderstand": "invalid", "DataEncodingUnknown": "invalid",
	"ProcedureNotPresent": "invalid", "BadArguments": "invalid",
	"FailedAuthentication": "auth", "FailedCheck": "auth", "InvalidSecurity": "auth", "InvalidSecurityToken": "auth", "UnsupportedSecurityToken": "auth", "SecurityTokenUnavailable": "auth",
	"MessageExpired": "auth",
}

// Refused reads a fault. That the sender is at fault is believed; what went wrong at the receiver may have been done all the same, but for a read.
func (d *dialect) Refused(c *rest.Call, resp *httpclient.Response, root jsondoc.Value, failed bool) *rest.Refusal {
	f := root.Get("Fault")
	if d.envelope == "none" || f.Kind() != jsondoc.Object {
		return nil
	}
	code := f.Get("code").Str()
	r := &rest.Refusal{Text: f.Get("text").Str(), Field: fieldIn(f.Get("detail"), 0)}
	for s := range f.Get("subcodes").Elements() {
		r.Codes = append([]string{s.Str()}, r.Codes...) // the innermost says most
	}
	for {
		r.Codes = append(r.Codes, code)
		dot := strings.LastIndexByte(code, '.')
		if dot < 0 {
			break
		}
		code = code[:dot] // Client.Authentication is a Client, too
	}
	for _, c := range r.Codes {
		if r.Kind = faultKinds[c]; r.Kind != "" {
			break
		}
	}
	if r.Text == "" {
		r.Text = "a fault without a text"
	}
	if d := f.Get("detail"); d.Exists() && len(d.Raw()) < 200 {
		r.Text += " " + string(d.Raw())
	}
	for _, row := range d.faults {
		if row.fits(r) {
			r.Kind, r.Settled = row.Kind, true
			return r
		}
	}
	if failed && resp.Status != http.StatusInternalServerError && resp.Status != http.StatusBadRequest {
		r.Kind = "" // 401, 429, 503: the status says more
		return r
	}
	if r.Kind == "" {
		switch c.Action {
		case rest.ActCreate, rest.ActUpdate, rest.ActDelete:
			r.Kind = "unknown-outcome"
		default:
			r.Kind = "unavailable"
		}
	}
	return r
}

// fieldIn looks for the name of a refused field in a fault's detail.
func fieldIn(v jsondoc.Value, depth int) string {
	switch {
	case depth > 5:
	case v.Kind() == jsondoc.Array:
		for e := range v.Elements() {
			if f := fieldIn(e, depth+1); f != "" {
				return f
			}
		}
	case v.Kind() == jsondoc.Object:
		for _, name := range []string{"field", "Field", "fieldName", "FieldName", "fields", "@field"} {
			if f := v.Get(name); f.Kind() == jsondoc.String && len(f.Str()) <= 200 {
				return f.Str()
			}
		}
		for _, m := range v.Members() {
			if f := fieldIn(m, depth+1); f != "" {
				return f
			}
		}
	}
	return ""
}

// Wrong says which text of an object is none of its type.
func (d *dialect) Wrong(object string, doc jsondoc.Value) error {
	b := d.ops[object+" "+rest.ActList]
	if b == nil {
		return nil
	}
	s := xmldoc.Shape{Types: map[string]string{}}
	for path, kind := range b.shape.Types {
		s.Types[strings.TrimPrefix(path, b.base+".")] = kind
	}
	if path, kind := s.Wrong(doc); path != "" {
		return fmt.Errorf("%s is no %s", path, kind)
	}
	return nil
}

// None: an answer of the right element that holds nothing further holds no object.
func (d *dialect) None(root jsondoc.Value, path string) bool {
	first, _, more := strings.Cut(path, ".")
	return more && root.Get(first).Kind() != jsondoc.Missing
}

// Probe asks for the address as a browser does.
func (d *dialect) Probe() httpclient.Request { return probe() }
