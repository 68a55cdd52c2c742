package sandbox

import (
	"bytes"
	"container/heap"
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"time"
)

// SignWebhook gives the Standard Webhooks signature header of a message: "v1," and the base64 HMAC-SHA256 of
// id.timestamp.body under the key that stands in base64 after whsec_ in secret.
func SignWebhook(secret, id string, at time.Time, body []byte) (string, error) {
	key, err := base64.StdEncoding.DecodeString(strings.TrimPrefix(secret, "whsec_"))
	if err != nil {
		return "", fmt.Errorf("webhook secret: %w", err)
	}
	mac := hmac.New(sha256.New, key)
	fmt.Fprintf(mac, "%s.%d.", id, at.Unix())
	mac.Write(body)
	return "v1," + base64.StdEncoding.EncodeToString(mac.Sum(nil)), nil
}

// push is one webhook that has to be sent until somebody answers 2xx.
type push struct {
	id, path, object, key string
	body                  []byte
	due                   time.Time
	tries                 int
	copies                bool // an additional delivery of one that is done
	index                 int  // in the heap
}

// outbox sends webhooks. Those of one object go out one after the other, unless chaos delays one: then later ones
// overtake it. What was not answered 2xx is sent again, also after a restart, for ever.
type outbox struct {
	secret string
	imp    *imp
	log    func(e *Entry)
	client *http.Client

	mu    sync.Mutex
	url   string
	byID  map[string]*push
	lanes map[string][]*push // per object, oldest first; the head is in the heap or being sent
	heap  pushHeap
	wake  chan struct{}

	stop context.CancelFunc
	wg   sync.WaitGroup
}

const pushers = 8

func newOutbox(url, secret string, m *imp, log func(e *Entry)) *outbox {
	return &outbox{url: url, secret: secret, imp: m, log: log, byID: map[string]*push{}, lanes: map[string][]*push{}, wake: make(chan struct{}, 1),
		client: &http.Client{Timeout: 10 * time.Second, Transport: &http.Transport{MaxIdleConnsPerHost: pushers, IdleConnTimeout: 30 * time.Second}}}
}

// add takes a message on. delay takes it out of the order of its object.
func (o *outbox) add(p *push, delay time.Duration) {
	o.mu.Lock()
	defer o.mu.Unlock()
	c := o.imp.Chaos()
	if delay == 0 && c.LateHooks > 0 {
		if r := roll(o.imp.seed, "late", p.id); r < c.LateHooks {
			delay = time.Duration(r / c.LateHooks * float64(ms(c.LateMS, 3000)))
		}
	}
	p.due = time.Now().Add(delay)
	o.byID[p.id] = p
	p.key = p.object
	if delay > 0 {
		p.key = p.id
	}
	o.lanes[p.key] = append(o.lanes[p.key], p)
	if len(o.lanes[p.key]) == 1 {
		o.ready(p)
	}
}

// ready puts the head of a lane into the heap; the caller holds the lock.
func (o *outbox) ready(p *push) {
	heap.Push(&o.heap, p)
	select {
	case o.wake <- struct{}{}:
	default:
	}
}

// drop forgets a message that is done; the next of its lane comes up. The caller holds the lock.
func (o *outbox) drop(p *push) {
	delete(o.byID, p.id)
	lane := o.lanes[p.key]
	for i := range lane {
		if lane[i] == p {
			lane = append(lane[:i:i], lane[i+1:]...)
			if i == 0 && len(lane) > 0 {
				o.ready(lane[0])
			}
			break
		}
	}
	if len(lane) == 0 {
		delete(o.lanes, p.key)
	} else {
		o.lanes[p.key] = lane
	}
}

// acknowledged is called for pushes found in the log, before start.
func (o *outbox) acknowledged(id string) {
	o.mu.Lock()
	defer o.mu.Unlock()
	p := o.byID[id]
	if p == nil {
		return
	}
	if p.index >= 0 && p.index < len(o.heap) && o.heap[p.index] == p {
		heap.Remove(&o.heap, p.index)
	}
	o.drop(p)
}

// pending is how many messages nobody has answered 2xx yet.
func (o *outbox) pending() int {
	o.mu.Lock()
	defer o.mu.Unlock()
	return len(o.byID)
}

func (o *outbox) target(url string) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.url = url
	select {
	case o.wake <- struct{}{}:
	default:
	}
}

func (o *outbox) start() {
	ctx, cancel := context.WithCancel(context.Background())
	o.stop = cancel
	next := make(chan *push)
	o.wg.Add(1 + pushers)
	go o.deal(ctx, next)
	for range pushers {
		go func() {
			defer o.wg.Done()
			for p := range next {
				o.deliver(ctx, p)
			}
		}()
	}
}

func (o *outbox) close() {
	if o.stop != nil {
		o.stop()
		o.wg.Wait()
	}
	o.client.CloseIdleConnections()
}

// deal hands messages to the senders when they are due.
func (o *outbox) deal(ctx context.Context, next chan<- *push) {
	defer o.wg.Done()
	defer close(next)
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		o.mu.Lock()
		var p *push
		wait := time.Hour
		if len(o.heap) > 0 && o.url != "" {
			if wait = time.Until(o.heap[0].due); wait <= 0 {
				p = heap.Pop(&o.heap).(*push)
			}
		}
		o.mu.Unlock()
		if p != nil {
			select {
			case next <- p:
			case <-ctx.Done():
				return
			}
			continue
		}
		timer.Reset(wait)
		select {
		case <-o.wake:
		case <-timer.C:
		case <-ctx.Done():
			return
		}
	}
}

// deliver sends once; what fails comes again after a while, twice as long each time, up to 10 s.
func (o *outbox) deliver(ctx context.Context, p *push) {
	o.mu.Lock()
	url := o.url + p.path
	o.mu.Unlock()
	status := o.post(ctx, url, p)
	if status > 0 {
		e := &Entry{Time: time.Now().UTC(), System: CRM, Actor: "push", Method: "PUSH", Path: url, Object: strings.TrimPrefix(p.path, "/crm/"),
			ID: p.object, Status: status, BodyHash: bodyHash(p.body), Request: p.id}
		if p.copies {
			e.Fault = "duplicate"
		}
		o.log(e)
	}
	if ctx.Err() != nil {
		return
	}
	done := status >= 200 && status < 300
	again := done && !p.copies && o.imp.chance(o.imp.Chaos().DuplicateHooks, "duplicate "+p.id)
	o.mu.Lock()
	defer o.mu.Unlock()
	switch {
	case done && again:
		o.drop(p)
		twin := &push{id: p.id, path: p.path, object: p.object, key: "copy " + p.id, body: p.body, copies: true, due: time.Now().Add(50 * time.Millisecond)}
		o.byID[p.id], o.lanes[twin.key] = twin, []*push{twin}
		o.ready(twin)
	case done:
		o.drop(p)
	default:
		p.tries++
		p.due = time.Now().Add(min(100*time.Millisecond<<min(p.tries, 10), 10*time.Second))
		o.ready(p)
	}
}

// post gives the status of the answer, or 0.
func (o *outbox) post(ctx context.Context, url string, p *push) int {
	now := time.Now()
	signature, err := SignWebhook(o.secret, p.id, now, p.body)
	if err != nil {
		return 0
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, url, bytes.NewReader(p.body))
	if err != nil {
		return 0
	}
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("User-Agent", "sandbox-crm/1")
	req.Header.Set("webhook-id", p.id)
	req.Header.Set("webhook-timestamp", strconv.FormatInt(now.Unix(), 10))
	req.Header.Set("webhook-signature", signature)
	res, err := o.client.Do(req)
	if err != nil {
		return 0
	}
	defer res.Body.Close()
	_, _ = io.Copy(io.Discard, io.LimitReader(res.Body, 1<<16))
	return res.StatusCode
}

type pushHeap []*push

func (h pushHeap) Len() int           { return len(h) }
func (h pushHeap) Less(i, j int) bool { return h[i].due.Before(h[j].due) }
func (h pushHeap) Swap(i, j int) {
	h[i], h[j] = h[j], h[i]
	h[i].index, h[j].index = i, j
}
func (h *pushHeap) Push(x any) {
	p := x.(*push)
	p.index = len(*h)
	*h = append(*h, p)
}
func (h *pushHeap) Pop() any {
	old := *h
	p := old[len(old)-1]
	old[len(old)-1] = nil
	*h = old[:len(old)-1]
	p.index = -1
	return p
}
