package flowtest

import (
	"context"
	"fmt"
	"regexp"
	"strings"
	"time"

	"github.com/waybill-hub/waybill/internal/config"
	"github.com/waybill-hub/waybill/internal/flow/decide"
	"github.com/waybill-hub/waybill/internal/jsondoc"
	"github.com/waybill-hub/waybill/internal/state"
	"github.com/waybill-hub/waybill/internal/strictyaml"
)

// Result is one case that was run.
type Result struct {
	// Test is the flow, mapping or rule, Case the case's name, Pos where it begins.
	Test, Case string
	Pos        strictyaml.Pos
	// Differences are none when the case has passed.
	Differences []Difference
	// Updated: the file has been rewritten so that the case passes.
	Updated bool
}

// Passed reports whether all was as the case wants it.
func (r *Result) Passed() bool { return len(r.Differences) == 0 }

// Report is what a run found.
type Report struct {
	Files   int
	Results []Result
	// Problems are what is wrong in the files themselves; cases with one are not run.
	Problems *strictyaml.Problems
	// Updated are the files that were rewritten.
	Updated []string
}

// Failed counts the cases that did not pass.
func (r *Report) Failed() int {
	n := 0
	for i := range r.Results {
		if !r.Results[i].Passed() {
			n++
		}
	}
	return n
}

// OK reports whether every case has passed and every file is sound.
func (r *Report) OK() bool { return r.Failed() == 0 && r.Problems.Len() == 0 }

// Options say which cases to run, and how.
type Options struct {
	// Run selects cases by their name, or by "TEST/NAME"; nil: all.
	Run *regexp.Regexp
	// Update rewrites what is wanted in files on disk, where only that differs.
	Update bool
	// Each is told of every case as soon as it has been run; may be nil.
	Each func(Result)
}

// Run runs the cases of files against plan. An error means that ctx has ended or that a file could not be rewritten.
func Run(ctx context.Context, plan *config.Plan, files []File, o Options) (*Report, error) {
	rep := &Report{Files: len(files), Problems: &strictyaml.Problems{}}
	if o.Each == nil {
		o.Each = func(Result) {}
	}
	k := knownOf(plan)
	for _, f := range files {
		var p strictyaml.Problems
		results, err := k.run(ctx, f, &p, o)
		if err != nil {
			return nil, err
		}
		if o.Update && !f.Embedded {
			again, changed, err := k.rewrite(ctx, f, results, o)
			if err != nil {
				return nil, err
			}
			if changed {
				rep.Updated = append(rep.Updated, f.Name)
				results = again
			}
		}
		rep.Problems.Append(&p)
		for _, r := range results {
			o.Each(r.Result)
			rep.Results = append(rep.Results, r.Result)
		}
	}
	return rep, nil
}

// ran is a case with what came of it.
type ran struct {
	Result
	c   testCase
	got decide.Decision
}

func (k *known) run(ctx context.Context, f File, p *strictyaml.Problems, o Options) ([]ran, error) {
	var out []ran
	wanted := func(s *suite, name string) bool {
		return o.Run == nil || o.Run.MatchString(name) || o.Run.MatchString(s.name+"/"+name)
	}
	for _, s := range k.parse(f, p) {
		for i := range s.rules {
			if !wanted(&s, s.rules[i].Name) {
				continue
			}
			r, err := k.runRule(ctx, &s, &s.rules[i])
			if err != nil {
				return nil, err
			}
			out = append(out, r)
		}
		for _, c := range s.cases {
			if !wanted(&s, c.Name) {
				continue
			}
			got, err := decide.DryRun(ctx, k.plan, s.flow, c.event, c.Headers, c.xref, time.Now())
			if err != nil {
				return nil, fmt.Errorf("%s: %s: %w", c.node.Pos(), c.Name, err)
			}
			r := ran{Result: Result{Test: s.name, Case: c.Name, Pos: c.node.Pos()}, c: c, got: got}
			r.Differences = judge(&c, &got)
			out = append(out, r)
		}
	}
	return out, nil
}

// judge compares what came of a case with what it says.
func judge(c *testCase, got *decide.Decision) []Difference {
	wrong := func(key, want string) []Difference {
		return []Difference{{c.node.KeyPos(key), "", want, outcome(got)}}
	}
	switch {
	case c.Skipped != nil:
		if got.Outcome != state.Skipped || got.Reason != *c.Skipped {
			return wrong("skipped", "skipped: "+*c.Skipped)
		}
	case c.Parked != nil:
		if got.Outcome != state.Parked || !strings.Contains(got.Reason, *c.Parked) {
			return wrong("parked", fmt.Sprintf("parked, and the reason to contain %q", *c.Parked))
		}
	case c.Waiting != nil:
		w, m := c.Waiting, got.Missing
		if got.Outcome != state.Waiting || m.Entity != w.Entity || m.System != w.System || w.Hub != "" && m.Hub != w.Hub || w.ID != "" && m.Local != w.ID {
			return wrong("waiting", "waiting for "+missing(&state.Missing{Entity: w.Entity, System: w.System, Hub: w.Hub, Local: w.ID}))
		}
	default:
		if got.Outcome != state.Delivered {
			return wrong("want", "delivered")
		}
		return delivered(c, got)
	}
	return nil
}

// outcome says in a few words what became of a message.
func outcome(r *decide.Decision) string {
	switch r.Outcome {
	case state.Skipped:
		return "skipped: " + r.Reason
	case state.Waiting:
		return "waiting for " + missing(r.Missing)
	case state.Parked:
		return "parked (" + r.Kind + "): " + r.Reason
	}
	return string(r.Outcome)
}

func missing(m *state.Missing) string {
	s := m.Entity + " in " + m.System
	switch {
	case m.Hub != "":
		return s + ", hub id " + m.Hub
	case m.Local != "":
		return s + ", id " + m.Local
	}
	return s
}

// delivered compares a delivery with want.
func delivered(c *testCase, got *decide.Decision) []Difference {
	w, n := c.Want, c.node.Get("want")
	var d differ
	text := func(key string, want *string, got string) {
		if want != nil && *want != got {
			d.list = append(d.list, Difference{n.Get(key).Pos(), key, quote(*want), quote(got)})
		}
	}
	ev := &got.Event
	text("key", w.Key, ev.Key)
	text("version", w.Version, ev.Version)
	text("operation", w.Operation, string(ev.Operation))
	text("hub", w.Hub, ev.Hub)
	text("origin", w.Origin, ev.Origin)
	text("delivery-id", w.Delivery, got.Delivery)
	d.document(n, "", got.Document)
	if w.Write == nil {
		return d.list
	}
	at := n.Get("write")
	if got.Write == nil {
		return append(d.list, Difference{at.Pos(), "write", "a call", "nothing"})
	}
	if a := w.Write.Action; a != nil && *a != string(got.Write.Action) {
		d.list = append(d.list, Difference{at.Get("action").Pos(), "write.action", quote(*a), quote(string(got.Write.Action))})
	}
	d.document(at, "write.", got.Write.Doc)
	return d.list
}

func quote(s string) string {
	if s == "" {
		return "nothing"
	}
	return shorten(string(jsondoc.AppendString(nil, s)))
}

// document compares a document with the data or part below n.
func (d *differ) document(n strictyaml.Node, prefix string, got []byte) {
	for _, key := range []string{"data", "part"} {
		want := n.Get(key)
		if want.Kind() == strictyaml.Missing {
			continue
		}
		doc := &jsondoc.Doc{}
		if len(got) > 0 {
			if err := doc.Reset(got, jsondoc.Limits{}); err != nil {
				d.list = append(d.list, Difference{want.Pos(), prefix + key, "a document", "text that is no JSON: " + err.Error()})
				continue
			}
		}
		d.part = key == "part"
		d.compare(want, parsed(want).Root(), doc.Root(), prefix+"data")
	}
}
