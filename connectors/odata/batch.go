package odata

import (
	"context"
	"fmt"
	"net/http"
	"slices"
	"strconv"

	"github.com/waybill-hub/waybill/internal/connector"
	"github.com/waybill-hub/waybill/internal/fault"
	"github.com/waybill-hub/waybill/internal/gather"
	"github.com/waybill-hub/waybill/internal/httpclient"
)

// mostBatchBytes bounds the bodies of one $batch.
const mostBatchBytes = 4 << 20

// together reports whether a change may go in one request with others. Where a service ends a batch at its first failure, nobody knows of what was behind it,
// and creates go alone.
func (s *system) together(c *change) bool {
	return s.set.Batch.Format != "none" && s.set.Batch.Size > 1 && !(c.creating && c.b.svc.stops.Load())
}

// queued makes the queue of changes that may go together. As many lots are sent at once as calls are allowed, so that none waits that could be sent.
func (s *system) queued() *gather.Queue[*change] {
	return &gather.Queue[*change]{Most: s.set.Batch.Size, Lanes: max(1, s.set.Limit.Concurrency), Run: s.send, Fits: fitsLot,
		Failed: func(c *change, err error) error { return s.fail(fault.UnknownOutcome, c.op, "%s", err) }}
}

// fitsLot: a request is about one service, and of bounded size.
func fitsLot(lot []*change, other *change) bool {
	size := other.bytes()
	for _, c := range lot {
		size += c.bytes()
	}
	return lot[0].b.svc == other.b.svc && size <= mostBatchBytes
}

func (c *change) bytes() (n int) {
	for _, one := range c.calls {
		n += len(one.body)
	}
	return n
}

// gathered sends a change alone or with others, as it comes.
func (s *system) gathered(c *change) (connector.Result, error) {
	err, begun := s.queue.Make(c)
	if !begun {
		return connector.Result{}, &fault.Error{Kind: fault.Unavailable, System: s.name, Op: c.op, Err: fmt.Errorf("waiting for the system's limit: %w", c.Ctx.Err())}
	}
	return c.res, err
}

// send makes the request of a lot, and answers each of its changes.
func (s *system) send(lot []*change) {
	if len(lot) == 1 {
		var err error
		lot[0].res, err = lot[0].alone(lot[0].Ctx)
		lot[0].Answer(err)
		return
	}
	ctx, cancel := gather.WhileWanted(lot)
	defer cancel()
	ctx, lost := connector.WithFences(ctx, gather.Contexts(lot))
	answers, err := s.batch(ctx, lot)
	switch kind := fault.KindOf(err); {
	case lost() >= 0: // it must not be sent, and the others are
		lot[lost()].Answer(err)
		s.queue.Again(nil, slices.Delete(slices.Clone(lot), lost(), lost()+1))
		return
	case err == nil: // below
	case kind == fault.Unavailable || kind == fault.UnknownOutcome || kind == fault.RateLimited || kind == fault.Auth:
		for _, c := range lot {
			c.Answer(err)
		}
		return
	default: // nothing of it is done: each says alone what is wrong
		if said := err.Error(); s.whole.Swap(said) != said {
			s.log.Warn("several changes in one request were refused as a whole: each is sent alone", "system", s.name, "error", said)
		}
		s.queue.Again(lot, nil)
		return
	}
	s.whole.Store("")
	var left []*change
	for i, c := range lot {
		if answers[i] == nil && !c.creating { // what stands behind the end of a batch is not done, and says the same when it is sent again
			left = append(left, c)
			continue
		}
		var err error
		c.res, err = c.judged(c.Ctx, answers[i])
		c.Answer(err)
	}
	if answers[len(lot)-1] == nil && !lot[0].b.svc.stops.Swap(true) {
		s.log.Warn("the service ends a $batch at its first failure although the hub asks it to go on: objects are created one at a time from now on", "system", s.name, "service", lot[0].b.svc.path)
	}
	s.queue.Again(left, nil)
}

// asWhole makes a change of several calls in one change set. It gives the answer to the object's own call, or the one that failed.
func (s *system) asWhole(ctx context.Context, c *change) (*httpclient.Response, error) {
	answers, err := s.batch(ctx, []*change{c})
	if err != nil {
		if f, ok := fault.As(err); ok && f.Kind == fault.Invalid {
			f.Err = fmt.Errorf("%w (where the service has no $batch, set batch.format to none)", f.Err)
		}
		return nil, err
	}
	return c.part(answers[0])
}

// judged reads what a change of a lot was answered.
func (c *change) judged(ctx context.Context, parts []*httpclient.Response) (connector.Result, error) {
	resp, err := c.part(parts)
	if err != nil {
		return c.settle(ctx, resp, err)
	}
	return c.result(resp)
}

// part gives the answer to the object's own call, or the one that failed. One failed call of a change set fails all, whatever the others were answered:
// what was rolled back still says 201 in some services.
func (c *change) part(parts []*httpclient.Response) (*httpclient.Response, error) {
	if len(parts) == 0 {
		return nil, c.s.fail(fault.UnknownOutcome, c.op, "the answer to the batch says nothing of the change")
	}
	for i, p := range parts {
		if p == nil {
			continue
		}
		at := c.callOf(i, p, len(parts))
		if err := c.s.client.Part(c.request(c.calls[at]), p); err != nil {
			c.failed = at
			return p, err
		}
	}
	for _, p := range parts {
		if p == nil || len(parts) != len(c.calls) {
			return nil, c.s.fail(fault.UnknownOutcome, c.op, "the answer to the batch holds %d results for %d requests of the change", len(parts), len(c.calls))
		}
	}
	return parts[0], nil
}

// callOf tells which call an answer is about. A change set that failed is answered as a whole: by the id of the call that failed where the service says it, and
// else it is taken for a line's, as nothing may be concluded about the object itself.
func (c *change) callOf(i int, p *httpclient.Response, parts int) int {
	if parts == len(c.calls) {
		return i
	}
	if id, err := strconv.Atoi(p.Header.Get("Content-Id")); err == nil && id >= c.id && id < c.id+len(c.calls) {
		return id - c.id
	}
	return len(c.calls) - 1
}

// batch sends changes in one request, each in a change set of its own. It gives the answers to each; nil: nothing was said of it.
func (s *system) batch(ctx context.Context, lot []*change) ([][]*httpclient.Response, error) {
	b := lot[0].b
	op := lot[0].op
	if len(lot) > 1 {
		op = fmt.Sprintf("%s (%d together)", op, len(lot))
	}
	id := 1
	for _, c := range lot {
		c.id = id
		id += len(c.calls)
	}
	write, parse := writeMultipart, parseMultipart
	if s.set.Batch.Format == "json" {
		write, parse = writeJSONBatch, parseJSONBatch
	}
	body, contentType := write(lot)
	var answers [][]*httpclient.Response
	var bad error
	j := &judge{s: s}
	r := httpclient.Request{Method: http.MethodPost, Path: b.svc.at("$batch"), Body: body, ContentType: contentType, Op: op, Header: http.Header{}}
	r.Header.Set("Accept", acceptBatch(s.set.Batch.Format))
	r.Header.Set("Prefer", "odata.continue-on-error") // of V4, and adapters that give such a service another face heed it in V2
	r.Judge = func(resp *httpclient.Response, failed *fault.Error) *fault.Error {
		if failed != nil {
			if failed = j.answer(resp, failed); failed.Kind == fault.NotFound { // there is no $batch, which says nothing of an object
				failed.Kind = fault.Invalid
			}
			return failed
		}
		if answers, bad = parse(resp, lot); bad != nil {
			return fault.New(fault.UnknownOutcome, "the answer to the batch cannot be read: %s: %s", bad, s.client.Text(resp))
		}
		return nil
	}
	if _, err := s.do(ctx, b.svc, b.m, r); err != nil {
		return nil, err
	}
	return answers, nil
}

func acceptBatch(format string) string {
	if format == "json" {
		return "application/json"
	}
	return "multipart/mixed"
}
