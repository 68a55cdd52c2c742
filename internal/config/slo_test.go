package config

import (
	"testing"
	"testing/fstest"
	"time"
)

// TestSLO: every flow is late at some time, and one that is to be never late is told what to write.
func TestSLO(t *testing.T) {
	usual := SLO{LateAfter: 15 * time.Minute, WaitingAfter: 15 * time.Minute}
	tests := []struct {
		slo  string
		want SLO
		note string
	}{
		{"", usual, ""},
		{"slo: {}", usual, ""},
		{"slo: {late-after: 30d}", SLO{LateAfter: 720 * time.Hour, WaitingAfter: 15 * time.Minute}, ""},
		{"slo: {waiting-after: 1m, silent-after: 0s}", SLO{LateAfter: 15 * time.Minute, WaitingAfter: time.Minute}, ""},
		{"slo: {late-after: 0s}", usual, "slo.late-after: 0 does not switch it off: it is 15m"},
		{"slo: {waiting-after: 0s}", usual, "slo.waiting-after: 0 does not switch it off: it is 15m"},
	}
	for _, test := range tests {
		paths := pollPaths("thing", "every: 1m, overlap: 1m")
		paths.Flows = []Source{{"flows", fstest.MapFS{"f.yaml": {Data: []byte("flow: f\nentity: order\nfrom: {system: s, poll: {every: 1m, overlap: 1m}}\nto: {topic: t}\n" + test.slo + "\n")}}}}
		plan, p := Load(paths, orderedOptions())
		if err := p.Err(); err != nil {
			t.Fatalf("%s: %v", test.slo, err)
		}
		if got := plan.Flow("f").SLO; got != test.want {
			t.Errorf("%s: %+v, want %+v", test.slo, got, test.want)
		}
		switch notes := p.Notes(); {
		case test.note == "" && len(notes) > 0, test.note != "" && (len(notes) != 1 || notes[0].Message != test.note || notes[0].Hint == "" || notes[0].Line == 0):
			t.Errorf("%s: notes %v, want %q", test.slo, notes, test.note)
		}
	}
}
