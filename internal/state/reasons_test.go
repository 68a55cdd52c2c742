package state

import (
	"os"
	"regexp"
	"slices"
	"testing"
)

// TestDifferenceReasons: the list of reasons, by which differences are selected, leaves none out.
func TestDifferenceReasons(t *testing.T) {
	source, err := os.ReadFile("reconcile.go")
	if err != nil {
		t.Fatal(err)
	}
	declared := regexp.MustCompile(`(?m)^\t(?:Reason|Explained)\w+ += "([a-z-]+)"`).FindAllStringSubmatch(string(source), -1)
	if len(declared) < 20 || len(declared) != len(DifferenceReasons) {
		t.Errorf("%d are declared, and %d in the list", len(declared), len(DifferenceReasons))
	}
	for _, d := range declared {
		if !slices.Contains(DifferenceReasons, d[1]) {
			t.Errorf("%s is not in the list", d[1])
		}
	}
}
