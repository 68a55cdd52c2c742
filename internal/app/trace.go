package app

import (
	"context"
	"strings"

	"github.com/waybill-hub/waybill/internal/privacy"
	"github.com/waybill-hub/waybill/internal/state"
)

// mostKeys is how many keys a search names.
const mostKeys = 20

// Trace is everything the hub remembers about a key. Where nothing is known under the key as it is written, it is looked for without the difference of
// capitals, and as a beginning: one key that fits is traced in its place, several are named.
func (h *Hub) Trace(ctx context.Context, key string) (state.Trace, error) {
	t, err := h.store.Trace(ctx, key)
	if err != nil || key == "" {
		return t, err
	}
	keys, err := h.store.Begin(ctx, key, mostKeys+1)
	if err != nil {
		return t, err
	}
	if t.Known() {
		t.Keys = other(keys, key)
		return t, nil
	}
	if same := alike(keys, key); len(same) == 1 {
		t, err = h.store.Trace(ctx, same[0])
		t.Keys = other(keys, same[0])
		return t, err
	}
	if len(keys) == 1 {
		return h.store.Trace(ctx, keys[0])
	}
	if len(keys) == 0 { // ids that the hub makes, and many that others make, are of one case
		for _, id := range []string{strings.ToLower(key), strings.ToUpper(key)} {
			if id == key {
				continue
			}
			if found, err := h.store.Trace(ctx, id); err != nil || found.Known() {
				return found, err
			}
		}
	}
	t.Keys = keys
	return t, nil
}

// alike are the keys that differ from key in the case of their letters alone.
func alike(keys []string, key string) (out []string) {
	for _, k := range keys {
		if strings.EqualFold(k, key) {
			out = append(out, k)
		}
	}
	return out
}

func other(keys []string, key string) (out []string) {
	for _, k := range keys {
		if k != key {
			out = append(out, k)
		}
	}
	return out
}

// Documents fills in the documents of journal rows, as far as they are kept.
func (h *Hub) Documents(ctx context.Context, rows []state.Journal) error {
	return h.store.Documents(ctx, rows)
}

// PersonalKey reports whether the business keys of a flow, or of some flow of an entity, are personal data; of neither, whether any are.
func (h *Hub) PersonalKey(flow, entity string) bool {
	return h.now.Load().private.PersonalKey(flow, entity)
}

// Veil masks in an answer business keys that are personal data.
func (h *Hub) Veil(answer []byte, about string) ([]byte, bool) {
	return h.now.Load().private.Veil(answer, about)
}

// Compared is the entity of a reconciliation or a rule; privacy.Unknown of one that the files have no more.
func (h *Hub) Compared(kind, name string) string {
	for _, r := range h.plan().Reconciliations {
		if kind == state.RunReconciliation && r.Name == name {
			return r.Entity
		}
	}
	for _, r := range h.plan().Rules {
		if kind == state.RunRule && r.Name == name {
			return r.Entity
		}
	}
	return privacy.Unknown
}

// masked masks the personal data of a stored message and of what people did to it, for whoever is to read but not to send it.
func (h *Hub) masked(q *state.Queued, acts []state.Act) {
	p := h.private(q.Flow)
	if p.None() {
		return
	}
	v := &privacy.Values{}
	docs := []*[]byte{&q.Event.Data, &q.Original}
	for i := range acts {
		docs = append(docs, &acts[i].Before, &acts[i].After)
	}
	for _, d := range docs {
		p.Source.Collect(*d, v)
	}
	for _, d := range docs {
		*d = p.Source.Document(*d, v)
	}
	q.Reason, q.Code, q.EditNote, q.MarkNote = v.Text(q.Reason), v.Text(q.Code), v.Text(q.EditNote), v.Text(q.MarkNote)
	for i := range acts {
		acts[i].Note = v.Text(acts[i].Note)
	}
	if q.Event.Submitted != nil {
		by := *q.Event.Submitted
		by.Why = v.Text(by.Why)
		q.Event.Submitted = &by
	}
}
