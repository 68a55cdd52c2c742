package intake

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/waybill-hub/waybill/internal/config"
	"github.com/waybill-hub/waybill/internal/connector"
	"github.com/waybill-hub/waybill/internal/inbox"
	"github.com/waybill-hub/waybill/internal/mapping"
	"github.com/waybill-hub/waybill/internal/schedule"
	"github.com/waybill-hub/waybill/internal/webhook"
)

// FromPlan gives the sources of all flows of a plan, also of those that read a topic which others fill. Systems are the open ones, by name; lookup answers
// cross-references in keys.
func FromPlan(p *config.Plan, systems map[string]connector.System, lookup mapping.Lookup) ([]Source, error) {
	var out []Source
	for _, f := range p.Flows {
		if f.From.System == "" {
			out = append(out, fromTopic(p, f, &p.Hub.Hooks))
			continue
		}
		s, err := fromFlow(f, &p.Hub.Hooks, systems[f.From.System], lookup)
		if err != nil {
			return nil, fmt.Errorf("%s: flow %s: %w", f.Pos, f.Name, err)
		}
		out = append(out, s)
	}
	return out, nil
}

// fromTopic is the source of a flow that reads a topic which others fill.
func fromTopic(p *config.Plan, f *config.Flow, hooks *config.Hooks) Source {
	s := Source{Flow: f.Name, Entity: f.Entity, Topic: f.From.Topic, Known: hasHubIDs(p, f.From.Topic, map[string]bool{}),
		MaxEvents: hooks.MaxDocuments, MaxBytes: int64(hooks.MaxBody)}
	if f.Map == nil {
		s.Onward = f.To.Topic
	}
	return s
}

// hasHubIDs reports whether events on the topic carry hub ids: those that come from a system do.
func hasHubIDs(p *config.Plan, topic string, seen map[string]bool) bool {
	if seen[topic] {
		return false
	}
	seen[topic] = true
	return slices.ContainsFunc(p.Flows, func(f *config.Flow) bool {
		return f.To.Topic == topic && (f.From.System != "" || hasHubIDs(p, f.From.Topic, seen))
	})
}

// CheckVerify gives why a sender's proof cannot be built of what the plan says of it. Its text holds no secret.
func CheckVerify(v config.Verify) error {
	return verifyOf(v).Check()
}

func verifyOf(v config.Verify) webhook.Verify {
	return webhook.Verify{
		Scheme: v.Scheme, Secrets: v.Secrets, Tolerance: v.Tolerance, Header: v.Header, Prefix: v.Prefix,
		Encoding: v.Encoding, Algorithm: v.Algorithm, Organization: v.Organization,
	}
}

func fromFlow(f *config.Flow, hooks *config.Hooks, system connector.System, lookup mapping.Lookup) (Source, error) {
	s := Source{Flow: f.Name, Entity: f.Entity, System: f.From.System, Topic: f.Topic(), Key: eval(f.Key, lookup), ID: eval(f.ID, lookup), Versioned: f.Version != nil,
		MaxEvents: hooks.MaxDocuments, MaxBytes: int64(hooks.MaxBody)}
	if f.Map == nil {
		s.Onward = f.To.Topic
	}
	s.Finder, s.Lists = finder(f, system), lists(f, system)
	var err error
	switch from := f.From; {
	case from.Webhook != nil:
		s.Webhook = &webhook.Endpoint{
			Path:       from.Webhook.Path,
			Verify:     verifyOf(from.Webhook.Verify),
			DeliveryID: eval(from.Webhook.DeliveryID, lookup),
			Split:      from.Webhook.Split,
			MaxBody:    int64(hooks.MaxBody),

			MaxDocuments: hooks.MaxDocuments,
			ContentTypes: from.Webhook.ContentTypes,
			FormField:    from.Webhook.FormField,
			Ignore:       from.Webhook.Ignore,
			Handshakes:   from.Webhook.Handshakes,
		}
		if x := from.Webhook.XML; x != nil {
			s.Webhook.XML = webhook.NewXML(x)
		}
		if a := from.Webhook.Answer; a != nil {
			s.Webhook.Answer = &webhook.Answer{Status: a.Status, Type: a.Type, Body: a.Body}
		}
		if hooks.Rate.N > 0 && hooks.Rate.Per > 0 {
			s.Webhook.Rate = float64(hooks.Rate.N) / hooks.Rate.Per.Seconds()
		}
	case from.Poll != nil:
		s.Poll, err = fromPoll(f, system)
	case from.Files != nil:
		s.Files, err = fromFiles(f, system)
	default:
		err = fmt.Errorf("nothing says how %s is read", f.From.System)
	}
	return s, err
}

// finder asks the flow's source for one object; nil where that cannot be asked. An object of a file is in no place where it could be asked for.
func finder(f *config.Flow, system connector.System) *Finder {
	can, ok := system.(connector.Finder)
	if !ok || f.From.Files != nil {
		return nil
	}
	object := objectOf("", f)
	if f.From.Poll != nil {
		object = objectOf(f.From.Poll.Object, f)
	}
	if listed, ok := system.(connector.Objects); ok && !slices.Contains(listed.Objects(), object) {
		return nil
	}
	return &Finder{System: can, Object: object}
}

// lists reads everything that the flow's source holds; nil where nothing can.
func lists(f *config.Flow, system connector.System) *Lists {
	lister, ok := system.(connector.Lister)
	if !ok || f.From.Files != nil {
		return nil
	}
	l := &Lists{Lister: lister, Object: objectOf("", f)}
	if p := f.From.Poll; p != nil {
		l.Object, l.Overlap, l.Limit = objectOf(p.Object, f), p.Overlap, p.Limit
	}
	if listed, ok := system.(connector.Objects); ok && !slices.Contains(listed.Objects(), l.Object) {
		return nil
	}
	return l
}

func fromPoll(f *config.Flow, system connector.System) (*Poll, error) {
	c := f.From.Poll
	poller, ok := system.(connector.Poller)
	if !ok {
		return nil, fmt.Errorf("system %s cannot be polled", f.From.System)
	}
	p := &Poll{Poller: poller, Object: objectOf(c.Object, f), Overlap: c.Overlap, Limit: c.Limit}
	if log, ok := system.(connector.Streamer); ok {
		p.Stream = log.Stream(p.Object)
	}
	if c.Deletes != nil {
		lister, ok := system.(connector.Lister)
		if !ok {
			return nil, fmt.Errorf("system %s cannot list what it holds", f.From.System)
		}
		when, err := schedule.Parse(c.Deletes.Sweep, c.Timezone)
		if err != nil {
			return nil, err
		}
		p.Sweep = &Sweep{Lister: lister, When: when, AtMost: c.Deletes.AtMost}
	}
	if c.Schedule == "" {
		p.When = every(c.Every)
		return p, nil
	}
	t, err := schedule.Parse(c.Schedule, c.Timezone)
	if err != nil {
		return nil, err
	}
	p.When = t
	return p, nil
}

func fromFiles(f *config.Flow, system connector.System) (*Files, error) {
	source, ok := system.(connector.FileSource)
	if !ok {
		return nil, fmt.Errorf("system %s has no files", f.From.System)
	}
	return &Files{Source: source, Object: objectOf(f.From.Files.Object, f), When: every(f.From.Files.Every)}, nil
}

func objectOf(object string, f *config.Flow) string {
	if object == "" {
		return f.Entity
	}
	return object
}

func every(d time.Duration) Timetable {
	if d <= 0 {
		d = time.Minute
	}
	return schedule.Every(d)
}

// eval adapts an expression; nil stays nil.
func eval(e *mapping.Expr, lookup mapping.Lookup) inbox.Eval {
	if e == nil {
		return nil
	}
	return func(ctx context.Context, in inbox.Input) (string, error) {
		return e.String(ctx, &mapping.Input{Doc: in.Doc, Event: in.Event, Headers: in.Headers, Lookup: lookup})
	}
}
