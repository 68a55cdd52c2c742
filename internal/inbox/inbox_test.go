package inbox

import (
	"strings"
	"testing"

	"github.com/waybill-hub/waybill/internal/event"
)

func TestTrace(t *testing.T) {
	const good = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
	if got := Trace("nonsense", good); got != good || Minted(got) {
		t.Errorf("trace %q", got)
	}
	for _, bad := range []string{"", strings.ToUpper(good), "01" + good[2:], strings.Repeat("0", 55), "00-" + strings.Repeat("0", 32) + good[35:], good + "x"} {
		if got := Trace(bad); got == bad || !validTrace(got) || !Minted(got) {
			t.Errorf("%q became %q", bad, got)
		}
	}
}

func TestCleanID(t *testing.T) {
	for given, want := range map[string]string{
		" msg_1\t":                        "msg_1",
		"Zürich/1":                        "Zürich/1",
		"":                                "",
		strings.Repeat("x", maxID):        strings.Repeat("x", maxID),
		"a\nb":                            "sha256:",
		"submitted/person/1":              "sha256:",
		" submitted/":                     "sha256:",
		"submitted":                       "submitted",
		"a\xff":                           "sha256:",
		strings.Repeat("x", maxID) + "yz": "sha256:",
	} {
		got := CleanID(given)
		if strings.HasPrefix(want, "sha256:") {
			if len(got) != len("sha256:")+64 || !strings.HasPrefix(got, "sha256:") || got != CleanID(given) || got == CleanID(given+"1") {
				t.Errorf("%q became %q", given, got)
			}
		} else if got != want {
			t.Errorf("%q became %q, want %q", given, got, want)
		}
	}
}

// An id that came later sorts behind an earlier one.
func TestMintID(t *testing.T) {
	last := ""
	for range 1000 {
		id := MintID()
		if id <= last {
			t.Fatalf("%s came after %s", id, last)
		}
		last = id
	}
}

// The id of what the hub has made is no id that a sender can give, and is told from the same of another trigger.
func TestSubmittedID(t *testing.T) {
	one, long := SubmittedID(event.Person, " 1 "), SubmittedID(event.Repair, strings.Repeat("x", maxID+1))
	if one != "submitted/person/1" || one == CleanID(one) || one == SubmittedID(event.Repair, "1") || !strings.HasPrefix(long, "submitted/repair/sha256:") {
		t.Errorf("%q %q", one, long)
	}
}

func TestLargest(t *testing.T) {
	carries := func(topic string) int64 { return map[string]int64{"big": 1 << 20, "small": 10_000, "tiny": 5}[topic] }
	for _, c := range []struct {
		topic, onward string
		want          int64
	}{{"big", "", 1<<20 - BesideBody}, {"big", "small", 10_000 - BesideBody}, {"small", "big", 10_000 - BesideBody}, {"unknown", "", 0}, {"unknown", "small", 10_000 - BesideBody}, {"big", "unknown", 1<<20 - BesideBody}, {"tiny", "", 1}} {
		if got := Largest(carries, c.topic, c.onward); got != c.want {
			t.Errorf("%s, %s: %d, want %d", c.topic, c.onward, got, c.want)
		}
	}
}

// TestTraceWithin: events that came under one trace have one each, which nobody else has given.
func TestTraceWithin(t *testing.T) {
	trace, seen := Trace(), map[string]bool{}
	for i := range 1000 {
		got := TraceWithin(trace, i)
		if !Minted(got) || seen[got] || got != TraceWithin(trace, i) {
			t.Fatalf("the %d-th trace within %s: %s", i, trace, got)
		}
		seen[got] = true
	}
	if !seen[trace] || TraceWithin("", 3) != "" {
		t.Error("the first has the trace itself, and none has none")
	}
}
