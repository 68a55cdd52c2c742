package soak

import (
	"bytes"
	"compress/gzip"
	"context"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"os"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

var intakeFaults = []fault{
	{Name: "10 MB bodies, zip bombs and deep JSON among good webhooks", Setups: both, Goal: 20_000, Run: abuse},
	{Name: "2,000 slow connections", Setups: both, Goal: 20, Share: 0.5, Alone: true, Run: slowConnections},
}

// attack is a request that must be refused with one of these answers.
type attack struct {
	name    string
	header  map[string]string
	body    []byte
	answers []int
}

func attacks() []attack {
	var bomb bytes.Buffer
	z := gzip.NewWriter(&bomb)
	_, _ = io.Copy(z, io.LimitReader(zeros{}, 200<<20))
	_ = z.Close()
	deep := []byte(strings.Repeat("[", 10_000) + strings.Repeat("]", 10_000))
	return []attack{
		{"a body of 10 MB", nil, bytes.Repeat([]byte("x"), 10<<20), []int{http.StatusRequestEntityTooLarge}},
		{"a zip bomb", map[string]string{"Content-Encoding": "gzip"}, bomb.Bytes(), []int{http.StatusRequestEntityTooLarge}},
		{"JSON ten thousand deep", nil, deep, []int{http.StatusBadRequest, http.StatusAccepted}}, // signed: taken, then parked
		{"a number like 1e401", nil, []byte(`[{"no":"E","seq":1e401}]`), []int{http.StatusBadRequest, http.StatusAccepted}},
		{"no JSON", nil, []byte(`{"no":`), []int{http.StatusBadRequest}},
		{"another media type", map[string]string{"Content-Type": "text/html"}, []byte(`[]`), []int{http.StatusUnsupportedMediaType}},
		{"a wrong signature", map[string]string{"X-Signature": "00"}, []byte(`[{"no":"F","seq":1}]`), []int{http.StatusUnauthorized}},
	}
}

type zeros struct{}

func (zeros) Read(p []byte) (int, error) {
	for i := range p {
		p[i] = ' '
	}
	return len(p), nil
}

// latencies collects how long good requests took.
type latencies struct {
	mu  sync.Mutex
	all []time.Duration
}

func (l *latencies) add(d time.Duration) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.all = append(l.all, d)
}

func (l *latencies) p99() (time.Duration, int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return quantile(l.all, 0.99), len(l.all)
}

// peak is the most memory that the process has held, in MiB.
func (h *hub) peak() int {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", h.cmd.Process.Pid))
	if err != nil {
		return 0
	}
	_, rest, _ := strings.Cut(string(text), "VmHWM:")
	kb, _ := strconv.Atoi(strings.Fields(rest)[0])
	return kb >> 10
}

// abuse: bad requests are refused as they should be, memory stays bounded, good ones are taken in the meantime.
func abuse(b *budget) {
	w := newWorld(b.T, b.setup)
	h := w.hub()
	h.start()
	var good latencies
	end := w.background(load{Rate: float64(b.size(300, 2000)), Batch: b.size(10, 50), Took: good.add})
	all := attacks()
	var wg sync.WaitGroup
	var turn, refused atomic.Int64
	limit := int64(b.size(70, b.fault.Goal))
	for range 4 {
		wg.Go(func() {
			for n := turn.Add(1); n <= limit && (b.short || time.Now().Before(b.end)) && !b.Failed(); n = turn.Add(1) {
				a := all[int(n)%len(all)]
				status, err := a.send(b.Context(), h.hooks, fmt.Sprintf("bad-%d", n))
				if err != nil {
					if !strings.Contains(a.name, "10 MB") { // the server may cut who goes on sending
						b.Errorf("%s: %v", a.name, err)
					}
					refused.Add(1)
					continue
				}
				fits := false
				for _, s := range a.answers {
					fits = fits || s == status
				}
				if !fits {
					b.Errorf("%s was answered %d", a.name, status)
				}
				refused.Add(1)
			}
		})
	}
	wg.Wait()
	end()
	b.reps = int(refused.Load())
	w.quiet(5 * time.Minute)
	if mib := h.peak(); mib > 700 {
		b.Errorf("the hub has held %d MiB", mib)
	}
	if p99, n := good.p99(); n == 0 || !b.short && p99 > time.Second {
		b.Errorf("good requests: %d, p99 %s; the rule is one second", n, p99)
	}
	b.judge(w, rules{})
}

func (a *attack) send(ctx context.Context, hooks, delivery string) (int, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, "http://"+hooks+"/hooks/soak/customers", bytes.NewReader(a.body))
	if err != nil {
		return 0, err
	}
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("X-Signature", sign(a.body))
	req.Header.Set("X-Delivery", delivery)
	for k, v := range a.header {
		req.Header.Set(k, v)
	}
	resp, err := client.Do(req)
	if err != nil {
		return 0, err
	}
	defer resp.Body.Close()
	_, _ = io.Copy(io.Discard, resp.Body)
	return resp.StatusCode, nil
}

// slowConnections: 2,000 senders that send a byte now and then, twice as many as the hub has slots for, and connect again when
// they are cut. Good senders, who connect anew for every request, are answered within a second.
func slowConnections(b *budget) {
	w := newWorld(b.T, b.setup, func(p *project) { p.Connections = 1000 })
	h := w.hub()
	h.start()
	ctx, stop := context.WithCancel(b.Context())
	defer stop()
	var wg sync.WaitGroup
	defer wg.Wait()
	defer stop()
	const slow = 2000
	var open, opened atomic.Int64
	for n := range slow {
		wg.Go(func() {
			for ctx.Err() == nil {
				c, err := net.DialTimeout("tcp", h.hooks, 10*time.Second)
				if err != nil {
					select {
					case <-time.After(100 * time.Millisecond):
					case <-ctx.Done():
					}
					continue
				}
				open.Add(1)
				opened.Add(1)
				drip(ctx, c, n)
				open.Add(-1)
				_ = c.Close()
				select {
				case <-time.After(500 * time.Millisecond):
				case <-ctx.Done():
				}
			}
		})
	}
	h.await("2,000 slow connections", time.Minute, func() bool { return opened.Load() >= slow })
	anew := &http.Client{Timeout: 20 * time.Second, Transport: &http.Transport{DisableKeepAlives: true}}
	var good latencies
	for b.more(1) {
		w.senders.send(b.Context(), load{Count: int64(b.size(400, 4000)), Rate: float64(b.size(400, 1500)), Took: good.add, Client: anew})
		b.happened(0)
	}
	p99, n := good.p99()
	b.Logf("%d good requests, p99 %s, %d slow connections made", n, p99, opened.Load())
	b.recovery = p99
	limit := time.Second
	if b.short {
		limit = 4 * time.Second // less than the listener gives a request's header
	}
	b.within("99% of good requests", p99, limit)
	if open.Load() < slow/4 {
		b.Errorf("only %d slow connections are open: the fault did not happen", open.Load())
	}
	stop()
	w.quiet(5 * time.Minute)
	b.judge(w, rules{})
}

// drip sends a request byte by byte until the hub cuts the connection.
func drip(ctx context.Context, c net.Conn, n int) {
	text := "POST /hooks/soak/customers HTTP/1.1\r\nHost: slow\r\nContent-Type: application/json\r\nX-Signature: 00\r\nContent-Length: 5000\r\n\r\n"
	if n%2 == 0 { // half of them are slow with the body
		if _, err := io.WriteString(c, text); err != nil {
			return
		}
		text = strings.Repeat("x", 5000)
	}
	gone := make(chan struct{})
	go func() {
		defer close(gone)
		_, _ = c.Read(make([]byte, 1))
	}()
	defer func() { _ = c.Close(); <-gone }()
	for i := range len(text) {
		if _, err := io.WriteString(c, text[i:i+1]); err != nil {
			return
		}
		select {
		case <-time.After(time.Second + rand.N(time.Second)):
		case <-gone:
			return
		case <-ctx.Done():
			return
		}
	}
}
