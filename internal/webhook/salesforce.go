package webhook

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"

	"github.com/waybill-hub/waybill/internal/jsondoc"
)

const (
	nsSOAP     = "http://schemas.xmlsoap.org/soap/envelope/"
	nsOutbound = "http://soap.sforce.com/2005/09/outbound"
	nsInstance = "http://www.w3.org/2001/XMLSchema-instance"

	maxNotifications = 100
	maxXMLDepth      = 60
	maxXMLElements   = 100_000
)

// newSalesforce is Salesforce's outbound message: SOAP without a signature. The organization id is checked; that it is hard to
// guess is all the proof there is, so the path should be reachable from Salesforce's addresses only, or through a proxy that
// checks the client certificate.
func newSalesforce(v Verify) (*scheme, error) {
	org := organization(v.Organization)
	if org == "" {
		return nil, errors.New("organization is needed: the 15 or 18 characters of the Salesforce organization id")
	}
	return &scheme{
		reply:  ackReplier{},
		inBody: true,
		media: func(m string) bool {
			return m == "text/xml" || m == "application/xml" || m == "application/soap+xml"
		},
		verify: func(r *request) error {
			msg, err := parseOutbound(r.body)
			if err != nil {
				return &refusal{status: http.StatusBadRequest, detail: err.Error()}
			}
			if organization(msg.organization) != org {
				return fmt.Errorf("organization %.18q is not the one of this source", msg.organization)
			}
			r.unpacked = msg.deliveries()
			return nil
		},
		unpack: func(r *request) ([]delivery, error) { return r.unpacked, nil },
	}, nil
}

// organization is the part of an organization id that identifies: the first 15 of its 15 or 18 characters.
func organization(id string) string {
	id = strings.TrimSpace(id)
	if len(id) != 15 && len(id) != 18 {
		return ""
	}
	return id[:15]
}

type outbound struct {
	organization  string
	action        string
	notifications []notification
}

type notification struct {
	id     string
	object string // the object type, such as Account
	doc    []byte
}

// deliveries names a notification by its id and its content: Salesforce repeats a notification that it thinks lost with the
// object's newest state, under the same id, and that state must not be taken for a repetition.
func (m *outbound) deliveries() []delivery {
	out := make([]delivery, 0, len(m.notifications))
	for _, n := range m.notifications {
		sum := sha256.Sum256(n.doc)
		out = append(out, delivery{
			id:   n.id + "." + hex.EncodeToString(sum[:6]),
			body: n.doc,
			headers: map[string]string{
				"salesforce-notification": n.id,
				"salesforce-action":       m.action,
				"salesforce-organization": m.organization,
				"salesforce-object":       n.object,
			},
		})
	}
	return out
}

// parseOutbound reads the envelope. The session id that it may carry is dropped.
func parseOutbound(body []byte) (*outbound, error) {
	root, err := parseXML(body)
	if err != nil {
		return nil, fmt.Errorf("the body is not well-formed XML: %w", err)
	}
	if root.name != (xml.Name{Space: nsSOAP, Local: "Envelope"}) {
		return nil, errors.New("the body is not a SOAP envelope")
	}
	list := root.child(nsSOAP, "Body").child(nsOutbound, "notifications")
	if list == nil {
		return nil, errors.New("the envelope holds no notifications")
	}
	msg := &outbound{
		organization: list.child(nsOutbound, "OrganizationId").content(),
		action:       list.child(nsOutbound, "ActionId").content(),
	}
	for _, n := range list.children {
		if n.name != (xml.Name{Space: nsOutbound, Local: "Notification"}) {
			continue
		}
		if len(msg.notifications) == maxNotifications {
			return nil, fmt.Errorf("the envelope holds more than %d notifications", maxNotifications)
		}
		id, object := n.child(nsOutbound, "Id").content(), n.child(nsOutbound, "sObject")
		if id == "" || object == nil {
			return nil, fmt.Errorf("notification %d lacks its Id or its sObject", len(msg.notifications)+1)
		}
		kind := object.attr(nsInstance, "type")
		kind = kind[strings.LastIndexByte(kind, ':')+1:]
		msg.notifications = append(msg.notifications, notification{id: id, object: kind, doc: object.appendObject(nil, kind)})
	}
	if len(msg.notifications) == 0 {
		return nil, errors.New("the envelope holds no notifications")
	}
	return msg, nil
}

// element is an XML element; its methods may be called on nil.
type element struct {
	name     xml.Name
	attrs    []xml.Attr
	text     []byte
	children []*element
}

// parseXML reads one document within bounds. Document type declarations, and with them entities, are refused.
func parseXML(body []byte) (*element, error) {
	dec := xml.NewDecoder(bytes.NewReader(bytes.TrimPrefix(body, byteOrderMark)))
	var root *element
	var open []*element
	count := 0
	for {
		tok, err := dec.Token()
		if err == io.EOF {
			if root == nil {
				return nil, errors.New("it is empty")
			}
			return root, nil
		}
		if err != nil {
			return nil, err
		}
		switch t := tok.(type) {
		case xml.Directive:
			return nil, errors.New("a document type declaration is not allowed")
		case xml.StartElement:
			if count++; count > maxXMLElements || len(open) == maxXMLDepth {
				return nil, fmt.Errorf("it has more than %d elements, or more than %d in one another", maxXMLElements, maxXMLDepth)
			}
			e := &element{name: t.Name, attrs: t.Attr}
			switch {
			case len(open) > 0:
				top := open[len(open)-1]
				top.children = append(top.children, e)
			case root == nil:
				root = e
			default:
				return nil, errors.New("it has more than one root element")
			}
			open = append(open, e)
		case xml.EndElement:
			open = open[:len(open)-1]
		case xml.CharData:
			if len(open) > 0 {
				top := open[len(open)-1]
				top.text = append(top.text, t...)
			} else if len(bytes.TrimSpace(t)) > 0 {
				return nil, errors.New("text stands outside of the root element")
			}
		}
	}
}

func (e *element) child(space, local string) *element {
	if e == nil {
		return nil
	}
	for _, c := range e.children {
		if c.name.Local == local && c.name.Space == space {
			return c
		}
	}
	return nil
}

func (e *element) attr(space, local string) string {
	if e == nil {
		return ""
	}
	for _, a := range e.attrs {
		if a.Name.Local == local && a.Name.Space == space {
			return a.Value
		}
	}
	return ""
}

func (e *element) content() string {
	if e == nil {
		return ""
	}
	return strings.TrimSpace(string(e.text))
}

// appendObject writes the element's children as a JSON object. XML tells no types: every value is a string, or null under
// xsi:nil. A kind is written the way Salesforce's REST API does: "attributes": {"type": kind}.
func (e *element) appendObject(dst []byte, kind string) []byte {
	dst = append(dst, '{')
	first := true
	name := func(s string) {
		if !first {
			dst = append(dst, ',')
		}
		first = false
		dst = append(jsondoc.AppendString(dst, s), ':')
	}
	groups := make(map[string][]*element, len(e.children))
	for _, c := range e.children {
		groups[c.name.Local] = append(groups[c.name.Local], c)
	}
	if kind != "" && groups["attributes"] == nil {
		name("attributes")
		dst = append(jsondoc.AppendString(append(dst, `{"type":`...), kind), '}')
	}
	for _, c := range e.children {
		same := groups[c.name.Local]
		if same == nil {
			continue // written with the first of its name
		}
		groups[c.name.Local] = nil
		name(c.name.Local)
		if len(same) == 1 {
			dst = c.appendValue(dst)
			continue
		}
		for i, s := range same {
			dst = s.appendValue(append(dst, "[,"[min(i, 1)]))
		}
		dst = append(dst, ']')
	}
	return append(dst, '}')
}

func (e *element) appendValue(dst []byte) []byte {
	if v := e.attr(nsInstance, "nil"); v == "true" || v == "1" {
		return append(dst, "null"...)
	}
	if len(e.children) > 0 {
		return e.appendObject(dst, "")
	}
	return jsondoc.AppendString(dst, string(e.text))
}

// ackReplier answers as Salesforce reads it: anything but Ack true is delivered again.
type ackReplier struct{}

const ackEnvelope = `<?xml version="1.0" encoding="UTF-8"?>` + "\n" +
	`<soapenv:Envelope xmlns:soapenv="http://schemas.xmlsoap.org/soap/envelope/"><soapenv:Body>` +
	`<notificationsResponse xmlns="http://soap.sforce.com/2005/09/outbound"><Ack>%t</Ack></notificationsResponse>` +
	`</soapenv:Body></soapenv:Envelope>`

func (ackReplier) taken(w http.ResponseWriter, _ taken) {
	send(w, http.StatusOK, "text/xml; charset=utf-8", fmt.Appendf(nil, ackEnvelope, true))
}

func (ackReplier) refused(w http.ResponseWriter, r *refusal) {
	retryAfter(w, r)
	send(w, r.status, "text/xml; charset=utf-8", fmt.Appendf(nil, ackEnvelope, false))
}
