package app

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/waybill-hub/waybill/internal/api"
	"github.com/waybill-hub/waybill/internal/config"
	"github.com/waybill-hub/waybill/internal/connector"
	"github.com/waybill-hub/waybill/internal/event"
	"github.com/waybill-hub/waybill/internal/fault"
	"github.com/waybill-hub/waybill/internal/flow/decide"
	"github.com/waybill-hub/waybill/internal/inbox"
	"github.com/waybill-hub/waybill/internal/intake"
	"github.com/waybill-hub/waybill/internal/lifecycle"
	"github.com/waybill-hub/waybill/internal/mapping"
	"github.com/waybill-hub/waybill/internal/privacy"
	"github.com/waybill-hub/waybill/internal/state"
	"github.com/waybill-hub/waybill/internal/strictyaml"
	"github.com/waybill-hub/waybill/internal/submit"
)

// resendWait bounds the question to the source: whoever asks sits before it.
const resendWait = 20 * time.Second

var errNoAnswer = errors.New("the source did not answer in time")

// Resend reads one object from its source, as it is there now, and submits it to the flow that takes it from there.
func (h *Hub) Resend(ctx context.Context, q api.ResendRequest, who string) (*api.Resent, error) {
	if q.All {
		return h.resendAll(ctx, &q, who)
	}
	f, err := h.resendBy(&q, h.cannotAsk)
	if err != nil {
		return nil, err
	}
	ev, err := h.readAgain(ctx, f, q.Key)
	if err != nil {
		return nil, err
	}
	out, err := h.wouldSend(ctx, f, ev)
	if err != nil {
		return nil, err
	}
	if q.DryRun {
		out.State = api.ResendDry
		out.Text = fmt.Sprintf("%s %s (%s in %s) would be sent through %s to %s as it stands here; nothing is stored", f.Entity, out.Key, out.Local, out.System, f.Name, out.To) + h.stands(f)
		return out, nil
	}
	if ev.ID = q.ID; ev.ID == "" {
		ev.ID = inbox.MintID()
	}
	got, err := h.intake.Submit(ctx, f.Name, []event.Event{*ev}, event.Submission{Trigger: event.Person, Who: who, Why: q.Note})
	var no *submit.Refused
	switch {
	case errors.As(err, &no):
		return nil, &api.Invalid{Detail: fmt.Sprintf("%s %s cannot be sent through %s: %s", f.Entity, out.Key, f.Name, no.Why)}
	case err != nil && q.ID == "": // it may be stored all the same
		return nil, fmt.Errorf("%w; to be sure that it is sent once, ask again with --id %s", err, ev.ID)
	case err != nil:
		return nil, err
	case got.Events[0].Status == state.AcceptedConflict:
		return nil, fmt.Errorf("resend %s of %s %s: %w", q.ID, f.Entity, out.Key, api.ErrOtherWish)
	}
	out.Event, out.State = got.Events[0].ID, api.ResendAccepted
	out.Text = fmt.Sprintf("%s %s (%s in %s) is sent through %s to %s as it is now; `waybill trace %s` tells what becomes of it", f.Entity, out.Key, out.Local, out.System, f.Name, out.To, shellWord(out.Key)) + h.stands(f)
	if got.New() == 0 {
		out.State = api.ResendDuplicate
		out.Text = fmt.Sprintf("the resend %s of %s %s was asked for before: nothing more is sent; `waybill trace %s` tells what became of it", q.ID, f.Entity, out.Key, shellWord(out.Key))
	}
	return out, nil
}

// resendAll wants everything sent that the source holds.
func (h *Hub) resendAll(ctx context.Context, q *api.ResendRequest, who string) (*api.Resent, error) {
	f, err := h.resendBy(q, h.cannotList)
	if err != nil {
		return nil, err
	}
	b, err := h.wantBackfill(ctx, f, state.Backfill{Flow: f.Name, Again: true, Who: who, Why: q.Note, Since: q.Since})
	if err != nil {
		return nil, err
	}
	out := &api.Resent{State: api.ResendWanted, Flow: f.Name, System: f.From.System, To: f.To.System, Entity: f.Entity, Backfill: b.ID}
	if f.To.Topic != "" {
		out.To = f.To.Topic
	}
	out.Text = fmt.Sprintf("everything of %s in %s is sent through %s to %s, as backfill %d: `waybill backfill show %d` tells how far it is", f.Entity, out.System, f.Name, out.To, b.ID, b.ID) + h.stands(f)
	return out, nil
}

// stands says which of the flows on an object's next way stand still: what is sent through them waits, and whoever has asked for it is not to wonder.
func (h *Hub) stands(f *config.Flow) string {
	names := []string{f.Name}
	for _, on := range h.plan().Flows {
		if f.To.Topic != "" && on.From.Topic == f.To.Topic {
			names = append(names, on.Name)
		}
	}
	still := h.standing(names)
	if len(still) == 0 {
		return ""
	}
	return fmt.Sprintf("; it waits where a flow stands still: %s; `waybill status` says why", strings.Join(still, ", "))
}

// standing are those of the flows that stand still, each with the reason in a word.
func (h *Hub) standing(names []string) (still []string) {
	h.pausing.Lock()
	defer h.pausing.Unlock()
	for _, name := range names {
		h.mu.Lock()
		r := h.runners[name]
		h.mu.Unlock()
		switch {
		case h.paused[name]:
			still = append(still, name+" (paused)")
		case r != nil && r.Alarmed() != nil:
			still = append(still, name+" (alarm)")
		}
	}
	return still
}

// resendBy gives the one flow by which an object is read and sent, or all of them; cannot says why a flow is none.
func (h *Hub) resendBy(q *api.ResendRequest, cannot func(*config.Flow) string) (*config.Flow, error) {
	plan := h.plan()
	if err := h.resendable(q); err != nil {
		return nil, err
	}
	var can []*config.Flow
	var names, why []string
	for _, f := range plan.Flows {
		switch {
		case f.Entity != q.Entity || q.Flow != "" && f.Name != q.Flow || q.System != "" && f.From.System != q.System:
			continue
		case f.From.System == "" && q.Flow == "":
			continue // another flow fills its topic
		}
		if no := cannot(f); no != "" {
			why = append(why, fmt.Sprintf("flow %s: %s", f.Name, no))
			continue
		}
		can, names = append(can, f), append(names, fmt.Sprintf("%s (from %s)", f.Name, f.From.System))
	}
	switch {
	case len(can) == 1:
		return can[0], nil
	case len(can) > 1:
		return nil, &api.Invalid{Detail: fmt.Sprintf("several flows read %s: %s: say which one holds what is right, with --flow", q.Entity, strings.Join(names, ", "))}
	case len(why) == 0:
		return nil, &api.Invalid{Detail: fmt.Sprintf("no flow reads %s from a system like that: give --flow or --from as the files have them", q.Entity)}
	}
	return nil, &api.Invalid{Detail: fmt.Sprintf("no %s can be read again: %s", q.Entity, strings.Join(why, "; "))}
}

// resendable refuses names that the files do not know.
func (h *Hub) resendable(q *api.ResendRequest) error {
	plan := h.plan()
	entities, flows := map[string]bool{}, map[string]bool{}
	for _, f := range plan.Flows {
		entities[f.Entity], flows[f.Name] = true, true
	}
	unknown := func(what, name string, known []string) error {
		hint := ""
		if did := strictyaml.DidYouMean(name, known); did != "" {
			hint = " (" + did + ")"
		}
		return &api.Invalid{Detail: fmt.Sprintf("the hub's files know no %s %q%s", what, name, hint)}
	}
	switch {
	case !entities[q.Entity]:
		return unknown("flow of the entity", q.Entity, slices.Sorted(maps.Keys(entities)))
	case q.Flow != "" && !flows[q.Flow]:
		return unknown("flow", q.Flow, slices.Sorted(maps.Keys(flows)))
	case q.System != "" && plan.Systems[q.System] == nil:
		return unknown("system", q.System, slices.Sorted(maps.Keys(plan.Systems)))
	}
	return nil
}

// filling names the flows that fill a topic from a system.
func (h *Hub) filling(topic string) (names []string) {
	for _, f := range h.plan().Flows {
		if f.To.Topic == topic && f.From.System != "" {
			names = append(names, f.Name)
		}
	}
	return names
}

// cannotAsk says why a flow's source cannot be asked for one object, and what to do instead; empty: it can be.
func (h *Hub) cannotAsk(f *config.Flow) string {
	switch {
	case f.From.System == "":
		fill := h.filling(f.From.Topic)
		if len(fill) == 0 {
			return "it reads the topic " + f.From.Topic + ", which another program fills: have that one write it again"
		}
		return "it reads the topic " + f.From.Topic + ": send it by a flow that fills it: " + strings.Join(fill, ", ")
	case f.From.Files != nil:
		return "it reads files: put what is to be sent again into the drop"
	case h.intake.CanAsk(f.Name):
		return ""
	case f.From.Webhook != nil:
		return fmt.Sprintf("%s calls it (webhook) and cannot be asked for one object (it has no object type %s to look up): let %s send it again", f.From.System, f.Entity, f.From.System)
	}
	return fmt.Sprintf("%s cannot be asked for one object: read what was missed again with `waybill rewind %s`", f.From.System, f.Name)
}

// plainField is a key that is a field of the source's document, by which the source may be searched.
var plainField = regexp.MustCompile(`^source\.([A-Za-z_][A-Za-z0-9_.]*)$`)

// readAgain reads the object that key names from the flow's source. What kind of name the key is, the hub may not know: the object's id there, what the
// flow's key or id is made of, or what the object is known as anywhere else. What one of these finds under the very business key is the one that is
// meant; otherwise all are asked, and must agree.
func (h *Hub) readAgain(ctx context.Context, f *config.Flow, key string) (*event.Event, error) {
	ctx, cancel := lifecycle.WithTimeout(ctx, h.clock, resendWait, errNoAnswer)
	defer cancel()
	local, err := h.localOf(ctx, f, key)
	if err != nil {
		return nil, err
	}
	var found []event.Event
	var failed error
	asked := false
	for _, l := range looksFor(f, key, local) {
		got, err := h.intake.Object(ctx, f.Name, l)
		switch {
		case errors.Is(err, connector.ErrNoLookup):
			continue
		default:
			asked = true
		}
		switch kind := fault.KindOf(err); {
		case err != nil && (kind == fault.Invalid || kind == fault.NotFound): // some systems refuse what is no id of theirs
			failed = err
			continue
		case err != nil:
			return nil, h.askFailed(ctx, f, err)
		}
		for i := range got {
			if h.keyOf(ctx, f, &got[i]) == key && len(got) == 1 {
				return &got[0], nil
			}
			if !slices.ContainsFunc(found, func(ev event.Event) bool { return ev.Local == got[i].Local }) {
				found = append(found, got[i])
			}
		}
	}
	switch {
	case len(found) == 1:
		return &found[0], nil
	case len(found) > 1:
		return nil, &api.Invalid{Detail: fmt.Sprintf("%s holds %d objects that %s may name: %s: give the id of one", f.From.System, len(found), key, locals(found))}
	case failed != nil:
		return nil, h.askFailed(ctx, f, failed)
	case !asked:
		return nil, &api.Invalid{Detail: fmt.Sprintf("%s cannot be asked for one %s by its id or key: let it send it again", f.From.System, f.Entity)}
	}
	text := fmt.Sprintf("%s holds no %s %s", f.From.System, f.Entity, key)
	if local != "" {
		text += " any more"
	}
	switch {
	case f.From.Poll != nil && f.From.Poll.Deletes != nil:
		text += fmt.Sprintf(": what was deleted there is found by `waybill sweep %s`", f.Name)
	case local == "":
		text += ", and the hub has not seen one: give the id that it has there"
	}
	return nil, &api.Invalid{Detail: text}
}

// looksFor are the questions by which an object may be found: by its id there, then by the fields that the flow's key and id are, where they are fields.
func looksFor(f *config.Flow, key, local string) (looks []connector.Lookup) {
	names := []string{key}
	if local != "" && local != key {
		names = []string{local, key}
	}
	for _, name := range names {
		looks = append(looks, connector.Lookup{Local: name})
	}
	for _, e := range []*mapping.Expr{f.Key, f.ID} {
		if e == nil {
			continue
		}
		if m := plainField.FindStringSubmatch(strings.TrimSpace(e.Text())); m != nil {
			for _, name := range names {
				looks = append(looks, connector.Lookup{Natural: map[string]string{m[1]: name}})
			}
		}
	}
	return looks
}

// keyOf is the business key that the flow computes of an object; empty where it cannot.
func (h *Hub) keyOf(ctx context.Context, f *config.Flow, ev *event.Event) string {
	if f.Key == nil {
		return ev.Local
	}
	m := decide.Message{Flow: f, Event: ev, Lookup: h.store}
	defer m.Dispose()
	return m.ComputedKey(ctx)
}

// askFailed is the error of a question to the source: what it says of the object is the person's, anything else may be over soon.
func (h *Hub) askFailed(ctx context.Context, f *config.Flow, err error) error {
	switch {
	case errors.Is(err, intake.ErrNotBegun):
		return fmt.Errorf("%s was not asked: %w", f.From.System, err)
	case errors.Is(context.Cause(ctx), errNoAnswer):
		return fmt.Errorf("%s was asked: %w", f.From.System, errNoAnswer)
	case errors.Is(err, intake.ErrNotAsked), fault.KindOf(err) == fault.Invalid:
		return &api.Invalid{Detail: fmt.Sprintf("%s was asked: %v", f.From.System, err)}
	}
	return fmt.Errorf("%s was asked: %w", f.From.System, err)
}

func locals(found []event.Event) string {
	ids := make([]string, len(found))
	for i := range found {
		ids[i] = found[i].Local
	}
	slices.Sort(ids)
	return strings.Join(ids, ", ")
}

// localOf is the id in the flow's source of the object that key names; empty where the hub knows none.
func (h *Hub) localOf(ctx context.Context, f *config.Flow, key string) (string, error) {
	t, err := h.store.Trace(ctx, key)
	if err != nil {
		return "", err
	}
	ids := map[string]bool{}
	for _, o := range t.Objects {
		for _, r := range o.Refs {
			if o.Entity == f.Entity && r.System == f.From.System && r.Local != "" && !r.Deleted {
				ids[r.Local] = true
			}
		}
	}
	if ids[key] {
		return key, nil
	}
	all := slices.Sorted(maps.Keys(ids))
	switch len(all) {
	case 0:
		return "", nil
	case 1:
		return all[0], nil
	}
	return "", &api.Invalid{Detail: fmt.Sprintf("%s is the key of several objects of %s: %s: give the id of one", key, f.From.System, strings.Join(all, ", "))}
}

// wouldSend rehearses the event, and refuses what the flow would not take. It sets the event's key.
func (h *Hub) wouldSend(ctx context.Context, f *config.Flow, ev *event.Event) (*api.Resent, error) {
	if f.Key == nil {
		ev.Key = ev.Local
	}
	r, err := decide.DryRun(ctx, h.plan(), f, *ev, nil, h.store, h.clock.Now())
	if err != nil {
		return nil, err
	}
	doc, mapped := ev.Data, r.Document
	if p := h.private(f.Name); !p.None() {
		v := &privacy.Values{}
		p.Source.Collect(doc, v)
		p.Mapped.Collect(mapped, v)
		doc, mapped, r.Reason = p.Source.Document(doc, v), p.Mapped.Document(mapped, v), v.Text(r.Reason)
		r.Trail.Told = v.Text(r.Trail.Told)
	}
	switch r.Outcome {
	case state.Parked:
		return nil, &api.Invalid{Detail: fmt.Sprintf("the %s that %s gives for %s is none that flow %s takes: %s", f.Entity, f.From.System, ev.Local, f.Name, r.Reason)}
	case state.Skipped:
		return nil, &api.Invalid{Detail: fmt.Sprintf("flow %s would leave %s %s out as it is now: %s: %s", f.Name, f.Entity, ev.Local, r.Reason, r.Trail.Told)}
	}
	ev.Key = r.Event.Key
	out := &api.Resent{Flow: f.Name, System: f.From.System, To: f.To.System, Entity: f.Entity, Key: ev.Key, Local: ev.Local, Version: r.Event.Version,
		Rehearsal: api.Rehearsal{Outcome: string(r.Outcome), Reason: r.Reason}, Document: doc, Mapped: mapped}
	if f.To.Topic != "" {
		out.To = f.To.Topic
	}
	if f.Version == nil && f.From.Poll == nil {
		out.Version = "" // a number of the inbox, which says nothing to people
	}
	return out, nil
}

// shellWord is a text as a shell takes it for one word: an id of several columns holds apostrophes, which a command that is copied from a sentence would lose.
func shellWord(s string) string {
	plain := func(r rune) bool {
		return r > 0x7f || r >= '0' && r <= '9' || r >= 'A' && r <= 'Z' || r >= 'a' && r <= 'z' || strings.ContainsRune("-_.,:/@%+=", r)
	}
	switch {
	case s != "" && strings.TrimLeftFunc(s, plain) == "":
		return s
	case !strings.ContainsAny(s, "\"$`\\!"):
		return `"` + s + `"`
	}
	return "'" + strings.ReplaceAll(s, "'", `'\''`) + "'"
}
