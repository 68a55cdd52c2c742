package rest

import (
	"context"
	"fmt"
	"net/http"
	"strconv"
	"strings"

	"github.com/waybill-hub/waybill/internal/connector"
	"github.com/waybill-hub/waybill/internal/fault"
	"github.com/waybill-hub/waybill/internal/gather"
	"github.com/waybill-hub/waybill/internal/httpclient"
	"github.com/waybill-hub/waybill/internal/jsondoc"
)

// Write makes one change.
func (s *system) Write(ctx context.Context, w connector.Write) (connector.Result, error) {
	o, err := s.object(w.Object)
	if err != nil {
		return connector.Result{}, err
	}
	switch w.Action {
	case connector.Create:
		return s.create(ctx, o, &w)
	case connector.Update:
		return s.update(ctx, o, &w)
	case connector.Delete:
		return s.delete(ctx, o, &w)
	}
	return connector.Result{}, s.fail(fault.Invalid, string(w.Action)+" "+w.Object, "unknown action")
}

func (s *system) create(ctx context.Context, o *object, w *connector.Write) (connector.Result, error) {
	op := "create " + o.name
	body := w.Doc
	if o.ExternalID != "" && w.External != "" {
		var err error
		if body, err = withText(body, o.ExternalID, o.ExternalForm.Write(w.External)); err != nil {
			return connector.Result{}, s.fail(fault.Invalid, op, "the document is no JSON: %s", err)
		}
	}
	path := o.Create.Path
	if strings.Contains(path, "{external}") {
		if w.External == "" {
			return connector.Result{}, s.fail(fault.Invalid, op, "create.path holds {external}, and the hub has no id of its own for the object")
		}
		path, _ = expand(path, map[string]string{"external": o.ExternalForm.Write(w.External)}, httpclient.Escape)
	}
	one := func(ctx context.Context) (connector.Result, error) {
		r, err := s.request(&o.Create, op, path, body)
		if err != nil {
			return connector.Result{}, err
		}
		c := s.call(ActCreate, o, r)
		o.headers(&c.Request, w, "")
		resp, err := s.do(ctx, c, s.creating(o, &o.Create.Success, w.Doc))
		if err != nil {
			return connector.Result{}, err
		}
		return s.result(op, o, &o.Create, resp, o.Create.sent(body))
	}
	if o.Create.Bulk == nil {
		return one(ctx)
	}
	return s.gathered(&bulked{Place: gather.At(ctx), o: o, ws: &o.Create, creating: true, op: op, doc: body, sent: w.Doc, external: w.External, one: one})
}

// creating makes the judge of a create.
func (s *system) creating(o *object, own *successRules, sent []byte) *judge {
	j := s.writing(o, own, sent)
	j.creating = true
	return j
}

func (s *system) update(ctx context.Context, o *object, w *connector.Write) (connector.Result, error) {
	op := "update " + o.name
	path, err := pathOf(o.Update.Path, w.Local)
	if err != nil {
		return connector.Result{}, s.fail(fault.Invalid, op, "%s", err)
	}
	body, etag := w.Doc, w.ETag
	if o.Update.Style == "put" {
		if body, etag, err = s.merged(ctx, o, w); err != nil {
			return connector.Result{}, err
		}
	}
	if o.ETag == "body" && etag != "" {
		if body, err = withValue(body, o.ETagField, []byte(etag)); err != nil {
			return connector.Result{}, s.fail(fault.Invalid, op, "the document is no JSON: %s", err)
		}
	}
	one := func(ctx context.Context) (connector.Result, error) {
		r, err := s.request(&o.Update.writeSettings, op, path, body)
		if err != nil {
			return connector.Result{}, err
		}
		c := s.call(ActUpdate, o, r)
		c.ID, c.ETag = w.Local, etag
		o.headers(&c.Request, w, etag)
		if o.Update.Unchanged > 0 {
			c.Accept = []int{o.Update.Unchanged}
		}
		resp, err := s.do(ctx, c, s.writing(o, &o.Update.Success, w.Doc))
		if err != nil {
			return connector.Result{}, err
		}
		return s.result(op, o, &o.Update.writeSettings, resp, w.Local)
	}
	if o.Update.Bulk == nil || etag != "" && o.ETag != "body" { // a document has no place for a header's token
		return one(ctx)
	}
	doc, err := withText(body, o.Update.Bulk.ID, w.Local)
	if err != nil {
		return connector.Result{}, s.fail(fault.Invalid, op, "the document is no JSON: %s", err)
	}
	return s.gathered(&bulked{Place: gather.At(ctx), o: o, ws: &o.Update.writeSettings, op: op, doc: doc, sent: w.Doc, local: w.Local, one: one})
}

// merged reads the object and lays the change over it. Without a token of the caller's, the one just read guards the
// write, so that nothing is lost that somebody else writes in between.
func (s *system) merged(ctx context.Context, o *object, w *connector.Write) (body []byte, etag string, err error) {
	op := "read " + o.name + " before its update"
	found, err := s.get(ctx, o, w.Local, op)
	if err != nil {
		return nil, "", err
	}
	if found == nil {
		return nil, "", s.fail(fault.NotFound, op, "the object is gone")
	}
	if w.ETag != "" && found.ETag != "" && w.ETag != found.ETag {
		return nil, "", s.fail(fault.Conflict, op, "the object has changed meanwhile")
	}
	base, err := jsondoc.Parse(found.Doc, jsondoc.Limits{})
	if err != nil {
		return nil, "", s.fail(fault.Invalid, op, "the answer is no JSON: %s", err)
	}
	patch, err := jsondoc.Parse(w.Doc, jsondoc.Limits{})
	if err != nil {
		return nil, "", s.fail(fault.Invalid, op, "the document is no JSON: %s", err)
	}
	omit := make(map[string]bool, len(o.Update.Omit))
	for _, f := range o.Update.Omit {
		omit[f] = true
	}
	for name := range o.Get.Parts {
		omit[name] = true
	}
	if w.ETag != "" {
		found.ETag = w.ETag
	}
	return merge(nil, base.Root(), patch.Root(), omit), found.ETag, nil
}

func (s *system) delete(ctx context.Context, o *object, w *connector.Write) (connector.Result, error) {
	op := "delete " + o.name
	path, err := pathOf(o.Delete.Path, w.Local)
	if err != nil {
		return connector.Result{}, s.fail(fault.Invalid, op, "%s", err)
	}
	c := s.call(ActDelete, o, httpclient.Request{Method: o.Delete.Method, Path: path, Op: op})
	c.ID, c.ETag = w.Local, w.ETag
	o.headers(&c.Request, &connector.Write{}, w.ETag)
	resp, err := s.do(ctx, c, s.writing(o, &o.Delete.Success, nil))
	if err != nil {
		return connector.Result{}, err
	}
	return connector.Result{Local: w.Local, Status: strconv.Itoa(resp.Status), Answer: s.client.Answer(resp)}, nil
}

// request makes the call of a create or update. A dialect puts the document where it belongs.
func (s *system) request(ws *writeSettings, op, path string, body []byte) (httpclient.Request, error) {
	if ws.Pairs != nil {
		var err error
		if body, err = ws.Pairs.list(body); err != nil {
			return httpclient.Request{}, s.fail(fault.Invalid, op, "%s", err)
		}
	}
	if ws.Wrap != "" && s.dialect == nil {
		body = wrapped(ws.Wrap, body)
	}
	return httpclient.Request{Method: ws.Method, Path: path, Body: body, ContentType: ws.ContentType, Op: op}, nil
}

// headers adds what guards the write.
func (o *object) headers(r *httpclient.Request, w *connector.Write, etag string) {
	r.Header = http.Header{}
	if o.IdempotencyHeader != "" && w.IdempotencyKey != "" {
		r.Header.Set(o.IdempotencyHeader, w.IdempotencyKey)
	}
	if etag != "" && (o.ETag == "header" || o.ETag == "field") {
		r.Header.Set("If-Match", etag)
	}
}

// sent is the id that a document brings along.
func (ws *writeSettings) sent(doc []byte) string {
	if ws.SentID == "" {
		return ""
	}
	d, err := jsondoc.Parse(doc, jsondoc.Limits{})
	if err != nil {
		return ""
	}
	return text(at(d.Root(), ws.SentID))
}

// result reads what a write answered. local is the id where it is known already. What is answered is never all of an object with parts.
func (s *system) result(op string, o *object, ws *writeSettings, resp *httpclient.Response, local string) (connector.Result, error) {
	res := connector.Result{Local: local, Status: strconv.Itoa(resp.Status), Answer: s.client.Answer(resp)}
	if o.ETag == "header" {
		res.ETag = resp.Header.Get("ETag")
	}
	if len(strings.TrimSpace(string(resp.Body))) > 0 {
		root, err := s.parse(op, resp, false)
		if err != nil {
			return connector.Result{}, err
		}
		item := at(root, ws.Item)
		def(&res.Local, o.answered(item, ws))
		if ws.AnswerComplete == "complete" && len(o.Get.Parts) == 0 && item.Kind() == jsondoc.Object && at(item, o.ID).Exists() {
			res.Doc = item.Raw()
			res.ETag = o.etag(item, resp.Header.Get("ETag"))
		}
	}
	if res.Local == "" {
		res.Local = o.idAt(ws.address(resp))
	}
	if res.Local == "" {
		f := s.fail(fault.UnknownOutcome, op, "the answer holds no id at %q and names no place of the new object", strings.Trim(ws.Item+"."+ws.AnswerID, "."))
		f.Code = strconv.Itoa(resp.Status)
		if said := s.client.Text(resp); said != "" {
			f.Err = fmt.Errorf("%w: %s", f.Err, said)
		}
		return connector.Result{}, f
	}
	return res, nil
}

// address is where an answer says that the new object is. The Location of a 202 leads to a report about the work, not to the object.
func (ws *writeSettings) address(resp *httpclient.Response) string {
	if ws.AnswerHeader != "" {
		return resp.Header.Get(ws.AnswerHeader)
	}
	if id := resp.Header.Get("OData-EntityId"); id != "" {
		return id
	}
	if resp.Status == http.StatusAccepted {
		return ""
	}
	return resp.Header.Get("Location")
}
