package rest

import (
	"cmp"
	"context"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"

	"github.com/waybill-hub/waybill/internal/connector"
	"github.com/waybill-hub/waybill/internal/fault"
	"github.com/waybill-hub/waybill/internal/gather"
	"github.com/waybill-hub/waybill/internal/httpclient"
	"github.com/waybill-hub/waybill/internal/jsondoc"
	"github.com/waybill-hub/waybill/internal/strictyaml"
)

// mostBulkBytes bounds the documents of one request.
const mostBulkBytes = 4 << 20

// bulked is a write that may go together with others.
type bulked struct {
	gather.Place
	o        *object
	ws       *writeSettings
	creating bool
	op       string
	doc      []byte // as it stands in the request's list, but for wrap
	sent     []byte // the document without what the hub adds
	local    string
	external string                                          // of a create
	one      func(context.Context) (connector.Result, error) // sends it alone

	res connector.Result
}

// checkBulk completes the settings of requests with several documents.
func (o *object) checkBulk(ws *writeSettings, n strictyaml.Node, p *strictyaml.Problems) {
	b := ws.Bulk
	if b == nil {
		return
	}
	template(n, "path", b.Path, nil, p)
	if b.Method != http.MethodPost && b.Method != http.MethodPut && b.Method != http.MethodPatch {
		p.AddHint(n.Get("method").Pos(), "write POST, PUT or PATCH", "method: %q changes nothing", b.Method)
	}
	if b.Size < 2 {
		p.AddHint(n.Get("size").Pos(), "remove bulk to send one at a time", "size: at least 2")
	}
	if o.IdempotencyHeader != "" {
		p.AddHint(n.Pos(), "remove one of the two", "bulk: a request with several documents carries no idempotency key, which idempotency-header asks for")
	}
	if ws.ContentType != "application/json" {
		p.AddHint(n.Pos(), "remove one of the two", "bulk: the body is application/json, and not %s", ws.ContentType)
	}
}

// bulks makes the queue of writes that may go together. As many lots are sent at once as calls are allowed, so that none waits that could be sent.
func (s *system) bulks() *gather.Queue[*bulked] {
	return &gather.Queue[*bulked]{Most: s.mostBulk(), Lanes: max(1, s.set.Limit.Concurrency), Run: s.send, Fits: fits,
		Failed: func(b *bulked, err error) error { return s.fail(fault.UnknownOutcome, b.op, "%s", err) }}
}

// mostBulk is the largest size of all objects; fits keeps to each one's own.
func (s *system) mostBulk() int {
	most := 1
	for _, o := range s.set.Objects {
		for _, b := range []*bulkSettings{o.Create.Bulk, o.Update.Bulk} {
			if b != nil {
				most = max(most, b.Size)
			}
		}
	}
	return most
}

// fits: a request is about one object type, creates or updates, and of bounded size.
func fits(lot []*bulked, other *bulked) bool {
	size := len(other.doc)
	for _, b := range lot {
		size += len(b.doc)
	}
	return lot[0].ws == other.ws && len(lot) < other.ws.Bulk.Size && size <= mostBulkBytes
}

// gathered sends a write alone or with others, as it comes.
func (s *system) gathered(b *bulked) (connector.Result, error) {
	err, begun := s.bulk.Make(b)
	if !begun {
		return connector.Result{}, &fault.Error{Kind: fault.Unavailable, System: s.name, Op: b.op, Err: fmt.Errorf("waiting for the system's limit: %w", b.Ctx.Err())}
	}
	return b.res, err
}

// send makes the request of a lot, and answers each of its writes.
func (s *system) send(lot []*bulked) {
	if len(lot) == 1 {
		var err error
		lot[0].res, err = lot[0].one(lot[0].Ctx)
		lot[0].Answer(err)
		return
	}
	ctx, cancel := gather.WhileWanted(lot)
	defer cancel()
	ctx, lost := connector.WithFences(ctx, gather.Contexts(lot))
	var results []jsondoc.Value
	r := lot[0].ws.Bulk.request(lot)
	r.Judge = func(resp *httpclient.Response, failed *fault.Error) *fault.Error {
		if results = lot[0].ws.Bulk.results(resp, len(lot)); results != nil {
			return nil // each says for itself what became of it, whatever the status of all is
		}
		return s.judge(lot[0]).answer(resp, failed)
	}
	resp, err := s.client.Do(ctx, r)
	switch kind := fault.KindOf(err); {
	case lost() >= 0: // it must not be sent, and the others are
		lot[lost()].Answer(err)
		s.bulk.Again(nil, slices.Delete(slices.Clone(lot), lost(), lost()+1))
		return
	case results != nil: // below
	case err == nil:
		err = s.fail(fault.UnknownOutcome, r.Op, "the answer holds no list of %d results at %q: %s", len(lot), lot[0].ws.Bulk.Results, s.client.Text(resp))
		fallthrough
	case kind == fault.Unavailable || kind == fault.UnknownOutcome || kind == fault.RateLimited || kind == fault.Auth:
		for _, b := range lot {
			b.Answer(err)
		}
		return
	default: // nothing of it is done: each says alone what is wrong
		if said := err.Error(); s.whole.Swap(said) != said {
			s.log.Warn("several documents in one request were refused as a whole: each is sent alone", "system", s.name, "error", said)
		}
		s.bulk.Again(lot, nil)
		return
	}
	s.whole.Store("")
	if why := disorder(lot, results); why != "" {
		for _, b := range lot {
			b.Answer(s.fail(fault.UnknownOutcome, b.op, "%s", why))
		}
		return
	}
	for i, b := range lot {
		var err error
		b.res, err = s.part(b, resp, results[i])
		b.Answer(err)
	}
}

// disorder says by what results are seen not to be in the order of the documents, although they are to be: then nobody knows which is whose, of those that
// show no object least. Empty: nothing speaks against it.
func disorder(lot []*bulked, results []jsondoc.Value) string {
	ids := map[string]bool{}
	for i, b := range lot {
		item := at(at(results[i], b.ws.Bulk.Body), b.ws.Item)
		id, external := b.o.answered(item, b.ws), ""
		if b.o.ExternalID != "" {
			external = text(at(item, b.o.ExternalID))
		}
		switch {
		case b.local != "" && id != "" && id != b.local, b.external != "" && external != "" && !connector.SameExternal(external, b.external):
			return fmt.Sprintf("result %d is about another object (%s) than document %d: results are not in the order of the documents, so nobody knows which is whose", i+1, cmp.Or(external, id), i+1)
		case id != "" && ids[id]:
			return fmt.Sprintf("the results give several documents the id %s", id)
		}
		ids[id] = true
	}
	return ""
}

// judge makes the judge of one write's answer.
func (s *system) judge(b *bulked) *judge {
	if b.creating {
		return s.creating(b.o, &b.ws.Success, b.sent)
	}
	return s.writing(b.o, &b.ws.Success, b.sent)
}

// request puts the documents of a lot into one body.
func (bs *bulkSettings) request(lot []*bulked) httpclient.Request {
	body := []byte{'['}
	for i, b := range lot {
		if i > 0 {
			body = append(body, ',')
		}
		if b.ws.Wrap == "" {
			body = append(body, b.doc...)
			continue
		}
		body = append(append(append(jsondoc.AppendString(append(body, '{'), b.ws.Wrap), ':'), b.doc...), '}')
	}
	body = append(body, ']')
	if bs.Items != "" {
		steps := strings.Split(bs.Items, ".")
		for i := len(steps) - 1; i >= 0; i-- {
			body = append(append(append(jsondoc.AppendString([]byte{'{'}, steps[i]), ':'), body...), '}')
		}
	}
	return httpclient.Request{Method: bs.Method, Path: bs.Path, Body: body, Op: fmt.Sprintf("%s (%d together)", lot[0].op, len(lot))}
}

// results are those of an answer, one for each of n documents; nil where it holds no such list.
func (bs *bulkSettings) results(resp *httpclient.Response, n int) []jsondoc.Value {
	root, err := resp.JSON()
	if err != nil {
		return nil
	}
	list := at(root, bs.Results)
	if list.Kind() != jsondoc.Array || list.Len() != n {
		return nil
	}
	all := make([]jsondoc.Value, 0, n)
	for v := range list.Elements() {
		all = append(all, v)
	}
	return all
}

// part reads one write's result as if it had been answered alone.
func (s *system) part(b *bulked, whole *httpclient.Response, v jsondoc.Value) (connector.Result, error) {
	bs := b.ws.Bulk
	part := &httpclient.Response{Status: http.StatusOK, Header: http.Header{}, Body: v.Raw(), URL: whole.URL}
	if bs.Status != "" {
		status, err := strconv.Atoi(text(at(v, bs.Status)))
		if err != nil || status < 100 || status > 599 {
			return connector.Result{}, s.fail(fault.UnknownOutcome, b.op, "the result holds no HTTP status at %q: %s", bs.Status, s.client.Text(part))
		}
		part.Status = status
	}
	said := at(v, bs.Body)
	part.Body = said.Raw()
	if bs.Status == "" && (said.Kind() == jsondoc.Missing || said.Kind() == jsondoc.Null) {
		return connector.Result{}, s.fail(fault.UnknownOutcome, b.op, "the result is %s: nothing says whether it was done", shown(said))
	}
	if err := s.client.Part(httpclient.Request{Method: bs.Method, Path: bs.Path, Op: b.op, Judge: s.judge(b).answer}, part); err != nil {
		return connector.Result{}, err
	}
	return s.result(b.op, b.o, b.ws, part, cmp.Or(b.local, b.ws.sent(b.doc)))
}
