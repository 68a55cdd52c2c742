package api

import (
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/waybill-hub/waybill/internal/access"
	"github.com/waybill-hub/waybill/internal/fault"
	"github.com/waybill-hub/waybill/internal/state"
)

// Every act takes a key, and is done once under it; the same again gets the same answer, another request under it does not.
func TestOnce(t *testing.T) {
	bodies := map[string]string{"POST /api/v1/rules/{name}/forget": `{"object":"C1"}`, "POST /api/v1/parked/codes": `{"map":"units","system":"shop","code":"crate","to":"each"}`,
		"POST /api/v1/runs/{id}/cancel": "", "POST /api/v1/runs/{id}/repair": `{"all":true}`, "POST /api/v1/parked/replay": `{"all":true}`, "POST /api/v1/parked/discard": `{"all":true,"note":"x"}`,
		"POST /api/v1/parked/{id}/discard": `{"note":"x"}`, "PUT /api/v1/parked/{id}": `{"data":{"a":1},"note":"x"}`, "POST /api/v1/flows/{name}/rewind": `{"to":"start"}`,
		"POST /api/v1/flows/{name}/files/retake": `{"all":true}`, "POST /api/v1/resend": `{"entity":"order","key":"SO-1"}`, "POST /api/v1/backups": `{"name":"monday"}`,
		"POST /api/v1/links": `{"links":[{"entity":"customer","ids":[{"system":"crm","id":"1"},{"system":"erp","id":"5"}]}]}`}
	ids := map[string]string{"POST /api/v1/replays/{id}/stop": "9", "POST /api/v1/runs/{id}/cancel": "7", "POST /api/v1/runs/{id}/repair": "6", "POST /api/v1/backfills/{id}/cancel": "4"}
	hub := &stub{}
	s := server(hub, Token{Name: "ann", Value: "s3cret", Role: access.Admin}, Token{Name: "bob", Value: "0ther", Role: access.Admin})
	tried := 0
	for _, r := range s.routed {
		method, path, _ := strings.Cut(r.pattern, " ")
		if writes := strings.Contains(path, "/api/") && method != http.MethodGet && !strings.HasSuffix(path, "/preview"); writes != r.acts {
			t.Errorf("%s: takes a key %v", r.pattern, r.acts)
		}
		if !r.acts {
			continue
		}
		tried++
		id := ids[r.pattern]
		if id == "" {
			id = "1"
		}
		path = strings.NewReplacer("{id}", id, "{name}", map[bool]string{true: "terms", false: "a"}[strings.HasSuffix(path, "/forget")], "{receiver}", "ops").Replace(path)
		ask := func(token, key, body string) (int, string, string) {
			w := call(s, method, path, body, func(r *http.Request) {
				r.Header.Set("Authorization", "Bearer "+token)
				r.Header.Set("If-Match", "*")
				r.Header.Set(KeyHeader, key)
			})
			return w.Code, w.Body.String(), w.Header().Get(ReplayedHeader)
		}
		key := fmt.Sprintf("request-%d", tried)
		code, first, replayed := ask("s3cret", key, bodies[r.pattern])
		acts := len(hub.acts)
		if code >= 300 || replayed != "" {
			t.Errorf("%s: %d %s %s", r.pattern, code, first, replayed)
		}
		if again, second, replayed := ask("s3cret", `"`+key+`"`, bodies[r.pattern]); again != code || second != first || replayed != "true" || len(hub.acts) != acts {
			t.Errorf("%s again: %d %s %s, acts %q", r.pattern, again, second, replayed, hub.acts)
		}
		if code, said, _ := ask("s3cret", key, bodies[r.pattern]+" "); code != 422 || !strings.Contains(said, "another request was made under this Idempotency-Key") || len(hub.acts) != acts {
			t.Errorf("%s, another under its key: %d %s", r.pattern, code, said)
		}
		if code, _, replayed := ask("0ther", key, bodies[r.pattern]); code >= 300 || replayed != "" {
			t.Errorf("%s of another person: %d", r.pattern, code)
		}
	}
	if tried < 20 {
		t.Errorf("%d acts were tried", tried)
	}
}

// What was refused was not done, and may be asked again; what has not ended is not done a second time; a key that is none is refused.
func TestOnceRefused(t *testing.T) {
	hub := &stub{}
	s := server(hub)
	match := "*"
	ask := func(key, body string) (int, string) {
		w := call(s, "POST", "/api/v1/parked/1/discard", body, func(r *http.Request) { r.Header.Set(KeyHeader, key); r.Header.Set("If-Match", match) })
		return w.Code, w.Body.String()
	}
	for _, key := range []string{"", "short", strings.Repeat("a", 65), "with a blank in it", "\"", "ünicode-key"} {
		if code, said := ask(key, `{"note":"x"}`); code != 400 || !strings.Contains(said, "and has 8 to 64") {
			t.Errorf("%q: %d %s", key, code, said)
		}
	}
	if code, said := ask("a-request", ""); code != 400 || !strings.Contains(said, "say why") {
		t.Errorf("refused: %d %s", code, said)
	}
	if code, _ := ask("a-request", `{"note":"x"}`); code != 202 || len(hub.acts) != 1 {
		t.Errorf("asked again: %d, acts %q", code, hub.acts)
	}
	match = `"1-4"`
	if code, said := ask("a-request", `{"note":"x"}`); code != 422 || len(hub.acts) != 1 {
		t.Errorf("of another state of the message: %d %s", code, said)
	}
	match = "*"
	if code, said := ask("too-large-a-one", `{"note":"`+strings.Repeat("x", maxEdit)+`"}`); code != 413 {
		t.Errorf("a large one: %d %.100s", code, said)
	}
	for err, want := range map[error]int{fault.New(fault.UnknownOutcome, "the store has not answered"): 409, fault.New(fault.Unavailable, "the store is away"): 202} {
		key := fmt.Sprint("failed-", want)
		hub.refuses = err
		if code, _ := ask(key, `{"note":"x"}`); code != 503 {
			t.Errorf("%v: %d", err, code)
		}
		hub.acts, hub.refuses = nil, nil
		if code, said := ask(key, `{"note":"x"}`); code != want || (len(hub.acts) == 0) != (want == 409) {
			t.Errorf("%v, asked again: %d %s, acts %q", err, code, said, hub.acts)
		}
	}
	hub.acts = nil
	cut := state.Request{Who: "local", Key: "cut-short", Sum: hub.requests["local/a-request"].Sum}
	hub.requests["local/cut-short"] = cut
	if code, said := ask("cut-short", `{"note":"x"}`); code != 409 || !strings.Contains(said, "Look in the audit whether it was done") || len(hub.acts) != 0 {
		t.Errorf("cut short: %d %s", code, said)
	}
}
