package webhook

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/xml"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"

	"github.com/waybill-hub/waybill/internal/jsondoc"
	"github.com/waybill-hub/waybill/internal/xmldoc"
)

const (
	nsSOAP     = "http://schemas.xmlsoap.org/soap/envelope/"
	nsOutbound = "http://soap.sforce.com/2005/09/outbound"

	maxNotifications = 100
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
	root, err := xmldoc.Parse(body)
	if err != nil {
		return nil, fmt.Errorf("the body is not well-formed XML: %w", err)
	}
	if root.Name != (xml.Name{Space: nsSOAP, Local: "Envelope"}) {
		return nil, errors.New("the body is not a SOAP envelope")
	}
	list := root.Child(nsSOAP, "Body").Child(nsOutbound, "notifications")
	if list == nil {
		return nil, errors.New("the envelope holds no notifications")
	}
	msg := &outbound{
		organization: list.Child(nsOutbound, "OrganizationId").Content(),
		action:       list.Child(nsOutbound, "ActionId").Content(),
	}
	for _, n := range list.Children {
		if n.Name != (xml.Name{Space: nsOutbound, Local: "Notification"}) {
			continue
		}
		if len(msg.notifications) == maxNotifications {
			return nil, fmt.Errorf("the envelope holds more than %d notifications", maxNotifications)
		}
		id, object := n.Child(nsOutbound, "Id").Content(), n.Child(nsOutbound, "sObject")
		if id == "" || object == nil {
			return nil, fmt.Errorf("notification %d lacks its Id or its sObject", len(msg.notifications)+1)
		}
		kind := object.Attr(xmldoc.NSInstance, "type")
		kind = kind[strings.LastIndexByte(kind, ':')+1:]
		msg.notifications = append(msg.notifications, notification{id: id, object: kind, doc: appendObject(nil, object, kind)})
	}
	if len(msg.notifications) == 0 {
		return nil, errors.New("the envelope holds no notifications")
	}
	return msg, nil
}

// appendObject writes an object's fields as JSON. XML tells no types: every value is a string, or null under xsi:nil. The type is written the way Salesforce's
// REST API does: "attributes": {"type": kind}.
func appendObject(dst []byte, object *xmldoc.Element, kind string) []byte {
	fields := *object
	fields.Attrs, fields.Text = nil, nil
	if len(fields.Children) == 0 {
		dst = append(dst, "{}"...)
	} else {
		dst = fields.AppendJSON(dst, "", nil)
	}
	if kind == "" || slices.ContainsFunc(object.Children, func(c *xmldoc.Element) bool { return c.Name.Local == "attributes" }) {
		return dst
	}
	head := append(jsondoc.AppendString([]byte(`{"attributes":{"type":`), kind), '}')
	if len(fields.Children) > 0 {
		head = append(head, ',')
	}
	return append(head, dst[1:]...)
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
