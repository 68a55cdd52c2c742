package rest

import (
	"context"
	"net/http"
	"net/url"
	"strings"

	"github.com/waybill-hub/waybill/internal/connector"
	"github.com/waybill-hub/waybill/internal/fault"
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
		if body, err = withText(body, o.ExternalID, w.External); err != nil {
			return connector.Result{}, s.fail(fault.Invalid, op, "the document is no JSON: %s", err)
		}
	}
	r := o.Create.request(op, o.Create.Path, body)
	o.headers(&r, w, "")
	resp, err := s.client.Do(ctx, r)
	if err != nil {
		if f, ok := fault.As(err); ok && resp != nil {
			f.Duplicate = resp.Status == http.StatusConflict
			if f.Kind == fault.NotFound { // a collection that is not there is no object that is gone
				f.Kind = fault.Invalid
			}
			s.explain(err, resp)
		}
		return connector.Result{}, err
	}
	return s.result(op, o, &o.Create, resp, "")
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
	r := o.Update.request(op, path, body)
	o.headers(&r, w, etag)
	resp, err := s.do(ctx, r)
	if err != nil {
		return connector.Result{}, err
	}
	return s.result(op, o, &o.Update.writeSettings, resp, w.Local)
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
	r := httpclient.Request{Method: o.Delete.Method, Path: path, Op: op}
	o.headers(&r, &connector.Write{}, w.ETag)
	if _, err := s.do(ctx, r); err != nil {
		return connector.Result{}, err
	}
	return connector.Result{Local: w.Local}, nil
}

// request makes the call of a create or update.
func (ws *writeSettings) request(op, path string, body []byte) httpclient.Request {
	if ws.Wrap != "" {
		wrapped := append(jsondoc.AppendString([]byte{'{'}, ws.Wrap), ':')
		body = append(append(wrapped, body...), '}')
	}
	return httpclient.Request{Method: ws.Method, Path: path, Body: body, ContentType: ws.ContentType, Op: op}
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

// result reads what a write answered. local is the id where it is known already.
func (s *system) result(op string, o *object, ws *writeSettings, resp *httpclient.Response, local string) (connector.Result, error) {
	res := connector.Result{Local: local}
	if o.ETag == "header" {
		res.ETag = resp.Header.Get("ETag")
	}
	if len(strings.TrimSpace(string(resp.Body))) > 0 {
		root, err := s.parse(op, resp, false)
		if err != nil {
			return connector.Result{}, err
		}
		item := at(root, ws.Item)
		if id := text(at(item, ws.AnswerID)); id != "" && res.Local == "" {
			res.Local = id
		}
		if ws.AnswerComplete == "complete" && item.Kind() == jsondoc.Object && at(item, o.ID).Exists() {
			res.Doc = item.Raw()
			res.ETag = o.etag(item, resp.Header.Get("ETag"))
		}
	}
	if res.Local == "" {
		res.Local = lastSegment(resp.Header.Get("Location"))
	}
	if res.Local == "" {
		f := s.fail(fault.UnknownOutcome, op, "the answer holds no id at %q and no Location", strings.Trim(ws.Item+"."+ws.AnswerID, "."))
		return connector.Result{}, f
	}
	return res, nil
}

func lastSegment(location string) string {
	u, err := url.Parse(location)
	if err != nil {
		return ""
	}
	path := strings.TrimRight(u.EscapedPath(), "/")
	id, err := url.PathUnescape(path[strings.LastIndexByte(path, '/')+1:])
	if err != nil {
		return ""
	}
	return id
}
