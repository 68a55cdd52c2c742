package app

import (
	"database/sql"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/waybill-hub/waybill/internal/api"
	"github.com/waybill-hub/waybill/internal/state"
)

// TestAlerts: what is wrong is told once, also over a restart, and again when it is over.
func TestAlerts(t *testing.T) {
	said := make(chan string, 100)
	chat := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		var m struct{ Text string }
		if json.NewDecoder(r.Body).Decode(&m) == nil {
			said <- m.Text
		}
	}))
	t.Cleanup(chat.Close)
	address := filepath.Join(t.TempDir(), "address")
	if err := os.WriteFile(address, []byte(chat.URL+"/T0/secret"), 0o600); err != nil {
		t.Fatal(err)
	}
	w := newLateWorldWith(t, "\nalerts: {after: 0s, every: 0s, to: {ops: {of: [refused, late], slack: {url: \"${file:"+address+"}\"}}}}\n")
	want := func(what string, parts ...string) {
		t.Helper()
		select {
		case text := <-said:
			for _, part := range parts {
				if !strings.Contains(text, part) {
					t.Errorf("%s: %q is missing in %q", what, part, text)
				}
			}
		case <-time.After(time.Minute):
			t.Fatalf("%s: nothing is told", what)
		}
	}
	if all, err := w.hub.Alerts(t.Context()); err != nil || all.Receivers[0].Last != nil {
		t.Errorf("a message was taken before there was any: %+v, %v", all, err)
	}
	resp, err := http.Post("http://"+w.hub.HooksAddr()+"/hooks/shop/orders", "application/json", strings.NewReader(`{}`))
	if err != nil {
		t.Fatal(err)
	}
	_ = resp.Body.Close()
	if resp.StatusCode != 401 {
		t.Fatalf("a webhook without a signature: %d", resp.StatusCode)
	}
	want("a refusal", "1 new", "NEW refused orders (signature)")
	// is waits until the one alert is as it should be.
	is := func(what string, as func(a *api.Alert) bool) {
		t.Helper()
		await(t, what, func() bool {
			all, err := w.hub.Alerts(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			if len(all.Receivers) != 1 || all.Receivers[0].Way != "slack" || all.Receivers[0].Why != "" || len(all.Alerts) > 1 {
				t.Fatalf("%+v", all)
			}
			return len(all.Alerts) == 1 && all.Receivers[0].Last != nil && as(&all.Alerts[0])
		})
	}
	is("that it was told is kept", func(a *api.Alert) bool { return a.What == "refused" && a.Told != nil && a.Gone == nil })
	defer func() {
		audits, err := w.hub.Audits(t.Context(), state.AuditFilter{Action: "test alert"})
		if err != nil || len(audits) == 0 || audits[len(audits)-1].Who != "me" || audits[len(audits)-1].Object != "receiver/ops" || audits[len(audits)-1].Detail != "it was told" {
			t.Errorf("the audit says %+v %v", audits, err)
		}
	}()
	if err := w.hub.TestAlert(t.Context(), "ops", "me"); err != nil {
		t.Fatal(err)
	}
	want("a test", "This is a test")

	if err := w.hub.Stop(t.Context()); err != nil {
		t.Fatal(err)
	}
	w.hub = w.p.start(io.Discard) // which knows nothing of the refusal any more
	is("it is not seen any more", func(a *api.Alert) bool { return a.Gone != nil })
	w.clock.turn(2 * time.Minute)
	want("what is over", "1 over", "OVER refused orders (signature)")
	select {
	case text := <-said:
		t.Errorf("more is told: %q", text)
	default:
	}

	chat.Close()
	if err := w.hub.TestAlert(t.Context(), "ops", "me"); err == nil || strings.Contains(err.Error(), "secret") {
		t.Errorf("a test that gets nowhere: %v", err)
	}
}

// TestAlertsWithoutStore: that the store takes nothing is told, although nothing can be stored of that.
func TestAlertsWithoutStore(t *testing.T) {
	t.Parallel()
	said := make(chan string, 100)
	chat := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		said <- string(body)
	}))
	t.Cleanup(chat.Close)
	address := filepath.Join(t.TempDir(), "address")
	if err := os.WriteFile(address, []byte(chat.URL), 0o600); err != nil {
		t.Fatal(err)
	}
	w := newLateWorldWith(t, "\nalerts: {after: 0s, every: 0s, to: {ops: {of: [hub], slack: {url: \"${file:"+address+"}\"}}}}\n")
	next := func() string {
		t.Helper()
		select {
		case text := <-said:
			return text
		case <-time.After(time.Minute):
			t.Fatalf("nothing is told; the hub: %+v", w.status().Hub)
			return ""
		}
	}
	other, err := sql.Open("sqlite", "file:"+w.hub.plan().Hub.Store.SQLite.Path+"?_pragma=busy_timeout(10000)") // a program that holds the file
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = other.Close() }()
	hold, err := other.Conn(t.Context())
	if err == nil {
		_, err = hold.ExecContext(t.Context(), "BEGIN IMMEDIATE")
	}
	if err != nil {
		t.Fatal(err)
	}
	if text := next(); !strings.Contains(text, "NEW hub store: the store takes nothing") {
		t.Error(text)
	}
	await(t, "it to be known as told", func() bool {
		all, err := w.hub.Alerts(t.Context())
		return err == nil && len(all.Alerts) == 1 && all.Alerts[0].Subject == "store" && all.Alerts[0].Told != nil
	})
	if causes := w.status().Hub.Causes; len(causes) != 1 || causes[0].Of != "store" {
		t.Errorf("%+v", causes)
	}
	if _, err := hold.ExecContext(t.Context(), "ROLLBACK"); err != nil {
		t.Fatal(err)
	}
	await(t, "the store to take what is handed over", func() bool { return w.status().Hub.State == "running" })
	await(t, "it to be seen no more", func() bool {
		all, err := w.hub.Alerts(t.Context())
		return err == nil && len(all.Alerts) == 1 && all.Alerts[0].Gone != nil
	})
	w.clock.turn(2 * time.Minute)
	if text := next(); !strings.Contains(text, "OVER hub store") {
		t.Error(text)
	}
}
