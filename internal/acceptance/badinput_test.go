package acceptance

import (
	"bytes"
	"compress/gzip"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/waybill-hub/waybill/internal/api"
)

// push is a delivery to the scanner's webhook; what is empty is as it should be.
type push struct {
	id, path, method, media, encoding string
	body                              []byte
	at                                time.Time
	secret                            string
	trace                             string // its traceparent
	chunked                           bool   // without saying how long it is
}

func (x push) send(t *testing.T, p *project) (status int, answer string) {
	t.Helper()
	if x.at.IsZero() {
		x.at = time.Now()
	}
	var body io.Reader = bytes.NewReader(x.body)
	if x.chunked {
		body = struct{ io.Reader }{body}
	}
	req, err := http.NewRequestWithContext(t.Context(), or(x.method, http.MethodPost), "http://"+p.hooks+"/hooks/"+or(x.path, "scanner/readings"), body)
	if err != nil {
		t.Fatal(err)
	}
	key, err := base64.StdEncoding.DecodeString(strings.TrimPrefix(or(x.secret, hookSecret), "whsec_"))
	if err != nil {
		t.Fatal(err)
	}
	stamp := strconv.FormatInt(x.at.Unix(), 10)
	mac := hmac.New(sha256.New, key)
	fmt.Fprintf(mac, "%s.%s.%s", x.id, stamp, x.body)
	req.Header.Set("Webhook-Id", x.id)
	req.Header.Set("Webhook-Timestamp", stamp)
	req.Header.Set("Webhook-Signature", "v1,"+base64.StdEncoding.EncodeToString(mac.Sum(nil)))
	req.Header.Set("Content-Type", or(x.media, "application/json"))
	if x.trace != "" {
		req.Header.Set("Traceparent", x.trace)
	}
	if x.encoding != "" {
		req.Header.Set("Content-Encoding", x.encoding)
	}
	client := http.Client{Timeout: 30 * time.Second}
	resp, err := client.Do(req)
	if err != nil {
		// A server that has refused a body may close the connection while the rest is still being sent.
		return 0, err.Error()
	}
	defer resp.Body.Close()
	data, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp.StatusCode, string(data)
}

func or(given, otherwise string) string {
	if given == "" {
		return otherwise
	}
	return given
}

// bomb is gzip of size blanks.
func bomb(t *testing.T, size int) []byte {
	t.Helper()
	var b bytes.Buffer
	z, err := gzip.NewWriterLevel(&b, gzip.BestCompression)
	if err != nil {
		t.Fatal(err)
	}
	block := bytes.Repeat([]byte(" "), 1<<20)
	for range size >> 20 {
		if _, err := z.Write(block); err != nil {
			t.Fatal(err)
		}
	}
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// peak gives the most memory that the process has had, in bytes.
func (h *hub) peak() int64 {
	h.t.Helper()
	data, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", h.cmd.Process.Pid))
	if err != nil {
		return 0 // not Linux
	}
	for line := range strings.Lines(string(data)) {
		if f := strings.Fields(line); len(f) == 3 && f[0] == "VmHWM:" {
			n, err := strconv.ParseInt(f[1], 10, 64)
			if err != nil {
				h.t.Fatal(err)
			}
			return n << 10
		}
	}
	return 0
}

// Whatever is sent, the sender gets a clear answer, what was accepted is delivered or parked with its place, the hub stays as
// it was, and no secret comes out.
func TestBadInput(t *testing.T) {
	t.Parallel()
	p := newReadings(t, nil)
	p.level = "debug"
	h := p.run(t, map[string]string{"SCANNER_SECRET": hookSecret})
	good := func(number string) push { return push{id: "id-" + number, body: []byte(reading(number, 1.5))} }

	if status, answer := good("A-1").send(t, p); status != http.StatusAccepted {
		t.Fatalf("a good delivery: %d %s", status, answer)
	}
	h.await("the first reading", 30*time.Second, func() bool { return slices.Equal(p.ledger(t), []string{"A-1"}) })

	h.badRequests(good)
	h.tooMuch()
	h.badDocuments()
	h.badDrops()

	if status, answer := good("A-2").send(t, p); status != http.StatusAccepted {
		t.Fatalf("a good delivery after all of it: %d %s", status, answer)
	}
	want := []string{"A-1", "A-2", "D-1", "D-3", "D-6", "E-1", "E-3"}
	h.await("all good readings, once each", 30*time.Second, func() bool { return slices.Equal(p.ledger(t), want) && h.status().AtRest() })

	st := h.status()
	checkTotals(t, st)
	if n := st.Totals.Parked; n != 3+4 {
		t.Errorf("%d are parked", n)
	}
	out, stderr, code := waybill(t, p.dir, "status", "--url", "http://"+p.http)
	if code != 0 || !strings.Contains(out, "unaccounted 0") {
		t.Errorf("waybill status: exit %d\n%s%s", code, out, stderr)
	}
	h.noSecrets(hookSecret)
	if code := h.stop(); code != 0 {
		t.Errorf("an orderly stop exits %d", code)
	}
}

// badRequests are refused at the door.
func (h *hub) badRequests(good func(string) push) {
	deep := strings.Repeat(`{"number":`, 10000) + `"X-1"` + strings.Repeat("}", 10000)
	for _, c := range []struct {
		name   string
		push   push
		status int
		says   string
	}{
		{"wrong signature", push{secret: "whsec_" + base64.StdEncoding.EncodeToString([]byte("somebody else's")), body: []byte(reading("X-1", 1))}, 401, "prove"},
		{"stale timestamp", push{at: time.Now().Add(-6 * time.Minute), body: []byte(reading("X-2", 1))}, 401, "clock"},
		{"timestamp of tomorrow", push{at: time.Now().Add(24 * time.Hour), body: []byte(reading("X-2", 1))}, 401, "clock"},
		{"unknown path", push{path: "scanner/reading", body: []byte(reading("X-3", 1))}, 404, ""},
		{"GET", push{method: http.MethodGet}, 405, "POST"},
		{"media type", push{media: "text/xml", body: []byte(reading("X-4", 1))}, 415, "Content-Type"},
		{"character set", push{media: "application/json; charset=gb18030", body: []byte(reading("X-4", 1))}, 415, "UTF-8"},
		{"content encoding", push{encoding: "br", body: []byte(reading("X-4", 1))}, 415, "content encoding"},
		{"no JSON", push{body: []byte(`{"number": "X-5", }`)}, 400, "JSON"},
		{"nothing", push{body: []byte(``)}, 400, "JSON"},
		{"two documents", push{body: []byte(reading("X-5", 1) + reading("X-6", 1))}, 400, "JSON"},
		{"a key twice", push{body: []byte(`{"number":"X-5","amount":1,"amount":2}`)}, 400, "amount"},
		{"bad UTF-8", push{body: []byte("{\"number\":\"X-\xff\",\"amount\":1}")}, 400, "UTF-8"},
		{"10,000 deep", push{body: []byte(deep)}, 400, "deep"},
		{"a huge number", push{body: []byte(reading("X-7", "1e401"))}, 400, "number"},
		{"a long number", push{body: []byte(reading("X-8", strings.Repeat("9", 100000)))}, 400, "number"},
		{"no gzip", push{encoding: "gzip", body: []byte(reading("X-9", 1))}, 400, "Content-Encoding"},
		{"another body", push{id: "id-A-1", body: []byte(reading("A-1", 99))}, 409, "another body"},
		{"the same again", good("A-1"), 202, `"duplicate"`},
	} {
		h.t.Run(c.name, func(t *testing.T) {
			c.push.id = or(c.push.id, "bad-"+strings.ReplaceAll(c.name, " ", "-"))
			status, answer := c.push.send(t, h.p)
			if status != c.status || !strings.Contains(answer, c.says) {
				t.Errorf("%d %s", status, answer)
			}
			var problem api.Problem
			if status >= 400 && (json.Unmarshal([]byte(answer), &problem) != nil || problem.Status != status || len(answer) > 500) {
				t.Errorf("no problem document: %.600s", answer)
			}
		})
	}
}

// tooMuch sends many large bodies and bombs at once: they are refused, and the hub does not grow by them.
func (h *hub) tooMuch() {
	t := h.t
	t.Helper()
	before := h.peak()
	large, bang := bytes.Repeat([]byte(" "), 10<<20), bomb(t, 512<<20)
	if len(bang) > 1<<20 {
		t.Fatalf("the bomb has %d bytes and is refused for that alone", len(bang))
	}
	var wg sync.WaitGroup
	for i := range 24 {
		x := push{id: fmt.Sprintf("large-%d", i), body: large, chunked: i%3 == 1}
		if i%3 == 2 {
			x.body, x.encoding = bang, "gzip"
		}
		wg.Go(func() {
			status, answer := x.send(t, h.p)
			if status == http.StatusServiceUnavailable && strings.Contains(answer, "as many bodies as it can") {
				return // all at once they are more than the hub holds
			}
			if status != http.StatusRequestEntityTooLarge && (status != 0 || x.encoding != "") {
				t.Errorf("%s: %d %s", x.id, status, answer)
			}
		})
	}
	wg.Wait()
	after := h.peak()
	t.Logf("peak memory: %d MiB before, %d MiB after", before>>20, after>>20)
	if before > 0 && after-before > 128<<20 {
		t.Errorf("the hub has grown from %d MiB to %d MiB", before>>20, after>>20)
	}
}

// badDocuments come from a sender that has proved itself: they are accepted, and parked with the place that is wrong.
func (h *hub) badDocuments() {
	t, p := h.t, h.p
	t.Helper()
	for id, c := range map[string]struct{ body, place string }{
		"no-amount":  {`{"number":"B-1"}`, "amount"},
		"wrong-type": {`{"number":"B-2","amount":"much"}`, "amount"},
		"no-object":  {`[{"number":"B-3","amount":-1}]`, "amount"},
	} {
		if status, answer := (push{id: id, body: []byte(c.body)}).send(t, p); status != http.StatusAccepted {
			t.Errorf("%s: %d %s", id, status, answer)
		}
		h.parked(c.place, func(q *api.Queued) bool { return q.Flow == "scanner-readings" && strings.Contains(q.Event, id) })
	}
}

// parked waits until a message is parked whose reason contains text.
func (h *hub) parked(text string, fits func(*api.Queued) bool) {
	h.t.Helper()
	reason := ""
	h.await("parked: "+text, 30*time.Second, func() bool {
		var got struct {
			Parked []api.Queued `json:"parked"`
		}
		if err := h.get("/api/v1/parked?limit=1000", &got); err != nil {
			h.t.Fatal(err)
		}
		for i := range got.Parked {
			if q := &got.Parked[i]; fits(q) {
				reason = q.Reason
				return true
			}
		}
		return false
	})
	if !strings.Contains(reason, text) {
		h.t.Errorf("the reason %q does not say %q", reason, text)
	}
}

// badDrops: a bad row is parked by row and line and the others go on; a file that is no good goes aside.
func (h *hub) badDrops() {
	t, p := h.t, h.p
	t.Helper()
	p.drop(t, "rows.csv", "number,amount\nD-1,10.5\nD-2,ten\nD-3,7\nD-4,1,2,3\n\"D-5,1\nD-6,3\n")
	p.drop(t, "bytes.csv", "number,amount\nE-1,1\nE-\xb2\xe2,2\nE-3,3\n")
	p.drop(t, "columns.csv", "numero;montant\nF-1;1\n")
	for _, place := range []string{"rows.csv: row 2, line 3: ", "rows.csv: row 4, line 5: ", "rows.csv: row 5, line 6: ", "bytes.csv: row 2, line 3: "} {
		h.parked(place, func(q *api.Queued) bool { return q.Flow == "till-readings" && strings.Contains(q.Reason, place) })
	}
	h.await("the files are moved away", 30*time.Second, func() bool {
		done, _ := filepath.Glob(p.path("drop/done/*.csv"))
		failed, _ := filepath.Glob(p.path("drop/failed/*.csv"))
		return len(done) == 2 && len(failed) == 1
	})
	why, err := os.ReadFile(p.path("drop/failed/columns.csv.error"))
	if err != nil || !strings.Contains(string(why), "header") {
		t.Errorf("columns.csv.error: %q, %v", why, err)
	}
}

// noSecrets looks for secrets in everything that the hub shows.
func (h *hub) noSecrets(secrets ...string) {
	t := h.t
	t.Helper()
	shown := map[string]string{"log": h.text()}
	for _, path := range []string{"/api/v1/status", "/api/v1/parked?limit=1000", "/api/v1/messages?key=A-1", "/api/v1/audit", "/metrics", "/openapi.json", "/", "/console/parked", "/console/find?q=A-1"} {
		resp, err := http.Get("http://" + h.p.http + path)
		if err != nil {
			t.Fatal(err)
		}
		data, err := io.ReadAll(resp.Body)
		resp.Body.Close()
		if err != nil {
			t.Fatal(err)
		}
		shown[path] = string(data)
	}
	for _, args := range [][]string{{"check"}, {"check", "--format", "json"}, {"test"}} {
		out, stderr, _ := waybill(t, h.p.dir, args...)
		shown[strings.Join(args, " ")] = out + stderr
	}
	for where, text := range shown {
		for _, s := range secrets {
			raw, err := base64.StdEncoding.DecodeString(strings.TrimPrefix(s, "whsec_"))
			if err != nil {
				t.Fatal(err)
			}
			for _, form := range []string{s, strings.TrimPrefix(s, "whsec_"), string(raw)} {
				if strings.Contains(text, form) {
					t.Errorf("a secret is in %s", where)
				}
			}
		}
	}
}
