package webhook

import (
	"encoding/xml"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"

	"github.com/waybill-hub/waybill/internal/xmldoc"
)

const (
	nsSOAP12     = "http://www.w3.org/2003/05/soap-envelope"
	nsAddressing = "http://www.w3.org/2005/08/addressing"

	// maxIDocs is how many IDocs a sender may pack into one request.
	maxIDocs = 1000
)

// Forms of XML bodies.
const (
	XMLPlain = "plain"
	XMLSOAP  = "soap"
	XMLIDoc  = "idoc"
)

// XML says how bodies of XML become documents.
type XML struct {
	// Form is XMLPlain: the root element is the document; XMLSOAP: what the envelope's body holds is; XMLIDoc: every IDoc is, with its segments as lists.
	Form string
	// Shape gives lists, types and names.
	Shape xmldoc.Shape
}

// NewXML reads bodies as settings say.
func NewXML(s *xmldoc.Settings) *XML { return &XML{Form: s.Form, Shape: s.Shape()} }

// Document is what a body holds once, with the sender's own id of the delivery; empty: it has none.
type Document struct {
	ID   string
	JSON []byte
}

// Documents gives what a body holds, as the webhook takes it.
func (x *XML) Documents(body []byte) ([]Document, error) {
	list, err := x.unpack(body)
	if err != nil {
		return nil, err
	}
	out := make([]Document, 0, len(list))
	for _, d := range list {
		out = append(out, Document{d.id, d.body})
	}
	return out, nil
}

// isXML reports whether a media type is XML's.
func isXML(media string) bool {
	return media == "text/xml" || media == "application/xml" || strings.HasPrefix(media, "application/") && strings.HasSuffix(media, "+xml")
}

// unpack gives the documents of a body.
func (x *XML) unpack(body []byte) ([]delivery, error) {
	root, err := xmldoc.Parse(body)
	if err != nil {
		return nil, malformed("the body is not acceptable XML: %v", err)
	}
	switch x.Form {
	case XMLSOAP:
		return x.envelope(root)
	case XMLIDoc:
		return x.idocs(unwrapped(root))
	}
	return []delivery{{body: x.document(root), headers: map[string]string{"xml-root": root.Name.Local}}}, nil
}

// document is an element as JSON: an object, also where it holds a text alone or nothing.
func (x *XML) document(e *xmldoc.Element) []byte {
	b := e.AppendJSON(nil, "", &x.Shape)
	switch {
	case b[0] == '{':
		return b
	case string(b) == `""` || string(b) == "null":
		return []byte("{}")
	}
	return append(append([]byte(`{"#text":`), b...), '}')
}

// envelope gives what an envelope's body holds. The message's id, where it has one, is the delivery's.
func (x *XML) envelope(root *xmldoc.Element) ([]delivery, error) {
	space := root.Name.Space
	if root.Name.Local != "Envelope" || space != nsSOAP && space != nsSOAP12 {
		return nil, malformed("the body is not a SOAP envelope")
	}
	content := root.Child(space, "Body")
	if content == nil || len(content.Children) != 1 {
		return nil, malformed("the envelope's body does not hold one element")
	}
	operation := content.Children[0]
	if operation.Name.Space == space && operation.Name.Local == "Fault" {
		return nil, malformed("the envelope holds a fault")
	}
	header := root.Child(space, "Header")
	for _, h := range headerBlocks(header) {
		if must := strings.TrimSpace(h.Attr(space, "mustUnderstand")); (must == "1" || must == "true") && !known(h) {
			return nil, malformed("the header %s must be understood, and is not", h.Name.Local)
		}
	}
	return []delivery{{id: header.Child(nsAddressing, "MessageID").Content(), body: x.document(operation), headers: map[string]string{
		"soap-operation": operation.Name.Local, "soap-namespace": operation.Name.Space, "soap-action": header.Child(nsAddressing, "Action").Content(),
	}}}, nil
}

func headerBlocks(header *xmldoc.Element) []*xmldoc.Element {
	if header == nil {
		return nil
	}
	return header.Children
}

// known are the header blocks that the hub may pass over although they must be understood: addresses of the sender, and who it is, which verify asks for in its
// own way.
func known(h *xmldoc.Element) bool {
	return h.Name.Space == nsAddressing || strings.HasSuffix(h.Name.Space, "oasis-200401-wss-wssecurity-secext-1.0.xsd")
}

// unwrapped is what an envelope's body holds, where there is one: SAP's port of type XML SOAP puts IDocs into it.
func unwrapped(root *xmldoc.Element) *xmldoc.Element {
	space := root.Name.Space
	if root.Name.Local != "Envelope" || space != nsSOAP && space != nsSOAP12 {
		return root
	}
	if content := root.Child(space, "Body"); content != nil && len(content.Children) == 1 {
		return content.Children[0]
	}
	return &xmldoc.Element{}
}

// idocs gives every IDoc of a body. Its control record names it: client, sender and number.
func (x *XML) idocs(root *xmldoc.Element) ([]delivery, error) {
	var out []delivery
	for _, idoc := range root.Children {
		if idoc.Name.Local != "IDOC" {
			continue
		}
		if len(out) == maxIDocs {
			return nil, malformed("the body holds more than %d IDocs", maxIDocs)
		}
		control, err := controlRecord(idoc)
		if err != nil {
			return nil, malformed("IDoc %d: %v", len(out)+1, err)
		}
		field := func(name string) string { return control.Child(control.Name.Space, name).Content() }
		number := field("DOCNUM")
		if number == "" {
			return nil, malformed("IDoc %d: the control record has no DOCNUM", len(out)+1)
		}
		segments(idoc, control)
		out = append(out, delivery{
			id:   strings.Join([]string{field("MANDT"), field("SNDPRN"), number}, "."),
			body: x.document(idoc),
			headers: map[string]string{
				"idoc-number": number, "idoc-type": field("IDOCTYP"), "idoc-message": field("MESTYP"), "idoc-sender": field("SNDPRN"), "idoc-root": root.Name.Local,
			},
		})
	}
	if len(out) == 0 {
		return nil, malformed("the body holds no IDOC")
	}
	return out, nil
}

// controlRecord is the first segment: EDI_DC40, or EDI_DC of old systems.
func controlRecord(idoc *xmldoc.Element) (*xmldoc.Element, error) {
	if len(idoc.Children) == 0 {
		return nil, errors.New("it is empty")
	}
	c := idoc.Children[0]
	if c.Name.Local != "EDI_DC40" && c.Name.Local != "EDI_DC" {
		return nil, fmt.Errorf("it does not begin with its control record, EDI_DC40, but with %.50s", c.Name.Local)
	}
	return c, nil
}

// segments makes every segment but the control record a list, also where there is one, and takes away the attributes that only say that it is a segment.
func segments(e, control *xmldoc.Element) {
	e.Attrs = slices.DeleteFunc(e.Attrs, func(a xml.Attr) bool { return a.Name.Local == "SEGMENT" || a.Name.Local == "BEGIN" })
	for _, c := range e.Children {
		if c != control && (c.Attr("", "SEGMENT") != "" || len(c.Children) > 0) {
			c.List = true
		}
		segments(c, nil)
	}
}

// xmlReplier answers as senders of XML read it: nothing where a body is taken, and a SOAP fault where the envelope was one.
type xmlReplier struct{ soap bool }

const faultEnvelope = `<?xml version="1.0" encoding="UTF-8"?>` + "\n" +
	`<soap:Envelope xmlns:soap="` + nsSOAP + `"><soap:Body><soap:Fault><faultcode>soap:%s</faultcode><faultstring>%s</faultstring></soap:Fault></soap:Body></soap:Envelope>`

func (x xmlReplier) taken(w http.ResponseWriter, _ taken) {
	status := http.StatusOK
	if x.soap {
		status = http.StatusAccepted // the answer to a message that wants none, in both versions
	}
	send(w, status, "", nil)
}

func (x xmlReplier) refused(w http.ResponseWriter, r *refusal) {
	if !x.soap {
		jsonReplier{}.refused(w, r)
		return
	}
	retryAfter(w, r)
	code := "Client"
	if r.status >= 500 || r.status == http.StatusTooManyRequests {
		code = "Server"
	}
	text, err := xmldoc.AppendText(nil, r.detail)
	if err != nil {
		text = []byte(http.StatusText(r.status))
	}
	send(w, r.status, "text/xml; charset=utf-8", fmt.Appendf(nil, faultEnvelope, code, text))
}

// fixedXMLReplier says what the flow says, and refuses as senders of XML read it.
type fixedXMLReplier struct {
	fixedReplier
	xmlReplier
}

func (f fixedXMLReplier) taken(w http.ResponseWriter, t taken) {
	if f.Body == "" {
		send(w, f.Status, "", nil)
		return
	}
	f.fixedReplier.taken(w, t)
}

func (f fixedXMLReplier) refused(w http.ResponseWriter, r *refusal) { f.xmlReplier.refused(w, r) }
