package inbox

import (
	"strings"
	"testing"
)

func TestTrace(t *testing.T) {
	const good = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
	if got := Trace("nonsense", good); got != good {
		t.Errorf("trace %q", got)
	}
	for _, bad := range []string{"", strings.ToUpper(good), "01" + good[2:], strings.Repeat("0", 55), "00-" + strings.Repeat("0", 32) + good[35:], good + "x"} {
		if got := Trace(bad); got == bad || !validTrace(got) {
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
