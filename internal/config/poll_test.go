package config

import (
	"strings"
	"testing"
	"testing/fstest"
	"time"

	"github.com/waybill-hub/waybill/internal/connector"
)

// ordered is a kind whose objects are ordered by what they are called.
type ordered struct{ thing }

func (ordered) Ordering(_ connector.Settings, object string) connector.Ordering {
	switch object {
	case "number":
		return connector.Ordering{By: connector.ByNumber, Setting: "lookback"}
	case "looks-back":
		return connector.Ordering{By: connector.ByNumber, Back: 5, Setting: "lookback"}
	case "unknown":
		return connector.Ordering{}
	}
	return connector.Ordering{By: connector.ChangeOrder(object)}
}

// TestOverlap: the overlap is never silently 0, and check says what a poll may miss.
func TestOverlap(t *testing.T) {
	stamps := "does not prove that it shows changes in the order of their stamps"
	tests := []struct {
		kind, object, poll string
		overlap            time.Duration
		note               string // part of the only one; empty: there is none
		column             int
	}{
		{"thing", "order", "every: 1m", 10 * time.Minute, stamps + ", so every poll looks back 10m", 27},
		{"thing", "order", "every: 1m, overlap: 0s", 0, "a change that commits after a later one was read is missed, because the system \"s\" " + stamps, 63},
		{"thing", "order", "every: 1m, overlap: 30s", 30 * time.Second, "", 0},
		{"thing", "order", "every: 1m, overlap: 10m", 10 * time.Minute, "", 0},
		{"ordered", "stamp", "every: 1m", 10 * time.Minute, stamps, 27},
		{"ordered", "stamp", "every: 1m, overlap: 5m", 5 * time.Minute, "", 0},
		{"ordered", "number", "every: 1m", 10 * time.Minute, `goes by numbers, and lookback is 0`, 27},
		{"ordered", "number", "every: 1m, overlap: 5m", 5 * time.Minute, `goes by numbers, and lookback is 0`, 27},
		{"ordered", "looks-back", "every: 1m", 10 * time.Minute, "", 0},
		{"ordered", "content", "every: 1m", 10 * time.Minute, "", 0},
		{"ordered", "commit", "every: 1m, overlap: 0s", 0, "", 0},
		{"ordered", "unknown", "every: 1m", 10 * time.Minute, "", 0},
	}
	for _, test := range tests {
		t.Run(test.kind+" "+test.object+" "+test.poll, func(t *testing.T) {
			plan, p := Load(pollPaths(test.kind, "object: "+test.object+", "+test.poll), orderedOptions())
			if err := p.Err(); err != nil {
				t.Fatal(err)
			}
			if got := plan.Flow("f").From.Poll.Overlap; got != test.overlap {
				t.Errorf("overlap %s, want %s", got, test.overlap)
			}
			notes := p.Notes()
			if test.note == "" {
				if len(notes) != 0 {
					t.Errorf("notes %v", notes)
				}
				return
			}
			if len(notes) != 1 || !strings.Contains(notes[0].Message, test.note) || notes[0].Hint == "" || notes[0].Line != 3 || notes[0].Col != test.column {
				t.Errorf("notes %v, want one of 3:%d with %q", notes, test.column, test.note)
			}
		})
	}
}

// TestDeletes: a sweep has a time in the poll's zone, and a bound that is 5% where none is written.
func TestDeletes(t *testing.T) {
	tests := []struct {
		poll string
		want Deletes
	}{
		{`deletes: {sweep: "0 2 * * *"}`, Deletes{"0 2 * * *", AtMost{5, true}}},
		{`timezone: Asia/Shanghai, deletes: {sweep: "0 2 * * *", at-most: 1%}`, Deletes{"0 2 * * *", AtMost{1, true}}},
		{`deletes: {sweep: "@daily", at-most: "0"}`, Deletes{"@daily", AtMost{0, false}}},
		{`deletes: {sweep: "@daily", at-most: 200}`, Deletes{"@daily", AtMost{200, false}}},
	}
	for _, test := range tests {
		plan, p := Load(pollPaths("thing", "every: 1m, overlap: 1m, "+test.poll), orderedOptions())
		if err := p.Err(); err != nil || len(p.Notes()) != 0 {
			t.Errorf("%s: %v %v", test.poll, err, p.Notes())
			continue
		}
		if got := plan.Flow("f").From.Poll.Deletes; got == nil || *got != test.want {
			t.Errorf("%s: %+v", test.poll, got)
		}
	}
}

func pollPaths(kind, poll string) Paths {
	text := func(s string) *fstest.MapFile { return &fstest.MapFile{Data: []byte(s)} }
	return Paths{
		Config: "c.yaml", ConfigFS: fstest.MapFS{"c.yaml": text("systems: {s: {connector: " + kind + "}}\n")},
		Flows: []Source{{"flows", fstest.MapFS{"f.yaml": text("flow: f\nentity: order\nfrom: {system: s,   poll: {" + poll + "}}\nto: {topic: t}\n")}}},
	}
}

func orderedOptions() Options {
	o := testOptions()
	o.Kinds["ordered"] = ordered{thing{connector.Spec{Kind: "ordered", Can: o.Kinds["thing"].Spec().Can}}}
	return o
}
