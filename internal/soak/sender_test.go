package soak

import (
	"bytes"
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

// thing is a document as the source system pushes it.
type thing struct {
	No       string `json:"no"`
	Seq      int64  `json:"seq"`
	Text     string `json:"text,omitempty"`
	Customer string `json:"customer,omitempty"`
	Flaw     any    `json:"flaw,omitempty"` // a number by the schema
	Mark     string `json:"mark,omitempty"` // of a code table that knows A alone
}

// ledger is what the senders were promised: every version of every object that got a 2xx.
type ledger struct {
	mu       sync.Mutex
	promised map[string]map[string][]int64 // entity, number, versions in the order they were accepted
	tried    map[string]map[string]int64   // the highest version that was ever sent
	count    int64
}

func newLedger() *ledger {
	return &ledger{promised: map[string]map[string][]int64{}, tried: map[string]map[string]int64{}}
}

func (l *ledger) try(entity string, things []thing) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.tried[entity] == nil {
		l.tried[entity] = map[string]int64{}
	}
	for _, d := range things {
		l.tried[entity][d.No] = max(l.tried[entity][d.No], d.Seq)
	}
}

func (l *ledger) promise(entity string, things []thing) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.promised[entity] == nil {
		l.promised[entity] = map[string][]int64{}
	}
	for _, d := range things {
		l.promised[entity][d.No] = append(l.promised[entity][d.No], d.Seq)
	}
	l.count += int64(len(things))
}

func (l *ledger) total() int64 {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.count
}

// load says what the senders send.
type load struct {
	Entity   string                     // default customer
	Workers  int                        // default 4; each owns its keys, so that a key's versions are sent in order
	Keys     int                        // of each worker; default 50
	Batch    int                        // documents in one request; default 10
	Rate     float64                    // documents a second of all workers together; 0: as fast as they are taken
	Count    int64                      // ends after so many documents; 0: with the context
	Prefix   string                     // of numbers; default C or O by the entity
	Text     func(no string) string     // default: a sentence
	Customer func(no string) string     // of an order
	Repeat   int                        // every delivery is sent so many times more, under its id
	Shuffle  bool                       // a worker's versions of a key are sent in any order
	Hubs     func() []string            // hook addresses, tried in turn; default: the world's
	Once     bool                       // a request that fails is tried once more, and then counts as an error
	Took     func(time.Duration)        // is told how long each accepted request took
	Client   *http.Client               // default: one for all
	Refused  func(status int, b string) // is told of answers other than 2xx
	Change   func(d *thing)             // a last word on every document
	Promised func(batch []thing)        // is told of accepted documents, at once
}

// senders sends a load and gives the number of requests that failed for good (under Once).
type senders struct {
	w      *world
	failed atomic.Int64
	errors atomic.Int64 // requests that had to be sent again
	next   atomic.Int64 // of seqs
	seqs   sync.Map     // "entity/no" → last version
}

var client = &http.Client{Timeout: 20 * time.Second, Transport: &http.Transport{MaxIdleConnsPerHost: 64,
	DialContext: (&net.Dialer{Timeout: 3 * time.Second}).DialContext}}

func sign(body []byte) string {
	m := hmac.New(sha256.New, []byte(hookSecret))
	m.Write(body)
	return hex.EncodeToString(m.Sum(nil))
}

// post sends one signed delivery.
func post(ctx context.Context, c *http.Client, hooks, entity, delivery string, body []byte) (int, string, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, "http://"+hooks+"/hooks/soak/"+entity+"s", bytes.NewReader(body))
	if err != nil {
		return 0, "", err
	}
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("X-Signature", sign(body))
	req.Header.Set("X-Delivery", delivery)
	resp, err := c.Do(req)
	if err != nil {
		return 0, "", err
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(io.LimitReader(resp.Body, 4096))
	if err != nil {
		return 0, "", err // cut before the answer was complete: no promise
	}
	return resp.StatusCode, string(b), nil
}

// send sends until the load's count is reached or ctx ends; what is under way then is still brought to its end, for a sender that
// gives up has no promise and would make the ledger uncertain.
func (s *senders) send(ctx context.Context, l load) {
	if l.Entity == "" {
		l.Entity = "customer"
	}
	l.Workers, l.Keys, l.Batch = or(l.Workers, 4), or(l.Keys, 50), or(l.Batch, 10)
	if l.Prefix == "" {
		l.Prefix = strings.ToUpper(l.Entity[:1])
	}
	if l.Hubs == nil {
		l.Hubs = s.w.hooks
	}
	if l.Client == nil {
		l.Client = client
	}
	var left atomic.Int64
	left.Store(l.Count)
	var wg sync.WaitGroup
	for n := range l.Workers {
		wg.Go(func() { s.worker(ctx, n, l, &left) })
	}
	wg.Wait()
}

func or(n, d int) int {
	if n == 0 {
		return d
	}
	return n
}

func (s *senders) version(entity, no string) int64 {
	v, _ := s.seqs.LoadOrStore(entity+"/"+no, new(atomic.Int64))
	return v.(*atomic.Int64).Add(1)
}

func (s *senders) worker(ctx context.Context, n int, l load, left *atomic.Int64) {
	var pace *time.Ticker
	if l.Rate > 0 {
		pace = time.NewTicker(time.Duration(float64(time.Second) * float64(l.Batch*l.Workers) / l.Rate))
		defer pace.Stop()
	}
	at := 0
	for ctx.Err() == nil {
		if l.Count > 0 && left.Add(int64(-l.Batch)) < int64(-l.Batch)+1 {
			return
		}
		if pace != nil {
			select {
			case <-pace.C:
			case <-ctx.Done():
				return
			}
		}
		batch := make([]thing, 0, l.Batch)
		for range l.Batch {
			no := fmt.Sprintf("%s%d-%04d", l.Prefix, n, at%l.Keys)
			at++
			d := thing{No: no, Seq: s.version(l.Entity, no), Text: "version of " + no}
			if l.Text != nil {
				d.Text = l.Text(no)
			}
			if l.Customer != nil {
				d.Customer = l.Customer(no)
			}
			if l.Change != nil {
				l.Change(&d)
			}
			batch = append(batch, d)
		}
		if l.Shuffle {
			rand.Shuffle(len(batch), func(i, j int) { batch[i], batch[j] = batch[j], batch[i] })
		}
		s.deliver(l, batch)
	}
}

// deliver sends one batch until it is promised.
func (s *senders) deliver(l load, batch []thing) {
	body, err := json.Marshal(batch)
	if err != nil {
		panic(err)
	}
	first := s.next.Add(1) // and the hub that is tried first
	id := fmt.Sprintf("d-%d-%s-%d", first, batch[0].No, batch[0].Seq)
	s.w.ledger.try(l.Entity, batch)
	wait := 20 * time.Millisecond
	for try := 0; ; try++ {
		hubs := l.Hubs()
		if len(hubs) == 0 {
			time.Sleep(wait) // the pace of a sender whose receiver is away
			continue
		}
		began := time.Now()
		status, answer, err := post(s.w.t.Context(), l.Client, hubs[(int(first)+try)%len(hubs)], l.Entity, id, body)
		if err == nil && status/100 == 2 {
			if l.Took != nil {
				l.Took(time.Since(began))
			}
			if l.Promised != nil {
				l.Promised(batch)
			}
			break
		}
		s.errors.Add(1)
		if s.w.t.Context().Err() != nil {
			return
		}
		if err == nil && l.Refused != nil {
			l.Refused(status, answer)
		}
		if err == nil && status/100 == 4 && status != http.StatusTooManyRequests {
			s.w.t.Errorf("a sound delivery was refused: %d %s", status, answer)
			return
		}
		if l.Once && try == 1 {
			s.failed.Add(1)
		}
		time.Sleep(wait + rand.N(wait)) // the pace of a sender that tries again
		wait = min(2*wait, 500*time.Millisecond)
	}
	s.w.ledger.promise(l.Entity, batch)
	for range l.Repeat {
		status, answer, err := post(s.w.t.Context(), l.Client, l.Hubs()[0], l.Entity, id, body)
		if err == nil && status/100 != 2 && status/100 != 5 && status != http.StatusTooManyRequests {
			s.w.t.Errorf("a delivery sent again was refused: %d %s", status, answer)
		}
	}
}

// quantile gives the q-quantile of times.
func quantile(all []time.Duration, q float64) time.Duration {
	if len(all) == 0 {
		return 0
	}
	slices.Sort(all)
	return all[min(len(all)-1, int(q*float64(len(all))))]
}
