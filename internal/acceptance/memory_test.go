//go:build linux

package acceptance

import (
	"bytes"
	"compress/gzip"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/waybill-hub/waybill/internal/state"
	"github.com/waybill-hub/waybill/internal/store"
)

// memoryLimit is what the hubs of these tests are told that they have (GOMEMLIMIT), and mostMemory what one may ever take (VmHWM): the limit
// is soft, and a hub without bounds took gigabytes here.
const (
	memoryLimit = "192MiB"
	mostMemory  = 450 << 20
)

func (h *hub) wantPeak(what string) {
	h.t.Helper()
	n := h.peak()
	h.t.Logf("%s: peak %d MiB", what, n>>20)
	if n > mostMemory {
		h.t.Errorf("%s: the hub took %d MiB, more than %d", what, n>>20, mostMemory>>20)
	}
}

func (p *project) limited(t *testing.T) *hub {
	t.Helper()
	return p.run(t, map[string]string{"SCANNER_SECRET": hookSecret, "GOMEMLIMIT": memoryLimit})
}

// settled waits until nothing is in flight and n messages are parked.
func (h *hub) settled(n int64, limit time.Duration) {
	h.t.Helper()
	h.await(fmt.Sprintf("%d parked and nothing in flight", n), limit, func() bool {
		t := h.status().Totals
		return t.Parked == n && t.InFlight == 0
	})
	if t := h.status().Totals; t.Unaccounted != 0 {
		h.t.Errorf("%+v", t)
	}
}

// TestMemoryOfTheLongestList: the most documents of one delivery are taken, one more are not, and all of them are parked for want of a key.
func TestMemoryOfTheLongestList(t *testing.T) {
	t.Parallel()
	const most = 10_000
	p := newReadings(t, nil)
	h := p.limited(t)
	list := func(n int) []byte { return []byte("[" + strings.Repeat("{},", n-1) + "{}]") }
	if status, answer := (push{id: "past", body: list(most + 1)}).send(t, p); status != 413 || !strings.Contains(answer, "hooks.max-documents") {
		t.Fatalf("%d %s", status, answer)
	}
	if status, answer := (push{id: "at", body: list(most)}).send(t, p); status != 202 {
		t.Fatalf("%d %s", status, answer)
	}
	h.settled(most, 3*time.Minute)
	h.wantPeak("a list of 10,000 documents")
}

// TestMemoryOfAListFromBefore: a list that an older hub has accepted, beyond what is taken today, is worked off in slices; a hub that is killed
// in the middle goes on where it was.
func TestMemoryOfAListFromBefore(t *testing.T) {
	t.Parallel()
	const n = 15_000
	p := newReadings(t, nil)
	must(t, os.MkdirAll(p.path("data"), 0o755))
	s, err := store.Open(t.Context(), store.Config{SQLite: p.path("data/waybill.db")})
	must(t, err)
	_, _, err = s.Accept(context.Background(), []state.Inbound{{Flow: "scanner-readings", ID: "old", Body: []byte("[" + strings.Repeat("{},", n-1) + "{}]"), Received: time.Now()}}, nil, nil)
	must(t, err)
	must(t, s.Close())
	h := p.limited(t)
	h.await("some of it", 2*time.Minute, func() bool { return h.status().Totals.Parked > 100 })
	first := h.peak()
	h.kill()
	h.start()
	h.settled(n, 5*time.Minute)
	h.wantPeak(fmt.Sprintf("a list of %d in the inbox (%d MiB before the kill)", n, first>>20))
}

// TestMemoryOfTheLargestBodies: many bodies of the largest size at once, plain and folded; what has no room is told to come again.
func TestMemoryOfTheLargestBodies(t *testing.T) {
	t.Parallel()
	p := newReadings(t, nil)
	h := p.limited(t)
	var numbers bytes.Buffer
	numbers.WriteString(`{"number":"none","amount":1,"note":[0`)
	for numbers.Len() < 1_900_000 {
		numbers.WriteString(",0")
	}
	numbers.WriteString("]}")
	long := []byte(`{"number":"none","amount":1,"note":"` + strings.Repeat("x", 4<<20-100) + `"}`)
	var folded bytes.Buffer
	z := gzip.NewWriter(&folded)
	_, _ = z.Write(long)
	must(t, z.Close())
	var all sync.WaitGroup
	var mu sync.Mutex
	codes := map[int]int{}
	for i := range 30 {
		all.Go(func() {
			x := push{id: fmt.Sprint("b", i), body: numbers.Bytes()}
			switch i % 3 {
			case 1:
				x.body = long
			case 2:
				x.body, x.encoding = folded.Bytes(), "gzip"
			}
			status, _ := x.send(t, p)
			mu.Lock()
			defer mu.Unlock()
			codes[status]++
		})
	}
	all.Wait()
	// On a machine that gives neither side time for half a second, a body counts as stalled while others wait for room, and is to be sent again (408).
	if codes[202] == 0 || codes[202]+codes[503]+codes[408] != 30 {
		t.Errorf("answers %v", codes)
	}
	h.settled(int64(codes[202]), 3*time.Minute)
	h.wantPeak(fmt.Sprintf("30 bodies of the largest size at once (%v)", codes))
}

const product = `mapping: plain-reading
from: reading.v1
to: reading.v1
set:
  number: source.number
  amount: round(source.amount, 2)
  lines:
    each: source.rows
    as: row
    set:
      cells:
        each: source.rows
        as: cell
        set:
          a: row
          b: cell
`

// TestMemoryOfAMapping: a list for each element of a list becomes a result beyond every bound; each such message is parked with its place.
func TestMemoryOfAMapping(t *testing.T) {
	t.Parallel()
	schema := strings.Replace(readingsFiles["schemas/reading.v1.json"], `"note":`, `"rows": {"type": "array"}, "lines": {"type": "array"}, "note":`, 1)
	p := newReadings(t, map[string]string{"mappings/readings.yaml": product, "schemas/reading.v1.json": schema})
	h := p.limited(t)
	const messages = 12
	for i := range messages {
		body := fmt.Sprintf(`{"number":"A-%d","amount":1,"rows":[%s0]}`, i, strings.Repeat("1,", 19_999))
		if status, answer := (push{id: fmt.Sprint("m", i), body: []byte(body)}).send(t, p); status != 202 {
			t.Fatalf("%d %s", status, answer)
		}
	}
	h.settled(messages, 3*time.Minute)
	h.wantPeak("12 messages of 20,000 by 20,000")
	out, _, _ := waybill(t, p.dir, "parked", "list", "--url", "http://"+p.http)
	if !strings.Contains(out, "mappings.max-result") || !strings.Contains(out, "mappings/readings.yaml:") {
		t.Errorf("the parked messages do not tell the bound and the place:\n%.600s", out)
	}
}

// TestMemoryOfStalledUploads: uploads that prove nothing and stop in the middle keep nobody out.
func TestMemoryOfStalledUploads(t *testing.T) {
	t.Parallel()
	p := newReadings(t, nil)
	h := p.limited(t)
	stamp := time.Now().Unix()
	head := fmt.Sprintf("POST /hooks/scanner/readings HTTP/1.1\r\nHost: h\r\nContent-Type: application/json\r\nWebhook-Id: x\r\nWebhook-Timestamp: %d\r\nWebhook-Signature: v1,AAAA\r\nContent-Length: 4000000\r\n\r\n", stamp)
	for range 64 {
		c, err := net.Dial("tcp", p.hooks)
		must(t, err)
		t.Cleanup(func() { _ = c.Close() })
		_, err = io.WriteString(c, head+strings.Repeat(" ", 700<<10))
		must(t, err)
	}
	began := time.Now()
	h.await("an honest delivery", 10*time.Second, func() bool {
		status, _ := (push{id: "honest", body: []byte(`{"number":"A-1","amount":1,"note":"` + strings.Repeat("x", 3<<20) + `"}`)}).send(t, p)
		return status == 202
	})
	t.Logf("an honest delivery was taken after %s", time.Since(began).Truncate(time.Millisecond))
	h.wantPeak("64 stalled uploads")
}

// TestMemoryOfALargePage: a service that answers with as many records as its bytes hold.
func TestMemoryOfALargePage(t *testing.T) {
	t.Parallel()
	const n = 100_000
	var page bytes.Buffer
	page.WriteString("[")
	for i := range n {
		if i > 0 {
			page.WriteByte(',')
		}
		fmt.Fprintf(&page, `{"number":"B-%d","amount":0,"changed":"2026-01-15T10:00:00Z"}`, i)
	}
	page.WriteString("]")
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		_, _ = w.Write(page.Bytes())
	}))
	defer srv.Close()
	conf := strings.Replace(readingsFiles["configs/waybill.yaml"], "  ledger:", "  desk:\n    connector: rest\n    url: "+srv.URL+
		"\n    objects:\n      reading:\n        path: /readings\n        id: number\n        version: changed\n        list: {paging: {style: none}}\n  ledger:", 1)
	flow := "flow: desk-readings\nentity: reading\nfrom: {system: desk, poll: {every: 1h}}\nkey: source.number\nwhen: source.amount > 0\nto: {topic: canonical.reading}\n"
	p := newReadings(t, map[string]string{"configs/waybill.yaml": conf, "flows/desk.yaml": flow})
	h := p.limited(t)
	h.await("all of the page", 100*time.Second, func() bool { return h.status().Totals.Skipped == n })
	h.wantPeak(fmt.Sprintf("a page of %d records in %d MiB", n, page.Len()>>20))
}

// TestMemoryOfALargeFile: a file with a line that does not end, and many that do.
func TestMemoryOfALargeFile(t *testing.T) {
	t.Parallel()
	p := newReadings(t, nil)
	h := p.limited(t)
	f, err := os.Create(p.path("drop/.long"))
	must(t, err)
	_, err = f.WriteString("number,amount\n")
	must(t, err)
	chunk := bytes.Repeat([]byte("9"), 1<<20)
	for range 200 {
		_, err = f.Write(chunk)
		must(t, err)
	}
	must(t, f.Close())
	must(t, os.Rename(p.path("drop/.long"), p.path("drop/long.csv")))
	h.await("the file is away", 3*time.Minute, func() bool { _, err := os.Stat(p.path("drop/long.csv")); return err != nil })
	h.wantPeak("a line of 200 MiB")
}

// TestMemoryAtRest: a hub of one flow that has nothing to do.
func TestMemoryAtRest(t *testing.T) {
	t.Parallel()
	h := newReadings(t, nil).limited(t)
	h.settled(0, time.Minute)
	h.wantPeak("at rest")
	if n := h.peak(); n > 150<<20 {
		t.Errorf("a hub that does nothing took %d MiB", n>>20)
	}
}
