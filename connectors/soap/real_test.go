//go:build unix

package soap

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/waybill-hub/waybill/internal/connector"
	"github.com/waybill-hub/waybill/internal/connector/connectortest"
	"github.com/waybill-hub/waybill/internal/fault"
	"github.com/waybill-hub/waybill/internal/systemtest"
)

// TestSOAP runs the suite on a service that npm's soap makes of a WSDL.
func TestSOAP(t *testing.T) {
	url := (&systemtest.Script{Name: "soap", Needs: "npm"}).For(t)
	backDoor := func(t testing.TB, what string, body any) {
		t.Helper()
		b, err := json.Marshal(body)
		if err != nil {
			t.Fatal(err)
		}
		client := http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
		resp, err := client.Post(strings.TrimSuffix(url, "/items")+"/back-door/"+what, "application/json", bytes.NewReader(b))
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		if resp.StatusCode != http.StatusNoContent {
			t.Fatalf("back door %s: %d", what, resp.StatusCode)
		}
	}
	connectortest.Run(t, func(t *testing.T) *connectortest.Subject {
		backDoor(t, "clear", nil)
		s := subject()
		s.Settings = settingsOf(t, config(url, "soap11"))
		put := func(t testing.TB, n int, rev, changed string) string {
			it := map[string]string{"id": fmt.Sprint(1000 + n), "code": fmt.Sprintf("C-%d", n), "rev": rev, "lock": "1"}
			if changed != "" {
				it["changed"] = changed
			}
			backDoor(t, "put", it)
			return it["id"]
		}
		s.Put = func(t testing.TB, n, revision int, stamp time.Time) string {
			return put(t, n, fmt.Sprint(revision), stampText(stamp))
		}
		s.Bare = func(t testing.TB, n, revision int) string { return put(t, n, fmt.Sprint(revision), "") }
		s.Spoil = func(t testing.TB, n int, stamp time.Time) string { return put(t, n, "one", stampText(stamp)) }
		s.Still = func(connector.System, time.Time) {} // nobody stops its clock; its tokens count
		s.Probes = []connectortest.Probe{
			{Name: "well"},
			{Name: "connection refused", Want: fault.Unavailable, Create: fault.Unavailable, Text: "refused", Arrange: func(t testing.TB, set *connector.Settings) {
				*set = settingsOf(t, config("http://127.0.0.1:1", "soap11"))
			}},
		}
		s.Faults = []connectortest.Fault{
			{Name: "a wrong password", Want: fault.Auth, Arrange: func(t testing.TB, set *connector.Settings) {
				*set = settingsOf(t, strings.Replace(config(url, "soap11"), "ITEMS_PASSWORD", "WRONG_PASSWORD", 1))
			}},
			{Name: "a code that is taken", Want: fault.Conflict, Duplicate: true, Arrange: func(t testing.TB, _ *connector.Settings) { put(t, 1, "1", stampText(time.Now())) }},
			{Name: "a code that is missing", Want: fault.Invalid, Call: func(ctx context.Context, sys connector.System, _ *connectortest.Subject) error {
				_, err := sys.(connector.Sink).Write(ctx, connector.Write{Object: "item", Action: connector.Create, Doc: []byte(`{"name":"nameless"}`)})
				if f, _ := fault.As(err); f == nil || f.Field != "code" {
					return fmt.Errorf("the field is not named: %w", err)
				}
				return err
			}},
		}
		return s
	})
}
