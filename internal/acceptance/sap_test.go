package acceptance

import (
	"encoding/json"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/waybill-hub/waybill/internal/systemtest"
)

const capPassword = "pass-word-of-tests"

// sap is SAP's own OData runtime with the model of internal/test/systems/cap.
type sap struct {
	t   *testing.T
	url string
}

func startSAP(t *testing.T) *sap {
	t.Helper()
	return &sap{t, (&systemtest.Script{Name: "cap", Needs: "npm"}).For(t)}
}

// ask sends a request as another client of the runtime does, and gives what it answers.
func (s *sap) ask(method, path, body string) map[string]any {
	s.t.Helper()
	r, err := http.NewRequestWithContext(s.t.Context(), method, s.url+"/odata/v4/"+path, strings.NewReader(body))
	if err != nil {
		s.t.Fatal(err)
	}
	r.SetBasicAuth("hub", capPassword)
	r.Header.Set("Content-Type", "application/json;IEEE754Compatible=true")
	r.Header.Set("Accept", "application/json;IEEE754Compatible=true")
	r.Header.Set("If-Match", "*")
	if method == http.MethodGet || method == http.MethodPost {
		r.Header.Del("If-Match")
	}
	resp, err := http.DefaultClient.Do(r)
	if err != nil {
		s.t.Fatal(err)
	}
	defer resp.Body.Close()
	var out map[string]any
	if resp.StatusCode == http.StatusNoContent {
		return nil
	}
	if err := json.NewDecoder(resp.Body).Decode(&out); err != nil || resp.StatusCode >= 300 {
		s.t.Fatalf("%s %s: %s %v %v", method, path, resp.Status, out, err)
	}
	return out
}

// all gives every object of a set, whose pages may be short.
func (s *sap) all(path string, query ...string) []map[string]any {
	s.t.Helper()
	var out []map[string]any
	next := path + "?" + strings.ReplaceAll(strings.Join(query, "&"), " ", "%20")
	service, _, _ := strings.Cut(path, "/")
	for next != "" {
		page := s.ask(http.MethodGet, next, "")
		list, _ := page["value"].([]any)
		for _, v := range list {
			m, _ := v.(map[string]any)
			out = append(out, m)
		}
		link, _ := page["@odata.nextLink"].(string)
		if next = ""; link != "" {
			if _, err := url.Parse(link); err != nil {
				s.t.Fatal(err)
			}
			next = service + "/" + link
		}
	}
	return out
}
