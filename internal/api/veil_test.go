package api

import (
	"context"
	"net/http"
	"strings"
	"testing"

	"github.com/waybill-hub/waybill/internal/access"
	"github.com/waybill-hub/waybill/internal/state"
)

// looking is a hub with a run that has looked at one object alone, whose key is personal data.
type looking struct{ stub }

const soughtKey = "ann@a.example"

func (*looking) RunByID(_ context.Context, id int64) (*state.Comparison, error) {
	return &state.Comparison{ID: id, Name: "people", Kind: state.RunRule, State: state.RunDrift, Detail: soughtKey + " is in neither", Options: state.CompareOptions{Key: soughtKey}}, nil
}

func (*looking) Differences(_ context.Context, f state.DifferenceFilter) ([]state.Difference, error) {
	if f.After > 0 {
		return nil, nil
	}
	return []state.Difference{{N: 1, Kind: state.DiffDifferent, Key: soughtKey}}, nil
}

func (*looking) Veil(answer []byte, about string) ([]byte, bool) {
	if about != "person" {
		return answer, true
	}
	return []byte(strings.ReplaceAll(string(answer), soughtKey, "***")), true
}

// A report shows no key below operator: not in its differences, and not in what it says of the run.
func TestReportBelowOperator(t *testing.T) {
	s := server(&looking{}, Token{Name: "vic", Value: "s3cret", Role: access.Viewer}, Token{Name: "olga", Value: "0ther", Role: access.Operator})
	for _, format := range []string{"json", "csv"} {
		for token, sees := range map[string]bool{"s3cret": false, "0ther": true} {
			w := call(s, "GET", "/api/v1/runs/6/report?format="+format, "", func(r *http.Request) { r.Header.Set("Authorization", "Bearer "+token) })
			if w.Code != 200 || strings.Contains(w.Body.String(), soughtKey) != sees || !strings.Contains(w.Body.String(), "is in neither") {
				t.Errorf("%s of %s: %d %s", format, token, w.Code, w.Body)
			}
		}
	}
}
