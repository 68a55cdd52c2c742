package httpclient

import (
	"net/http"
	"net/http/httptest"
	"testing"
	"time"
)

// What the system's clock shows is told from every answer of its own, a failure too; not from what a cache gives again, nor from a date that cannot be read.
func TestTold(t *testing.T) {
	at := time.Date(2031, 3, 1, 12, 0, 0, 0, time.UTC)
	for _, tt := range []struct {
		name      string
		date, age string
		status    int
		told      bool
	}{
		{"an answer", at.Format(http.TimeFormat), "", 200, true},
		{"a failure", at.Format(http.TimeFormat), "", 500, true},
		{"of a cache", at.Format(http.TimeFormat), "0", 200, false},
		{"no date", "yesterday", "", 200, false},
	} {
		var told []time.Time
		cfg := Config{Told: func(at time.Time, passed time.Duration) {
			if passed <= 0 || passed > time.Minute {
				t.Errorf("%s: %s have passed", tt.name, passed)
			}
			told = append(told, at)
		}}
		c, _ := serve(t, cfg, func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Date", tt.date)
			if tt.age != "" {
				w.Header().Set("Age", tt.age)
			}
			w.WriteHeader(tt.status)
		})
		_, err := c.Do(t.Context(), Request{Method: "GET", Path: "orders"})
		if (err != nil) != (tt.status >= 300) {
			t.Fatalf("%s: %v", tt.name, err)
		}
		if got := len(told) == 1 && told[0].Equal(at); got != tt.told || len(told) > 1 {
			t.Errorf("%s: told %v", tt.name, told)
		}
	}
}

// Whoever gives out tokens is not the system.
func TestToldByTheSystemAlone(t *testing.T) {
	p := &idp{}
	tokens := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Date", time.Unix(0, 0).UTC().Format(http.TimeFormat))
		p.ServeHTTP(w, r)
	}))
	t.Cleanup(tokens.Close)
	auth := credentials("header")
	auth.ClientCredentials.TokenURL = tokens.URL + "/token"
	calls := 0
	c, _ := serve(t, Config{Auth: auth, Told: func(at time.Time, _ time.Duration) {
		if calls++; at.Year() == 1970 {
			t.Error("the clock of another one was told")
		}
	}}, func(http.ResponseWriter, *http.Request) {})
	if _, err := c.Do(t.Context(), Request{Method: "GET", Path: "orders"}); err != nil || calls != 1 {
		t.Errorf("%d calls, %v", calls, err)
	}
}
