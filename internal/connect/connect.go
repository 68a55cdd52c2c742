// Package connect asks the systems of a plan, once and without changing anything, whether they are what the files say.
package connect

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/waybill-hub/waybill/internal/config"
	"github.com/waybill-hub/waybill/internal/connector"
	"github.com/waybill-hub/waybill/internal/fault"
	"github.com/waybill-hub/waybill/internal/strictyaml"
)

// Options say how systems are asked.
type Options struct {
	Kinds *connector.Registry
	// Timeout bounds all that is asked of one system.
	Timeout time.Duration
	// Keep writes what systems say of their fields into the project, where Kept reads it.
	Keep bool
	// Begin and End tell of each system, in the order of their names; both may be nil.
	Begin func(s *config.System)
	End   func(s *config.System, r Result)
}

// Result is what became of one system.
type Result struct {
	Objects  int // that were looked at
	Read     int // of which a record was read
	Problems int
	Notes    int
	Kept     string // the file that was written; empty: none
	Removed  string // the file that was taken away; empty: none
	Skipped  string // why nothing was asked
	Took     time.Duration
}

// Check opens every system, probes it, reads one record of each object type and compares it, and what the system says of the fields, with the
// schemas and mappings of the flows that use it. It calls nothing that writes: connector.Sink is never asked for. Problems go to p, with the place of
// the system, the object or the flow.
func Check(ctx context.Context, plan *config.Plan, o Options, p *strictyaml.Problems) {
	for _, name := range slices.Sorted(maps.Keys(plan.Systems)) {
		if ctx.Err() != nil {
			p.Add(plan.Systems[name].Pos, "system %s: it was not asked any more: %s", name, context.Cause(ctx))
			continue
		}
		s := plan.Systems[name]
		if o.Begin != nil {
			o.Begin(s)
		}
		began := time.Now()
		own, old := &strictyaml.Problems{}, &strictyaml.Problems{}
		v := visit{plan: plan, s: s, p: own, timeout: o.Timeout, kinds: o.Kinds, keep: o.Keep}
		v.was, v.other = readKept(s, old)
		v.run(ctx)
		if v.r.Kept == "" && v.r.Removed == "" {
			own.Append(old) // else it is written anew, as its hint says
		}
		v.r.Problems, v.r.Notes, v.r.Took = own.Len(), len(own.Notes()), time.Since(began)
		p.Append(own)
		if o.End != nil {
			o.End(s, v.r)
		}
	}
}

// visit is one system's.
type visit struct {
	plan    *config.Plan
	s       *config.System
	p       *strictyaml.Problems
	timeout time.Duration
	kinds   *connector.Registry
	keep    bool
	was     *kept  // what is kept of the system; nil: nothing
	other   string // the configuration of whose system of this name something is kept; empty: of none
	r       Result
}

func (v *visit) run(ctx context.Context) {
	if absent := v.s.Settings.Node.Absent(); len(absent) > 0 {
		v.r.Skipped = "not set here: " + strings.Join(absent, ", ")
		v.p.AddHint(v.s.Pos, "set them as they are where the hub runs", "system %s: it cannot be asked: not set here: %s", v.s.Name, strings.Join(absent, ", "))
		return
	}
	kind, ok := v.kinds.Get(v.s.Kind)
	if !ok {
		return // told
	}
	if can := kind.Spec().Can; can == (connector.Abilities{}) {
		v.r.Skipped = "it only pushes: there is nothing to ask"
		return
	}
	ctx, cancel := context.WithTimeoutCause(ctx, v.timeout, fmt.Errorf("no answer within %s", v.timeout))
	defer cancel()
	settings := v.s.Settings
	settings.Log = slog.New(slog.DiscardHandler)
	sys, err := kind.Open(ctx, settings)
	if err != nil {
		return // told by the check without a connection
	}
	defer func() {
		if err := sys.Close(); err != nil {
			v.p.Note(v.s.Pos, "", "system %s: close: %s", v.s.Name, err)
		}
	}()
	if err := sys.Probe(ctx); err != nil {
		v.failed(ctx, v.s.Pos, err, "")
		return
	}
	now := &kept{System: v.s.Name, Config: configOf(v.s), Objects: map[string]keptObject{}}
	for _, object := range v.objects(sys) {
		v.r.Objects++
		if !v.object(ctx, sys, object, now) {
			return
		}
	}
	if v.keep {
		v.keepAll(now)
	}
}

// keepAll brings the file to what the system says.
func (v *visit) keepAll(now *kept) {
	name := keptPath(v.s)
	if v.other != "" {
		v.p.Note(v.s.Pos, "give one of the systems another name, or remove the file", "system %s: what it says of its fields is not kept: %s is of the system of this name in %s", v.s.Name, name, v.other)
		return
	}
	var err error
	if len(now.Objects) > 0 {
		err = now.write(v.s, v.was, time.Now())
		v.r.Kept = name
	} else if gone, failed := forget(v.s); gone {
		v.r.Removed = name
	} else {
		err = failed
	}
	if err != nil {
		v.r.Kept = ""
		v.p.AddHint(v.s.Pos, "may this user write there?", "system %s: what it says of its fields cannot be kept: %s", v.s.Name, err)
	}
}

// objects are those of the settings, and what flows name besides.
func (v *visit) objects(sys connector.System) []string {
	var out []string
	if l, ok := sys.(connector.Objects); ok {
		out = l.Objects()
	}
	for _, f := range v.plan.Flows {
		for _, use := range []struct{ system, object string }{{f.To.System, f.To.Object}, {f.From.System, readObject(f)}} {
			if use.system == v.s.Name && use.object != "" && !slices.Contains(out, use.object) {
				out = append(out, use.object)
			}
		}
	}
	slices.Sort(out)
	return out
}

func readObject(f *config.Flow) string {
	switch {
	case f.From.Poll != nil:
		return f.From.Poll.Object
	case f.From.Files != nil:
		return f.From.Files.Object
	}
	return ""
}

// object looks at one object type; false: the system answers nobody, so that there is no use in asking on.
func (v *visit) object(ctx context.Context, sys connector.System, object string, now *kept) bool {
	at := v.place(object)
	sample, err := sampleOf(ctx, sys, object)
	switch {
	case errors.Is(err, errNoSample):
		v.p.Note(at, "", "object %s of %s: its kind can show no record: the fields were not compared", object, v.s.Name)
		return true
	case err != nil:
		_, shows := sys.(connector.Sampler)
		if kind := fault.KindOf(err); !shows && v.onlyWritten(object) && (kind == fault.NotFound || kind == fault.Invalid) {
			v.p.Note(at, "nothing is wrong if it is only written", "object %s of %s: it cannot be read, so that the fields were not compared: %s", object, v.s.Name, err)
			return true
		}
		v.failed(ctx, at, err, "object "+object+" of ")
		kind := fault.KindOf(err)
		if v.was != nil {
			if o, has := v.was.Objects[object]; has { // it may be another time
				now.Objects[object] = o
			}
		}
		return ctx.Err() == nil && kind != fault.Unavailable && kind != fault.Auth
	}
	now.keep(object, sample, slices.DeleteFunc(described(v.kinds, v.s, object), func(name string) bool {
		return slices.Contains(sample.Lacking, name) // a check without a connection goes on saying so
	}))
	if v.was != nil && !v.keep {
		if o, has := v.was.Objects[object]; has {
			for _, change := range o.changes(sample) {
				v.p.Note(at, keepHint, "object %s of %s has changed since %s: %s", object, v.s.Name, v.was.At, change)
			}
		}
	}
	c := comparison{visit: v, object: object, at: at, sample: sample}
	c.columns()
	c.taken()
	c.record()
	return true
}

// onlyWritten reports whether no flow reads the object.
func (v *visit) onlyWritten(object string) bool {
	return !slices.ContainsFunc(v.plan.Flows, func(f *config.Flow) bool { return f.From.System == v.s.Name && readObject(f) == object })
}

func (v *visit) place(object string) strictyaml.Pos {
	if n := v.s.Settings.Node.Get("objects").Get(object); n.Kind() != strictyaml.Missing {
		return n.Pos()
	}
	return v.s.Pos
}

var errNoSample = errors.New("no record can be shown")

// sampleOf reads one record by the way that the system has for it.
func sampleOf(ctx context.Context, sys connector.System, object string) (connector.Sample, error) {
	if s, ok := sys.(connector.Sampler); ok {
		return s.Sample(ctx, object)
	}
	l, ok := sys.(connector.Lister)
	if !ok {
		return connector.Sample{}, errNoSample
	}
	for rec, err := range l.List(ctx, object, time.Time{}) {
		if err != nil {
			return connector.Sample{}, err
		}
		return connector.Sample{Record: &rec}, nil
	}
	return connector.Sample{}, nil
}

// failed tells what a call came to, and what to do.
func (v *visit) failed(ctx context.Context, at strictyaml.Pos, err error, what string) {
	if cause := context.Cause(ctx); cause != nil {
		v.p.AddHint(at, "is its address right, and is it in reach? --connect-timeout gives it longer", "%ssystem %s: %s", what, v.s.Name, cause)
		return
	}
	hint := map[fault.Kind]string{
		fault.Auth:        "look at the credentials, and at what they may read",
		fault.Unavailable: "is it running, is its address right, and is it in reach?",
		fault.RateLimited: "try again later, or with a smaller limit",
		fault.NotFound:    "look at the paths in the settings",
	}[fault.KindOf(err)]
	v.p.AddHint(at, hint, "%ssystem %s: %s", what, v.s.Name, strings.TrimPrefix(err.Error(), v.s.Name+": "))
}
