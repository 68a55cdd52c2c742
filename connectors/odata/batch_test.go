package odata

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"runtime"
	"strings"
	"sync"
	"testing"

	"github.com/waybill-hub/waybill/internal/connector"
	"github.com/waybill-hub/waybill/internal/fault"
	"github.com/waybill-hub/waybill/internal/gather"
	"github.com/waybill-hub/waybill/internal/httpclient"
)

// atOnce makes writes that wait at the same time, and gives what became of each. as gives the context of one.
func (s *trader) atOnce(as func(i int) context.Context, writes ...connector.Write) ([]connector.Result, []error) {
	s.t.Helper()
	release := s.sys.queue.Hold()
	results, errs := make([]connector.Result, len(writes)), make([]error, len(writes))
	var all sync.WaitGroup
	for i, w := range writes {
		ctx := context.Background()
		if as != nil {
			ctx = as(i)
		}
		all.Go(func() { results[i], errs[i] = s.sys.Write(ctx, w) })
		for s.sys.queue.Waiting() <= i {
			runtime.Gosched()
		}
	}
	release()
	all.Wait()
	return results, errs
}

func orders(n int, bad ...int) (writes []connector.Write) {
	for i := range n {
		doc := fmt.Sprintf(`{"Code":"C-%d","Items":[{"Item":"10","Product":"P"}]}`, i)
		for _, b := range bad {
			if b == i {
				doc = `{"Code":"C-0"}` // as the first one
			}
		}
		writes = append(writes, connector.Write{Object: "order", Action: connector.Create, External: fmt.Sprintf("7f3e0000-0000-5000-8000-%012d", i), Doc: []byte(doc)})
	}
	return writes
}

func batches(asked []string) (n int) {
	for _, r := range asked {
		if strings.HasSuffix(r, "$batch") {
			n++
		}
	}
	return n
}

// TestEachAnswersForItself: of many changes in one request each is done or refused alone.
func TestEachAnswersForItself(t *testing.T) {
	for _, v := range []struct {
		version int
		system  string
	}{{4, ""}, {2, ""}, {4, "batch: {format: json}"}} {
		d, s := shopOf(t, v.version, v.system, "")
		s.create("order", "", `{"Code":"first"}`) // it knows the token by now
		d.asked()
		results, errs := s.atOnce(nil, orders(9, 3, 8)...)
		for i, err := range errs {
			f, _ := fault.As(err)
			switch bad := i == 3 || i == 8; {
			case bad && (f == nil || f.Kind != fault.Conflict || !f.Duplicate || !strings.Contains(f.Code, "M3/018")):
				t.Errorf("V%d %s: %d: %v", v.version, v.system, i, err)
			case !bad && (err != nil || results[i].Local == "" || parsed(t, string(results[i].Doc)).Get("Code").Str() != fmt.Sprintf("C-%d", i)):
				t.Errorf("V%d %s: %d: %+v, %v", v.version, v.system, i, results[i], err)
			}
		}
		if asked := d.asked(); batches(asked) != 1 || len(asked) != 1 {
			t.Errorf("V%d %s: asked %q, want one batch", v.version, v.system, asked)
		}
		var changes []connector.Write
		for i, r := range results {
			if i == 3 || i == 8 {
				continue
			}
			w := connector.Write{Object: "order", Local: r.Local, Action: connector.Update, Doc: []byte(`{"Name":"changed"}`)}
			switch i {
			case 1:
				w = connector.Write{Object: "order", Local: r.Local, Action: connector.Delete}
			case 2:
				w.Local = "4711"
			case 4:
				w.ETag = `W/"old"`
			case 5:
				w.ETag = r.ETag
			}
			changes = append(changes, w)
		}
		_, errs = s.atOnce(nil, changes...)
		want := []fault.Kind{fault.None, fault.None, fault.NotFound, fault.Conflict, fault.None, fault.None, fault.None}
		for i, err := range errs {
			if fault.KindOf(err) != want[i] {
				t.Errorf("V%d %s: change %d: %v, want %v", v.version, v.system, i, err, want[i])
			}
		}
	}
}

// TestBatchThatEnds: what stands behind the end of a batch is not taken for done: changes are sent again, and of creates nobody knows; after that they go alone.
func TestBatchThatEnds(t *testing.T) {
	d, s := shopOf(t, 2, "", "")
	d.stops = true
	s.create("order", "", `{"Code":"C-0"}`)
	id := s.create("order", "", `{"Code":"other"}`)
	writes := append(orders(4, 1)[1:], connector.Write{Object: "order", Local: id, Action: connector.Update, Doc: []byte(`{"Name":"changed"}`)})
	_, errs := s.atOnce(nil, writes...)
	for i, want := range []fault.Kind{fault.Conflict, fault.UnknownOutcome, fault.UnknownOutcome, fault.None} {
		if fault.KindOf(errs[i]) != want {
			t.Errorf("%d: %v, want %v", i, errs[i], want)
		}
	}
	s.wants("order", id, `{"Name":"changed"}`)
	b, err := s.sys.bound(t.Context(), "order", "")
	if err != nil || s.sys.together(&change{b: b, creating: true}) || !s.sys.together(&change{b: b}) {
		t.Errorf("creates go together with others again, or changes do not: %v", err)
	}
}

// TestBatchIsBounded: what would make a request too long, and what is about another service, goes in the next one.
func TestBatchIsBounded(t *testing.T) {
	one, two := &bound{svc: newService("a")}, &bound{svc: newService("b")}
	half := make([]byte, mostBatchBytes/2)
	lot := []*change{{b: one, calls: []call{{body: half}}}}
	if !fitsLot(lot, &change{b: one, calls: []call{{body: half}}}) || fitsLot(lot, &change{b: one, calls: []call{{body: half}, {body: []byte("x")}}}) || fitsLot(lot, &change{b: two}) {
		t.Error("the bounds of a batch are not kept")
	}
}

// TestBatchRefused: a service without $batch gets each change alone, but what must be made as a whole.
func TestBatchRefused(t *testing.T) {
	d, s := shopOf(t, 4, "", "")
	id := s.create("order", "", strings.Replace(twoLines, "C-1", "own", 1))
	d.refuse = func(w http.ResponseWriter, r *http.Request) bool {
		is := strings.HasSuffix(r.URL.Path, "$batch")
		if is {
			d.fail(w, 404, "NO_BATCH", "no such resource")
		}
		return is
	}
	results, errs := s.atOnce(nil, orders(3)[1:]...)
	for i := range results {
		if errs[i] != nil || results[i].Local == "" {
			t.Errorf("%d: %v", i, errs[i])
		}
	}
	_, err := s.write(connector.Write{Object: "order", Local: id, Action: connector.Update, Doc: []byte(`{"Name":"x","Items":[{"Item":"20","Product":"Z"}]}`)})
	if fault.KindOf(err) != fault.Invalid || !strings.Contains(err.Error(), "set batch.format to none") {
		t.Errorf("an order with its lines: %v", err)
	}
	for status, want := range map[int]fault.Kind{503: fault.Unavailable, 500: fault.UnknownOutcome, 401: fault.Auth, 429: fault.RateLimited} {
		d.refuse = func(w http.ResponseWriter, r *http.Request) bool {
			is := strings.HasSuffix(r.URL.Path, "$batch")
			if is {
				d.fail(w, status, "X", "not now")
			}
			return is
		}
		_, s := d, openTrader(t, settingsOf(t, config(d.url, "", "")))
		_, errs := s.atOnce(nil, orders(6)[4:]...)
		for _, err := range errs {
			if fault.KindOf(err) != want {
				t.Errorf("%d: %v, want %v", status, err, want)
			}
		}
	}
}

// TestFenceInABatch: what is not the hub's to change any more is left out, and the others go.
func TestFenceInABatch(t *testing.T) {
	d, s := shopOf(t, 4, "", "")
	replaced := errors.New("another hub has taken over")
	_, errs := s.atOnce(func(i int) context.Context {
		return connector.WithFence(t.Context(), func(context.Context) error {
			if i == 1 {
				return replaced
			}
			return nil
		})
	}, orders(3)...)
	if errs[0] != nil || errs[2] != nil || !errors.Is(errs[1], replaced) || fault.KindOf(errs[1]) != fault.Unavailable {
		t.Errorf("%v", errs)
	}
	if n := len(d.rows["Orders"]); n != 2 {
		t.Errorf("%d orders are there", n)
	}
}

// TestBatchAnswers: what an answer to a batch does not say is not believed, and a change of which one part was refused is not done, whatever the others say.
func TestBatchAnswers(t *testing.T) {
	const http201 = "HTTP/1.1 201 Created\r\nContent-Type: application/json\r\n\r\n{\"Order\":\"1\"}\r\n"
	part := func(content string) string { return "Content-Type: application/http\r\n\r\n" + content }
	set := func(parts ...string) string {
		return "Content-Type: multipart/mixed; boundary=c\r\n\r\n--c\r\n" + strings.Join(parts, "--c\r\n") + "--c--\r\n"
	}
	whole := func(parts ...string) string { return "--b\r\n" + strings.Join(parts, "--b\r\n") + "--b--\r\n" }
	failed := part("HTTP/1.1 400 Bad Request\r\nContent-Type: application/json\r\n\r\n{\"error\":{\"code\":\"X\",\"message\":\"line 20\"}}\r\n")
	for name, c := range map[string]struct {
		contentType, body string
		want              fault.Kind
		text              string
	}{
		"both done":               {"multipart/mixed; boundary=b", whole(set(part(http201), part(http201))), fault.None, ""},
		"the set refused as one":  {"multipart/mixed; boundary=b", whole(failed), fault.Invalid, "line 20"},
		"the second refused":      {"multipart/mixed; boundary=b", whole(set(part(http201), failed)), fault.Invalid, "line 20"},
		"one answer for two":      {"multipart/mixed; boundary=b", whole(set(part(http201))), fault.UnknownOutcome, "1 results for 2 requests"},
		"no answer":               {"multipart/mixed; boundary=b", "--b--\r\n", fault.UnknownOutcome, "says nothing"},
		"more answers":            {"multipart/mixed; boundary=b", whole(set(part(http201), part(http201)), set(part(http201))), fault.UnknownOutcome, "more parts"},
		"cut off":                 {"multipart/mixed; boundary=b", "--b\r\nContent-Type: multipart/mixed; boundary=c\r\n\r\n--c\r\n" + part(http201), fault.UnknownOutcome, "cannot be read"},
		"no status":               {"multipart/mixed; boundary=b", whole(set(part("hello\r\n\r\n"), part(http201))), fault.UnknownOutcome, "no status"},
		"another type":            {"multipart/mixed; boundary=b", whole("Content-Type: text/plain\r\n\r\nhello\r\n"), fault.UnknownOutcome, "text/plain"},
		"no boundary":             {"multipart/mixed", whole(failed), fault.UnknownOutcome, "boundary"},
		"a page":                  {"text/html", "<html>Log in</html>", fault.UnknownOutcome, "text/html"},
		"json":                    {"application/json", `{"responses":[{"id":"2","status":200},{"id":"1","status":200,"body":{"Order":"1"}}]}`, fault.None, ""},
		"json, one says 201":      {"application/json", `{"responses":[{"id":"1","status":201,"body":{"Order":"1"}},{"id":"2","status":400,"body":{"error":{"message":"line 20"}}}]}`, fault.Invalid, "line 20"},
		"json, one is missing":    {"application/json", `{"responses":[{"id":"1","status":201}]}`, fault.UnknownOutcome, "holds 2 results"},
		"json, of nobody":         {"application/json", `{"responses":[{"id":"7","status":201}]}`, fault.UnknownOutcome, "says nothing"},
		"json, twice the same id": {"application/json", `{"responses":[{"id":"1","status":201},{"id":"1","status":201}]}`, fault.UnknownOutcome, "that of another"},
		"json, no status":         {"application/json", `{"responses":[{"id":"1"}]}`, fault.UnknownOutcome, "no status"},
		"json, no responses":      {"application/json", `{"value":[]}`, fault.UnknownOutcome, "no responses"},
		"json, no json":           {"application/json", `nothing`, fault.UnknownOutcome, "cannot be read"},
		"json, the error of all":  {"application/json", `{"error":{"message":"closed"}}`, fault.UnknownOutcome, "closed"},
	} {
		system := ""
		if strings.HasPrefix(name, "json") {
			system = "batch: {format: json}"
		}
		d, s := shopOf(t, 4, system, "")
		id := s.create("order", "", twoLines)
		d.refuse = func(w http.ResponseWriter, r *http.Request) bool {
			is := strings.HasSuffix(r.URL.Path, "$batch")
			if is {
				w.Header().Set("Content-Type", c.contentType)
				fmt.Fprint(w, c.body)
			}
			return is
		}
		_, err := s.write(connector.Write{Object: "order", Local: id, Action: connector.Update, Doc: []byte(`{"Name":"x","Items":[{"Item":"20","Product":"Z"}]}`)})
		if fault.KindOf(err) != c.want || err != nil && !strings.Contains(err.Error(), c.text) {
			t.Errorf("%s: %v, want %v with %q", name, err, c.want, c.text)
		}
	}
}

func FuzzMultipart(f *testing.F) {
	f.Add("multipart/mixed; boundary=b", "--b\r\nContent-Type: multipart/mixed; boundary=c\r\n\r\n--c\r\nContent-Type: application/http\r\n\r\nHTTP/1.1 204 No Content\r\n\r\n\r\n--c--\r\n--b--\r\n")
	f.Add("multipart/mixed; boundary=b", "--b\r\nContent-Type: application/http\r\n\r\nHTTP/1.1 400 x\r\nContent-Length: 2\r\n\r\n{}\r\n--b--\r\n")
	f.Fuzz(func(t *testing.T, contentType, body string) {
		lot := []*change{{Place: gather.At(context.Background()), calls: make([]call, 2), id: 1}, {calls: make([]call, 1), id: 3}}
		resp := &httpclient.Response{Status: 200, Header: http.Header{"Content-Type": {contentType}}, Body: []byte(body)}
		out, err := parseMultipart(resp, lot)
		if err == nil && len(out) != 2 {
			t.Fatalf("%d answers for 2 changes", len(out))
		}
		for _, parts := range out {
			for _, p := range parts {
				if p.Status < 100 || p.Status > 599 || p.Header == nil {
					t.Fatalf("%+v", p)
				}
			}
		}
	})
}
