package rest

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/waybill-hub/waybill/internal/connector"
	"github.com/waybill-hub/waybill/internal/connector/connectortest"
	"github.com/waybill-hub/waybill/internal/fault"
)

// depot is a shop that also takes many items in one request, and counts the items of each.
type depot struct {
	*shop
	mu     sync.Mutex
	lots   []int
	whole  func(w http.ResponseWriter, n int) bool     // answers in place of all
	turned bool                                        // the results come the other way round
	result func(n int, status int, body string) string // writes one result
}

func newDepot(t testing.TB) *depot {
	d := &depot{shop: newShop(t, "page"), result: func(_, status int, body string) string { return fmt.Sprintf(`{"status":%d,"body":%s}`, status, body) }}
	srv := httptest.NewServer(d)
	t.Cleanup(srv.Close)
	d.url = srv.URL
	return d
}

func (d *depot) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, _ := io.ReadAll(r.Body)
	if r.URL.Path != "/api/items/bulk" {
		var doc map[string]any
		if json.Unmarshal(body, &doc) == nil {
			body, _ = json.Marshal(unwrapped(doc))
		}
		r.Body = io.NopCloser(bytes.NewReader(body))
		d.shop.ServeHTTP(w, r)
		return
	}
	var asked struct {
		Batch struct {
			Inputs []map[string]any `json:"inputs"`
		} `json:"batch"`
	}
	if err := json.Unmarshal(body, &asked); err != nil {
		fail(w, 400, "BAD_JSON", err.Error())
		return
	}
	d.mu.Lock()
	d.lots = append(d.lots, len(asked.Batch.Inputs))
	d.mu.Unlock()
	if d.whole != nil && d.whole(w, len(asked.Batch.Inputs)) {
		return
	}
	var results []string
	for i, in := range asked.Batch.Inputs {
		method, path := "POST", "/api/items"
		in = unwrapped(in)
		if id, ok := in["id"].(string); ok {
			method, path = "PATCH", "/api/items/"+id
			delete(in, "id")
		}
		doc, _ := json.Marshal(in)
		one := httptest.NewRequest(method, path, bytes.NewReader(doc))
		one.Header.Set("X-Key", r.Header.Get("X-Key"))
		said := httptest.NewRecorder()
		d.shop.ServeHTTP(said, one)
		results = append(results, d.result(i, said.Code, strings.TrimSpace(said.Body.String())))
	}
	if d.turned {
		slices.Reverse(results)
	}
	w.WriteHeader(207)
	fmt.Fprintf(w, `{"data":{"results":[%s]}}`, strings.Join(results, ","))
}

// unwrapped is a document without what the settings wrap around it.
func unwrapped(doc map[string]any) map[string]any {
	if in, ok := doc["properties"].(map[string]any); ok {
		return in
	}
	return doc
}

const bulky = `
wrap: properties
bulk: {path: items/bulk, items: batch.inputs, size: 3, results: data.results, status: status, body: body}`

// open opens a system on the depot whose creates and updates may go together; more are lines of the object.
func (d *depot) open(t testing.TB, bulk, more string) *system {
	t.Helper()
	bulk = strings.ReplaceAll(strings.TrimSpace(bulk), "\n", ", ")
	sys, err := Kind{}.Open(t.Context(), settingsOf(t, strings.Replace(config(d.url, common+more+fmt.Sprintf("\ncreate: {%s}\nupdate: {%s}", bulk, bulk)), "    idempotency-header: Idempotency-Key\n", "", 1)))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = sys.Close() })
	return sys.(*system)
}

// together makes writes that wait together, in their order, and gives each one's answer.
func together(t testing.TB, sys *system, ctxs map[int]context.Context, writes []connector.Write) ([]connector.Result, []error) {
	t.Helper()
	results, errs := make([]connector.Result, len(writes)), make([]error, len(writes))
	release := sys.bulk.Hold()
	var all sync.WaitGroup
	for i, w := range writes {
		ctx := ctxs[i]
		if ctx == nil {
			ctx = t.Context()
		}
		all.Go(func() { results[i], errs[i] = sys.Write(ctx, w) })
		for sys.bulk.Waiting() <= i {
			runtime.Gosched()
		}
	}
	release()
	all.Wait()
	return results, errs
}

func making(codes ...int) (all []connector.Write) {
	for _, n := range codes {
		all = append(all, connector.Write{Object: "item", Action: connector.Create, External: fmt.Sprint("ext-", n), Doc: []byte(newDoc(n))})
	}
	return all
}

func kinds(errs []error) string {
	var all []string
	for _, err := range errs {
		switch e, ok := fault.As(err); {
		case err == nil:
			all = append(all, "done")
		case ok && e.Duplicate:
			all = append(all, "double")
		default:
			all = append(all, fault.KindOf(err).String())
		}
	}
	return strings.Join(all, ", ")
}

// What waits goes in one request, and each has its own answer; one that comes alone goes as one.
func TestBulk(t *testing.T) {
	d := newDepot(t)
	d.outside(7, 1, time.Now())
	sys := d.open(t, bulky, "")
	results, errs := together(t, sys, nil, making(1, 7, 2))
	if got := kinds(errs); got != "done, double, done" || fmt.Sprint(d.lots) != "[3]" {
		t.Fatalf("%s in %v: %v", got, d.lots, errors.Join(errs...))
	}
	for i, n := range map[int]int{0: 1, 2: 2} {
		it := d.items[results[i].Local]
		if it["code"] != fmt.Sprintf("C-%d", n) || it["externalId"] != fmt.Sprint("ext-", n) || !strings.Contains(string(results[i].Doc), fmt.Sprintf(`"C-%d"`, n)) || results[i].Status != "201" {
			t.Errorf("%d is %v, told is %+v", n, it, results[i])
		}
	}
	if e, _ := fault.As(errs[1]); e.System != "shop" || e.Op != "create item" || e.Code != "422 DUPLICATE_CODE" || e.Err.Error() != "the code is taken" || !strings.Contains(string(e.Answer), "the code is taken") {
		t.Errorf("the failure of one: %+v", e)
	}
	change := func(i int, doc string) connector.Write {
		return connector.Write{Object: "item", Action: connector.Update, Local: results[i].Local, Doc: []byte(doc)}
	}
	gone := connector.Write{Object: "item", Action: connector.Update, Local: "404", Doc: []byte(`{"name":"x"}`)}
	// A token in a header has no place in a document, and creates do not go with updates.
	guarded := change(0, `{"name":"guarded"}`)
	guarded.ETag = `"v1"`
	if _, err := sys.Write(t.Context(), guarded); err != nil {
		t.Fatal(err)
	}
	_, errs = together(t, sys, nil, append([]connector.Write{change(0, `{"price":3.50}`), gone, change(2, `{"name":"new"}`)}, making(3)...))
	if got := kinds(errs); got != "done, not-found, done, done" || fmt.Sprint(d.lots) != "[3 3]" {
		t.Errorf("%s in %v: %v", got, d.lots, errors.Join(errs...))
	}
	if a, b := d.items[results[0].Local], d.items[results[2].Local]; fmt.Sprint(a["price"]) != "3.5" || a["name"] != "guarded" || a["code"] != "C-1" || b["name"] != "new" {
		t.Errorf("items: %v %v", a, b)
	}
	if _, errs = together(t, sys, nil, making(4, 5, 6, 8, 9)); kinds(errs) != "done, done, done, done, done" || fmt.Sprint(d.lots) != "[3 3 3 2]" {
		t.Errorf("%s in %v", kinds(errs), d.lots)
	}
	if _, errs = together(t, sys, nil, making(10)); kinds(errs) != "done" || len(d.lots) != 4 {
		t.Errorf("one alone: %s in %v", kinds(errs), d.lots)
	}
}

// What an answer to all means for each, and what is sent again.
func TestBulkAnswers(t *testing.T) {
	simple := strings.ReplaceAll(bulky, ", status: status, body: body", "")
	says := func(status int, body string) func(http.ResponseWriter, int) bool {
		return func(w http.ResponseWriter, _ int) bool { w.WriteHeader(status); io.WriteString(w, body); return true }
	}
	for name, c := range map[string]struct {
		bulk   string
		whole  func(w http.ResponseWriter, n int) bool
		result func(n, status int, body string) string
		want   string
		lots   string
		alone  int
	}{
		"refused as a whole: each says alone what is wrong": {bulky, says(400, `{"error":{"message":"one of them is wrong"}}`), nil, "done, double, done", "[3]", 3},
		"the path is not there":                             {bulky, says(404, ``), nil, "done, double, done", "[3]", 3},
		"down":                                              {bulky, says(503, ``), nil, "unavailable, unavailable, unavailable", "[3]", 0},
		"too many":                                          {bulky, says(429, ``), nil, "rate-limited, rate-limited, rate-limited", "[3]", 0},
		"credentials":                                       {bulky, says(401, ``), nil, "auth, auth, auth", "[3]", 0},
		"it fails":                                          {bulky, says(500, ``), nil, "unknown-outcome, unknown-outcome, unknown-outcome", "[3]", 0},
		"no list":                                           {bulky, says(200, `{"data":"queued"}`), nil, "unknown-outcome, unknown-outcome, unknown-outcome", "[3]", 0},
		"a list of others":                                  {bulky, says(200, `{"data":{"results":[{"status":201,"body":{"id":"1"}}]}}`), nil, "unknown-outcome, unknown-outcome, unknown-outcome", "[3]", 0},
		"a web page":                                        {bulky, says(200, `<html>Log in</html>`), nil, "unknown-outcome, unknown-outcome, unknown-outcome", "[3]", 0},
		"results under a refusal":                           {bulky, says(422, `{"data":{"results":[{"status":201,"body":{"id":"1"}},{"status":422,"body":{}},{"status":503,"body":{}}]}}`), nil, "done, invalid, unavailable", "[3]", 0},
		"no status":                                         {bulky, nil, func(_, _ int, body string) string { return `{"body":` + body + `}` }, "unknown-outcome, unknown-outcome, unknown-outcome", "[3]", 0},
		"nothing in place of a result":                      {simple, nil, func(int, int, string) string { return `null` }, "unknown-outcome, unknown-outcome, unknown-outcome", "[3]", 0},
		"success told without a status":                     {simple, nil, salesforce, "done, invalid, done", "[3]", 0},
		"a rule of success":                                 {simple + "\nsuccess: {path: done, in: [true]}", nil, func(n, _ int, _ string) string { return fmt.Sprintf(`{"id":"9%d","done":%v}`, n, n != 1) }, "done, invalid, done", "[3]", 0},
		"an id that is missing in a result":                 {simple, nil, func(n, _ int, _ string) string { return []string{`{"id":"5"}`, `{}`, `{"id":"6"}`}[n] }, "done, unknown-outcome, done", "[3]", 0},
	} {
		t.Run(name, func(t *testing.T) {
			d := newDepot(t)
			d.outside(7, 1, time.Now())
			d.whole = c.whole
			if c.result != nil {
				d.result = c.result
			}
			sys := d.open(t, c.bulk, "")
			var log strings.Builder
			sys.log = slog.New(slog.NewTextHandler(&log, nil))
			results, errs := together(t, sys, nil, making(1, 7, 2))
			if got := kinds(errs); got != c.want || fmt.Sprint(d.lots) != c.lots {
				t.Errorf("%s in %v, want %s: %v", got, d.lots, c.want, errors.Join(errs...))
			}
			for i, err := range errs {
				if (err == nil) != (results[i].Local != "") {
					t.Errorf("%d: %v, and the id is %q", i, err, results[i].Local)
				}
			}
			if told := strings.Count(log.String(), "refused as a whole"); (told > 0) != (c.alone > 0) || told > 1 {
				t.Errorf("the log tells %d times that it was refused as a whole:\n%s", told, &log)
			}
			alone := 0
			for _, r := range d.shop.requests {
				if r == "POST /api/items" {
					alone++
				}
			}
			if c.result == nil && alone != c.alone {
				t.Errorf("%d were sent alone, want %d: %v", alone, c.alone, d.shop.requests)
			}
		})
	}
}

// Results in another order are not believed, whichever object they show: nothing is taken for what it is not, and what failed is not taken for another's.
func TestBulkResultsInAnotherOrder(t *testing.T) {
	simple := strings.ReplaceAll(bulky, ", status: status, body: body", "")
	for name, c := range map[string]struct {
		bulk   string
		turned bool
		result func(n, status int, body string) string
		want   string
		update string
	}{
		"in order":                        {bulky, false, nil, "done, double, done", "done, not-found, done"},
		"the other way round":             {bulky, true, nil, "unknown-outcome, unknown-outcome, unknown-outcome", "unknown-outcome, unknown-outcome, unknown-outcome"},
		"one id for several":              {simple, false, func(int, int, string) string { return `{"id":"77","success":true}` }, "unknown-outcome, unknown-outcome, unknown-outcome", "unknown-outcome, unknown-outcome, unknown-outcome"},
		"nothing shows whose a result is": {simple, true, func(n, _ int, _ string) string { return fmt.Sprintf(`{"ref":"x","key":"%d"}`, n) }, "unknown-outcome, unknown-outcome, unknown-outcome", "done, done, done"},
	} {
		t.Run(name, func(t *testing.T) {
			d := newDepot(t)
			d.outside(7, 1, time.Now())
			for n := 21; n <= 23; n++ {
				d.outside(n, 1, time.Now())
			}
			if c.result != nil {
				d.result = c.result
			}
			d.turned = c.turned
			sys := d.open(t, c.bulk, "")
			if _, errs := together(t, sys, nil, making(1, 7, 2)); kinds(errs) != c.want {
				t.Errorf("creates: %s, want %s: %v", kinds(errs), c.want, errors.Join(errs...))
			}
			var changes []connector.Write
			for _, id := range []string{"1021", "404", "1023"} {
				changes = append(changes, connector.Write{Object: "item", Action: connector.Update, Local: id, Doc: []byte(`{"name":"new"}`)})
			}
			if _, errs := together(t, sys, nil, changes); kinds(errs) != c.update {
				t.Errorf("updates: %s, want %s: %v", kinds(errs), c.update, errors.Join(errs...))
			}
		})
	}
}

// salesforce writes a result as that service does.
func salesforce(n, status int, _ string) string {
	if status > 299 {
		return `{"success":false,"errors":[{"statusCode":"DUPLICATE_VALUE","message":"the code is taken","fields":["code"]}]}`
	}
	return fmt.Sprintf(`{"id":"001%d","success":true,"errors":[]}`, n)
}

// One that is not the hub's to send any more is not sent, and those beside it are. So is one that nobody waits for any more.
func TestBulkWithOneThatIsNotSent(t *testing.T) {
	d := newDepot(t)
	sys := d.open(t, bulky, "")
	replaced := errors.New("replaced")
	fenced := connector.WithFence(t.Context(), func(context.Context) error { return replaced })
	_, errs := together(t, sys, map[int]context.Context{1: fenced}, making(1, 2, 3))
	if errs[0] != nil || !errors.Is(errs[1], replaced) || fault.KindOf(errs[1]) != fault.Unavailable || errs[2] != nil || fmt.Sprint(d.lots) != "[2]" {
		t.Errorf("%v in %v", errs, d.lots)
	}
	ctx, cancel := context.WithCancel(t.Context())
	release := sys.bulk.Hold()
	ended := make(chan error)
	go func() { _, err := sys.Write(ctx, making(4)[0]); ended <- err }()
	for sys.bulk.Waiting() == 0 {
		runtime.Gosched()
	}
	cancel()
	if err := <-ended; !errors.Is(err, context.Canceled) || fault.KindOf(err) != fault.Unavailable {
		t.Errorf("one that waits no longer: %v", err)
	}
	release()
	for _, it := range d.items {
		if it["code"] == "C-2" || it["code"] == "C-4" {
			t.Errorf("%v was sent", it["code"])
		}
	}
}

// A request is cut off when nobody waits for any of it, and not before.
func TestBulkIsCutOffWhenAllHaveGone(t *testing.T) {
	d := newDepot(t)
	came, over := make(chan struct{}), make(chan struct{})
	d.whole = func(http.ResponseWriter, int) bool { close(came); <-over; return false }
	sys := d.open(t, bulky, "")
	first, leave := context.WithCancel(t.Context())
	second, leaveToo := context.WithCancel(t.Context())
	go func() {
		<-came
		leave()
		leaveToo()
	}()
	_, errs := together(t, sys, map[int]context.Context{0: first, 1: second}, making(1, 2))
	close(over)
	if got := kinds(errs); got != "unknown-outcome, unknown-outcome" {
		t.Errorf("%s: %v", got, errs)
	}

	d = newDepot(t)
	first, leave = context.WithCancel(t.Context())
	d.whole = func(http.ResponseWriter, int) bool { leave(); return false }
	if _, errs = together(t, d.open(t, bulky, ""), map[int]context.Context{0: first}, making(1, 2)); kinds(errs) != "done, done" {
		t.Errorf("one has gone: %s (%v)", kinds(errs), errs)
	}
}

// A request has a bounded size: what does not fit goes in the next one.
func TestBulkIsBounded(t *testing.T) {
	d := newDepot(t)
	sys := d.open(t, bulky, "")
	writes := making(1, 2, 3)
	for i := range 2 {
		writes[i].Doc = fmt.Appendf(nil, `{"code":"C-%d","name":"%s"}`, i+1, strings.Repeat("x", mostBulkBytes/2-20))
	}
	if _, errs := together(t, sys, nil, writes); kinds(errs) != "done, done, done" || fmt.Sprint(d.lots) != "[2]" {
		t.Errorf("%s in %v", kinds(errs), d.lots)
	}
}

// With bulk, single calls are what they were.
func TestConformanceBesideBulk(t *testing.T) {
	connectortest.Run(t, func(t *testing.T) *connectortest.Subject {
		d := newDepot(t)
		bulk := strings.ReplaceAll(strings.TrimSpace(strings.TrimPrefix(strings.TrimSpace(bulky), "wrap: properties")), "\n", ", ")
		text := config(d.url, list("page", "")+fmt.Sprintf("\ncreate: {%s}\nupdate: {%s}", bulk, bulk))
		return subject(t, d.shop, settingsOf(t, strings.Replace(text, "    idempotency-header: Idempotency-Key\n", "", 1)))
	})
}
