package app

import (
	"testing"
	"time"

	"github.com/waybill-hub/waybill/internal/strictyaml"
)

// A rate allows what its time gives, whole messages alone, and no flood after a pause.
func TestBudget(t *testing.T) {
	for rate, want := range map[string][]int{"2/s": {2, 2, 2, 10, 2}, "30/m": {0, 1, 0, 2, 1}, "1000/s": {1000, 1000, 1000, 5000, 1000}, "1/h": {0, 0, 0, 1, 0}} {
		r, err := strictyaml.ParseRate(rate)
		if err != nil {
			t.Fatal(err)
		}
		b := budget{rate: r}
		for i, passed := range []time.Duration{time.Second, time.Second, time.Second, 2 * time.Hour, time.Second} {
			if got := b.grant(passed); got != want[i] {
				t.Errorf("%s: %d after %s, want %d", rate, got, passed, want[i])
			}
		}
	}
	for text, ok := range map[string]bool{"5/s": true, "1/h": true, "1/2h": false, "10001/s": false, "5": false, "-1/s": false, "unlimited": false} {
		if _, err := paceRate(text); (err == nil) != ok {
			t.Errorf("%s: %v", text, err)
		}
	}
}
