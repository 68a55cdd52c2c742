package webhook

import (
	"context"
	"fmt"
	"net/http"

	"github.com/waybill-hub/waybill/internal/failpoint"
	"github.com/waybill-hub/waybill/internal/fault"
	"github.com/waybill-hub/waybill/internal/inbox"
	"github.com/waybill-hub/waybill/internal/jsondoc"
	"github.com/waybill-hub/waybill/internal/lifecycle"
	"github.com/waybill-hub/waybill/internal/state"
)

// rows turns verified documents into rows of the inbox. A list without an element makes none.
func (h *Handler) rows(k *hook, r *http.Request, req *request, deliveries []delivery) ([]state.Inbound, error) {
	doc := jsondoc.Get()
	defer jsondoc.Put(doc)
	rows := make([]state.Inbound, 0, len(deliveries))
	most := h.largest(k)
	total := 0
	for n, d := range deliveries {
		if err := doc.Reset(d.body, inbox.DocumentLimits); err != nil {
			return nil, notJSON(err)
		}
		if list := k.list(doc.Root()); list.Kind() == jsondoc.Array && list.Len() == 0 {
			continue
		}
		ref := k.documents(doc.Root(), &total)
		if ref == nil {
			ref = k.carried(len(d.body), doc.Root(), most)
		}
		if ref != nil {
			if len(deliveries) > 1 {
				ref.detail = fmt.Sprintf("document %d of the request: %s", n, ref.detail)
			}
			return nil, ref
		}
		headers := storedHeaders(r.Header, k.scheme.private, d.headers)
		id := d.id
		if k.DeliveryID != nil {
			var err error
			if id, err = k.DeliveryID(r.Context(), inbox.Input{Doc: doc, Headers: headers}); err != nil {
				return nil, malformed("the delivery id cannot be read: %v", err)
			}
		}
		sum, err := fingerprint(doc.Root(), k.without)
		if err != nil {
			return nil, notJSON(err)
		}
		row := state.Inbound{
			Digest:   sum,
			Flow:     k.Flow,
			Headers:  headers,
			Body:     d.body,
			Trace:    inbox.Trace(d.trace, one(r.Header, "traceparent")),
			Received: req.now,
		}
		if row.DeliveryID = inbox.CleanID(id); row.DeliveryID != "" {
			row.ID = row.DeliveryID
		} else {
			row.ID = inbox.MintID()
		}
		rows = append(rows, row)
	}
	return rows, nil
}

// accept commits the rows. Once begun it is not ended by the sender's going away: half of the hub's promise would be left.
func (h *Handler) accept(k *hook, r *http.Request, rows []state.Inbound) (taken, error) {
	ctx, cancel := lifecycle.WithTimeout(context.WithoutCancel(r.Context()), h.c.Clock, h.c.AcceptTimeout, inbox.ErrSlowStore)
	defer cancel()
	outcome, _, err := h.c.Inbox.Accept(ctx, rows, nil, nil)
	if err == nil && len(outcome) != len(rows) {
		err = fmt.Errorf("the store answered for %d of %d rows", len(outcome), len(rows))
	}
	if err != nil {
		err = lifecycle.Caused(ctx, err)
		ref := &refusal{status: http.StatusServiceUnavailable, detail: "the hub cannot store the delivery now; send it again", retry: storeRetry, err: err}
		if f, ok := fault.As(err); ok && f.RetryAfter > 0 {
			ref.retry = f.RetryAfter
		}
		return taken{}, ref
	}
	failpoint.Hit(failpoint.WebhookStored)
	t := taken{id: rows[0].ID, status: string(state.AcceptedDuplicate), events: len(rows)}
	conflict := ""
	for i, o := range outcome {
		switch o {
		case state.AcceptedNew:
			t.status = string(state.AcceptedNew)
		case state.AcceptedDuplicate:
		default:
			conflict = rows[i].ID
		}
	}
	if t.status == string(state.AcceptedNew) {
		h.c.Wake(k.Flow)
	}
	if conflict != "" {
		text := fmt.Sprintf("delivery %s came again with another body; it was refused", conflict)
		h.c.Log.Error("a delivery id came again with another body", "flow", k.Flow, "delivery", conflict)
		h.c.Observer.Alarm(k.Flow, inbox.AlarmConflict, text)
		return taken{}, &refusal{status: http.StatusConflict, detail: "a delivery with this id was received before, with another body"}
	}
	return t, nil
}
