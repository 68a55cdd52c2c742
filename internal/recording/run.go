package recording

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"regexp"
	"strings"
	"time"

	"github.com/waybill-hub/waybill/internal/connector"
	"github.com/waybill-hub/waybill/internal/fault"
	"github.com/waybill-hub/waybill/internal/manifest"
	"github.com/waybill-hub/waybill/internal/strictyaml"
	"github.com/waybill-hub/waybill/internal/webhook"
	"github.com/waybill-hub/waybill/internal/xmldoc"
)

// World is what recordings are played and recorded with.
type World struct {
	Kinds     map[string]connector.Kind
	Manifests *manifest.Set
}

// Replay plays a recording and gives what was otherwise than recorded. With update, requests take the recorded answers in their order, and the recording
// holds afterwards what was asked and what the connector made of the answers; a step that came to something before and fails now is told.
func (w World) Replay(ctx context.Context, r *Recording, update bool) ([]string, error) {
	p, err := play(r, update)
	if err != nil {
		return nil, err
	}
	defer p.close()
	sys, err := w.open(ctx, r, p)
	if err != nil {
		return nil, err
	}
	hook, err := w.hook(r)
	if err != nil {
		return nil, errors.Join(err, sys.Close())
	}
	out, err := run(ctx, sys, hook, r, p.begin, func(s *Step, got want) []string {
		if update {
			was := s.Want
			s.Want = got
			return was.failsNow(s.Name, got)
		}
		return s.Want.compare(s.Name, got)
	})
	return out, errors.Join(err, sys.Close())
}

// resolved gives a system's settings as its kind reads them.
func (w World) resolved(r *Recording, p *strictyaml.Problems) (node strictyaml.Node, kind connector.Kind) {
	if !w.Manifests.Has(r.Manifest) {
		p.AddHint(strictyaml.Pos{File: r.file}, strictyaml.DidYouMean(r.Manifest, w.Manifests.Names()), "unknown manifest %q", r.Manifest)
		return node, nil
	}
	n := r.System
	if n.Kind() == strictyaml.Missing {
		m := w.Manifests.Get(r.Manifest, standIns{}, p)
		if m == nil {
			return node, nil
		}
		n = m.Example
	}
	got := w.Manifests.Resolve(r.Manifest, r.Manifest, n, w.Kinds, standIns{}, p)
	if got == nil {
		return node, nil
	}
	node, _ = got.Node.Without("limit", "rate") // a player need not be spared
	return manifest.Defaults(node, p), w.Kinds[got.Kind]
}

// hook is how the manifest reads bodies of its webhooks; nil: they are no XML.
func (w World) hook(r *Recording) (*webhook.XML, error) {
	var p strictyaml.Problems
	m := w.Manifests.Get(r.Manifest, standIns{}, &p)
	if m == nil || !m.Webhook.Has("xml") {
		return nil, p.Err()
	}
	set := &xmldoc.Settings{}
	connector.Settings{Node: m.Webhook.Get("xml")}.Decode(set, &p)
	return webhook.NewXML(set), p.Err()
}

func (w World) open(ctx context.Context, r *Recording, by *player) (connector.System, error) {
	var p strictyaml.Problems
	node, kind := w.resolved(r, &p)
	if err := p.Err(); err != nil {
		return nil, err
	}
	return kind.Open(ctx, connector.Settings{Name: r.Manifest, Node: node, Log: slog.New(slog.DiscardHandler), Dir: ".", Via: by.via, Database: by.database()})
}

// run makes the steps, one after the other; at begins one and gives the troubles of the one before, and done is told what came of it.
func run(ctx context.Context, sys connector.System, hook *webhook.XML, r *Recording, at func(*Step) []string, done func(*Step, want) []string) ([]string, error) {
	var out []string
	t := &trip{sys: sys, hook: hook, cursors: map[string]string{}, ids: map[string]string{}, etags: map[string]string{}}
	for _, s := range r.Steps {
		out = append(out, at(s)...)
		got, err := t.step(ctx, s)
		if err != nil {
			return nil, fmt.Errorf("%s: %s: %w", r.file, s.Name, err)
		}
		out = append(out, done(s, got)...)
	}
	return append(out, at(nil)...), nil
}

// trip is a run of the steps.
type trip struct {
	sys     connector.System
	hook    *webhook.XML
	cursors map[string]string // of polls, by object type
	ids     map[string]string // that steps have given, by their names
	etags   map[string]string // likewise
}

var (
	errCannot = errors.New("systems of this kind cannot do that")
	errNoXML  = errors.New("receive: the manifest's webhook says nothing of xml")
)

func (t *trip) step(ctx context.Context, s *Step) (got want, err error) {
	verb, object := s.does()
	var failed error
	switch {
	case s.Probe != nil:
		failed = t.sys.Probe(ctx)
	case s.Poll != nil:
		poller, ok := t.sys.(connector.Poller)
		if !ok {
			return got, errCannot
		}
		var page connector.Page
		page, failed = poller.Poll(ctx, connector.PollRequest{Object: object, Cursor: t.cursors[object], Limit: s.Poll.Limit, Overlap: s.Poll.Overlap, Reader: "recording"})
		if failed == nil {
			t.cursors[object], got.More = page.Cursor, page.More
			got.Records = t.records(s, page.Records)
		}
	case s.List != nil:
		lister, ok := t.sys.(connector.Lister)
		if !ok {
			return got, errCannot
		}
		var all []connector.Record
		for rec, err := range lister.List(ctx, object, time.Time{}) {
			if err != nil {
				failed = err
				break
			}
			all = append(all, rec)
		}
		got.Records = t.records(s, all)
	case s.Receive != nil:
		if t.hook == nil {
			return got, errNoXML
		}
		var docs []webhook.Document
		docs, failed = t.hook.Documents([]byte(s.Receive.Body))
		for _, d := range docs {
			got.Records = append(got.Records, record{Local: d.ID, Doc: string(d.JSON)})
		}
	case s.Find != nil:
		finder, ok := t.sys.(connector.Finder)
		if !ok {
			return got, errCannot
		}
		var found []connector.Record
		found, failed = finder.Find(ctx, connector.Lookup{Object: object, Local: t.fill(s.Find.Local), External: s.Find.External, Natural: s.Find.Natural})
		got.Records = t.records(s, found)
	default:
		if got, failed, err = t.write(ctx, verb, s); err != nil {
			return got, err
		}
	}
	got.Fault = failureOf(failed)
	if len(got.Records) > 0 {
		t.ids[s.Name] = got.Records[0].Local
	}
	if got.Local != "" {
		t.ids[s.Name] = got.Local
	}
	return got, nil
}

func (t *trip) write(ctx context.Context, verb string, s *Step) (got want, failed, err error) {
	sink, ok := t.sys.(connector.Sink)
	if !ok {
		return got, nil, errCannot
	}
	w := map[string]*writeStep{"create": s.Create, "update": s.Update, "delete": s.Delete}[verb]
	etag := t.etags[strings.TrimPrefix(w.ETag, "@")]
	if w.ETag != "" && (etag == "" || !strings.HasPrefix(w.ETag, "@")) { // else it would be a write that nothing guards
		return got, nil, fmt.Errorf("etag: %q: no step before it has read a concurrency token under that name", w.ETag)
	}
	r, failed := sink.Write(ctx, connector.Write{Entity: w.Object, Object: w.Object, Action: connector.Action(verb), External: w.External, Local: t.fill(w.Local), ETag: etag, Doc: []byte(t.fill(w.Doc))})
	got.Local, got.Doc = r.Local, string(r.Doc)
	return got, failed, nil
}

// fill puts ids that earlier steps have given in the place of their names.
func (t *trip) fill(text string) string {
	if id, ok := t.ids[strings.TrimPrefix(text, "@")]; ok && strings.HasPrefix(text, "@") {
		return id
	}
	for name, id := range t.ids {
		text = strings.ReplaceAll(text, `"@`+name+`"`, `"`+id+`"`)
		text = strings.ReplaceAll(text, `"@`+name+`#"`, id)
	}
	return text
}

func (t *trip) records(s *Step, list []connector.Record) []record {
	var out []record
	if len(list) > 0 {
		t.etags[s.Name] = list[0].ETag
	}
	for _, r := range list {
		rec := record{Local: r.Local, Version: r.Version, Deleted: r.Deleted, Doc: string(r.Doc)}
		if r.Err != nil {
			rec.Unreadable = r.Err.Error()
		}
		out = append(out, rec)
	}
	return out
}

func failureOf(err error) *failure {
	if err == nil {
		return nil
	}
	f, ok := fault.As(err)
	if !ok {
		return &failure{Kind: "error", Text: err.Error()}
	}
	out := &failure{Kind: f.Kind.String(), Code: f.Code}
	if f.Err != nil {
		out.Text = untilWhen.ReplaceAllString(f.Err.Error(), "")
	}
	return out
}

// untilWhen is until when a system wants no calls, which is another time at each replay.
var untilWhen = regexp.MustCompile(`; the system has asked to be called again at \S+ and not before`)

// failsNow tells of a step that came to something and fails: an answer may have been broken by hand, and would be recorded as one that has to fail.
func (w want) failsNow(step string, got want) []string {
	if got.Fault == nil || w.Fault != nil || w.Local == "" && w.Doc == "" && len(w.Records) == 0 {
		return nil
	}
	return []string{fmt.Sprintf("%s: it fails now, as %s: %s; if that is meant, take its want out first", step, got.Fault.Kind, got.Fault.Text)}
}

// compare says what is otherwise than wanted.
func (w want) compare(step string, got want) (out []string) {
	differ := func(what, want, got string) {
		if want != got {
			out = append(out, fmt.Sprintf("%s: %s: want %s, got %s", step, what, orNothing(want), orNothing(got)))
		}
	}
	switch {
	case (w.Fault == nil) != (got.Fault == nil):
		differ("the outcome", w.Fault.text(), got.Fault.text())
		return out
	case w.Fault != nil:
		differ("the failure", w.Fault.text(), got.Fault.text())
	}
	differ("the id", w.Local, got.Local)
	document(differ, "the document", w.Doc, got.Doc)
	differ("more", fmt.Sprint(w.More), fmt.Sprint(got.More))
	differ("records", fmt.Sprint(len(w.Records)), fmt.Sprint(len(got.Records)))
	for i := range min(len(w.Records), len(got.Records)) {
		a, b, at := w.Records[i], got.Records[i], fmt.Sprintf("record %d: ", i+1)
		differ(at+"the id", a.Local, b.Local)
		differ(at+"the version", a.Version, b.Version)
		differ(at+"deleted", fmt.Sprint(a.Deleted), fmt.Sprint(b.Deleted))
		differ(at+"why it is unreadable", a.Unreadable, b.Unreadable)
		document(differ, at+"the document", a.Doc, b.Doc)
	}
	return out
}

func document(differ func(what, want, got string), what, want, got string) {
	if !same(want, got) {
		differ(what, want, got)
	}
}

func (f *failure) text() string {
	if f == nil {
		return "no failure"
	}
	return strings.TrimSpace(f.Kind+" "+f.Code) + ": " + f.Text
}

func orNothing(s string) string {
	if s == "" {
		return "nothing"
	}
	return s
}
