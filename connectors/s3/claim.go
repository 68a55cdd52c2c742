package s3

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"path"
	"time"

	"github.com/minio/minio-go/v7"

	"github.com/waybill-hub/waybill/internal/drop"
	"github.com/waybill-hub/waybill/internal/fault"
	"github.com/waybill-hub/waybill/internal/jsondoc"
)

var _ drop.Claimer = (*folder)(nil)

// claims is the folder of the marks, beside the files. Each stands for one file and says who takes it and whereto. A mark goes after its file has gone: who makes one
// later finds no file.
const claims = ".claims"

// mostMark bounds what is read of a mark.
const mostMark = 4 << 10

// mark is what a mark says.
type mark struct {
	Claim string `json:"claim"` // the folder of who claims
	Name  string `json:"name"`  // under which the file is to lie there
	From  string `json:"from"`
	ETag  string `json:"etag"`

	at   string // the mark's own name
	made time.Time
}

// markOf is the name of the mark of a file.
func markOf(from string, i *info) string {
	return path.Join(claims, fmt.Sprintf("%s.%016x", from, i.time.UnixNano()))
}

func (m *mark) is(i *info) bool { return i.etag == m.ETag && markOf(m.From, i) == m.at }

// Claim makes the mark of a file, which the service lets one alone do, and then moves it.
func (f *folder) Claim(was fs.FileInfo, from, dir, name string) (string, error) {
	if err := f.knowsConditions(); err != nil {
		return "", err
	}
	i, _, err := f.stat(from)
	if err != nil {
		return "", err
	}
	if i.Size() != was.Size() || !i.ModTime().Equal(was.ModTime()) {
		return "", drop.ErrReplaced
	}
	m := &mark{Claim: dir, Name: name, From: from, ETag: i.etag, at: markOf(from, i)}
	data, err := json.Marshal(m)
	if err != nil {
		return "", err
	}
	switch err := f.putNew(m.at, data); {
	case errors.Is(err, errCondition):
		theirs, err := f.markAt(m.at)
		if err != nil {
			return "", err // gone again: so is the file, or it is free at the next look
		}
		if theirs.Claim != dir {
			return "", &drop.Claimed{By: theirs.Claim, Since: theirs.made, Mark: m.at}
		}
		m = theirs // it was begun before
	case err != nil:
		return "", err // if it was made all the same, Resume finds it
	}
	return path.Join(m.Claim, m.Name), f.finish(m)
}

// Resume ends the claims of a folder that somebody has begun and not ended.
func (f *folder) Resume(dir string) error {
	entries, err := f.List(claims)
	if err != nil {
		return err
	}
	for _, e := range entries {
		if e.Name() == conditions || e.IsDir() {
			continue
		}
		m, err := f.markAt(path.Join(claims, e.Name()))
		if errors.Is(err, fs.ErrNotExist) {
			continue // ended meanwhile
		}
		if err != nil {
			return err
		}
		if m.Claim != dir {
			continue
		}
		if err := f.finish(m); err != nil && !errors.Is(err, fs.ErrNotExist) && !errors.Is(err, drop.ErrReplaced) {
			return err
		}
	}
	return nil
}

// finish moves a file that was marked, from wherever that was left. What is not there any more, or is another file, is so for good: its mark goes as well.
func (f *folder) finish(m *mark) error {
	i, _, err := f.stat(m.From)
	switch {
	case errors.Is(err, fs.ErrNotExist):
	case err != nil:
		return err
	case !m.is(i):
		err = drop.ErrReplaced
	default:
		err = f.carry(i, m.From, path.Join(m.Claim, m.Name))
	}
	if err != nil && !errors.Is(err, fs.ErrNotExist) && !errors.Is(err, drop.ErrReplaced) {
		return err
	}
	if gone := f.Remove(m.at); gone != nil {
		return gone
	}
	if errors.Is(err, drop.ErrReplaced) { // behind the copy as well: then what was claimed lies in its folder, and what has come is another file
		if _, there := f.Stat(path.Join(m.Claim, m.Name)); there == nil {
			return nil
		}
	}
	return err
}

// carry copies a file where it is to lie, unless it lies there, and removes it.
func (f *folder) carry(i *info, from, to string) error {
	_, err := f.Stat(to)
	if errors.Is(err, fs.ErrNotExist) {
		err = f.copy(i, from, to)
	}
	if err != nil {
		return err
	}
	return f.leave(i, from)
}

// markAt reads a mark.
func (f *folder) markAt(at string) (*mark, error) {
	core := minio.Core{Client: f.b.client}
	body, about, _, err := core.GetObject(f.ctx, f.b.set.Bucket, f.key(at), minio.GetObjectOptions{})
	if err != nil {
		return nil, answered(f.key(at), err)
	}
	defer body.Close()
	data, err := io.ReadAll(io.LimitReader(body, mostMark))
	if err != nil {
		return nil, fault.New(fault.Unavailable, "%s: %w", f.key(at), err)
	}
	m := &mark{at: at, made: about.LastModified}
	if doc, err := jsondoc.Parse(data, jsondoc.Limits{Bytes: mostMark}); err == nil {
		for key, to := range map[string]*string{"claim": &m.Claim, "name": &m.Name, "from": &m.From, "etag": &m.ETag} {
			*to = doc.Root().Get(key).Str()
		}
	}
	if m.Claim == "" || m.Name == "" || m.From == "" { // somebody else's: nobody but them knows what it stands for
		m.Claim = "(it does not say)"
	}
	return m, nil
}

// putNew makes a file where there is none.
func (f *folder) putNew(name string, data []byte) error {
	opts := minio.PutObjectOptions{DisableMultipart: true}
	opts.SetMatchETagExcept("*")
	return f.put(name, data, opts)
}

// conditions is the name of the file by which it is seen that a service lets one alone make a file.
const conditions = ".conditions"

// knowsConditions asks the service once to make a file that is there: one that does takes no conditions, and two could claim one file.
func (f *folder) knowsConditions() error {
	if f.b.conditions.Load() {
		return nil
	}
	at := path.Join(claims, conditions)
	for range 2 { // the first time the file is new, in this folder
		err := f.putNew(at, []byte("By this file the hub sees that the service lets one alone make a file of a name.\n"))
		if errors.Is(err, errCondition) {
			f.b.conditions.Store(true)
			return nil
		}
		if err != nil {
			return err
		}
	}
	return fault.New(fault.Unavailable, "the service has made a file that was there in spite of the condition If-None-Match, so that two could claim one file: take `claim` away, and give each program that takes files a prefix of its own")
}

// matched is the condition of a removal in its context. The library has none for removals; its signature does not cover the header.
type matched struct{}

// conditional adds the condition of a removal.
type conditional struct{ http.RoundTripper }

func (c conditional) RoundTrip(r *http.Request) (*http.Response, error) {
	if etag, ok := r.Context().Value(matched{}).(string); ok && r.Method == http.MethodDelete {
		r = r.Clone(r.Context())
		r.Header.Set("If-Match", `"`+etag+`"`)
	}
	return c.RoundTripper.RoundTrip(r)
}

// leave removes a file that was copied, unless another has come under its name. A service that knows no condition for that is asked right before.
func (f *folder) leave(i *info, from string) error {
	now, _, err := f.stat(from)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return f.b.copies.Forget(f.key(from))
	case err != nil:
		return err
	case now.etag != i.etag:
		return drop.ErrReplaced
	}
	err = f.remove(context.WithValue(f.ctx, matched{}, i.etag), from)
	if is, ok := fault.As(err); ok && is.Code == "NotImplemented" {
		err = f.remove(f.ctx, from)
	}
	switch {
	case errors.Is(err, errCondition):
		return drop.ErrReplaced
	case err != nil && !errors.Is(err, fs.ErrNotExist):
		return err
	}
	return f.b.copies.Forget(f.key(from))
}

func (f *folder) remove(ctx context.Context, name string) error {
	return answered(f.key(name), f.b.client.RemoveObject(ctx, f.b.set.Bucket, f.key(name), minio.RemoveObjectOptions{}))
}
