package s3

import (
	"bytes"
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"path"
	"slices"
	"strings"
	"time"

	"github.com/minio/minio-go/v7"

	"github.com/waybill-hub/waybill/internal/drop"
	"github.com/waybill-hub/waybill/internal/fault"
)

// folder is what lies below one path. Calls are made anew by whoever makes them; what breaks off is not tried again here.
type folder struct {
	b    *bucket
	ctx  context.Context
	base string
}

func (f *folder) Close() error { return nil }

func (f *folder) key(name string) string { return path.Join(f.base, name) }

// info tells of a file. Its time has, below the seconds that the service gives, what its ETag says: two contents that come within a second under one name are two.
type info struct {
	name string
	size int64
	time time.Time
	etag string
	dir  bool
}

func (i *info) Name() string       { return i.name }
func (i *info) Size() int64        { return i.size }
func (i *info) ModTime() time.Time { return i.time }
func (i *info) IsDir() bool        { return i.dir }
func (i *info) Sys() any           { return nil }
func (i *info) Mode() fs.FileMode {
	if i.dir {
		return fs.ModeDir | 0o755
	}
	return 0o644
}

func infoOf(o *minio.ObjectInfo) *info {
	etag := strings.Trim(o.ETag, `"`)
	sum := sha256.Sum256([]byte(etag))
	fraction := time.Duration(binary.BigEndian.Uint64(sum[:]) % uint64(time.Second))
	return &info{name: path.Base(o.Key), size: o.Size, time: o.LastModified.UTC().Truncate(time.Second).Add(fraction), etag: etag}
}

// List gives what a path holds, as names with slashes divide it.
func (f *folder) List(dir string) ([]fs.DirEntry, error) {
	prefix := f.key(dir)
	if prefix == "." {
		prefix = ""
	} else {
		prefix += "/"
	}
	var out []fs.DirEntry
	for o := range f.b.client.ListObjectsIter(f.ctx, f.b.set.Bucket, minio.ListObjectsOptions{Prefix: prefix}) {
		if o.Err != nil {
			return nil, answered(f.b.set.Bucket+"/"+prefix, o.Err)
		}
		switch name := strings.TrimPrefix(o.Key, prefix); {
		case strings.HasSuffix(name, "/"):
			out = append(out, fs.FileInfoToDirEntry(&info{name: strings.TrimSuffix(name, "/"), dir: true}))
		case name != "":
			out = append(out, fs.FileInfoToDirEntry(infoOf(&o)))
		}
	}
	if err := f.ctx.Err(); err != nil { // between two pages the listing ends with it as if that were all
		return nil, fault.New(fault.Unavailable, "%w", err)
	}
	slices.SortFunc(out, func(a, b fs.DirEntry) int { return strings.Compare(a.Name(), b.Name()) })
	return out, nil
}

func (f *folder) Stat(name string) (fs.FileInfo, error) {
	i, _, err := f.stat(name)
	if err != nil {
		return nil, err
	}
	return i, nil
}

// stat also gives the token of the call that made the file.
func (f *folder) stat(name string) (*info, string, error) {
	o, err := f.b.client.StatObject(f.ctx, f.b.set.Bucket, f.key(name), minio.StatObjectOptions{})
	if err != nil {
		return nil, "", answered(f.key(name), err)
	}
	return infoOf(&o), o.UserMetadata[tokenName], nil
}

// tokenName is the metadata by which a call knows a file that it has made, in the form of HTTP headers.
const tokenName = "Waybill-Call"

// Open copies a file, or the rest of it.
func (f *folder) Open(name string) (drop.File, error) {
	i, _, err := f.stat(name)
	if err != nil {
		return nil, err
	}
	return f.b.copies.Open(f.key(name), i, func(from int64, to io.Writer) error {
		var opts minio.GetObjectOptions
		if err := opts.SetMatchETag(i.etag); err != nil {
			return err
		}
		if from > 0 {
			if err := opts.SetRange(from, 0); err != nil {
				return err
			}
		}
		core := minio.Core{Client: f.b.client}
		body, _, _, err := core.GetObject(f.ctx, f.b.set.Bucket, f.key(name), opts)
		if err != nil {
			return answered(f.key(name), err)
		}
		defer body.Close()
		if _, err := io.Copy(to, body); err != nil {
			return fault.New(fault.Unavailable, "%s: %w", f.key(name), err)
		}
		return nil
	})
}

// Create makes a file with one call, which the service refuses where the name is taken. What has become of a call without an answer is looked up by its token.
func (f *folder) Create(name string, data []byte, ask func() error) error {
	if _, _, err := f.stat(name); err == nil { // also for services that know no condition
		return &fs.PathError{Op: "create", Path: name, Err: fs.ErrExist}
	} else if !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	if err := ask(); err != nil {
		return err
	}
	token := rand.Text()
	opts := minio.PutObjectOptions{DisableMultipart: true, UserMetadata: map[string]string{tokenName: token}}
	opts.SetMatchETagExcept("*")
	err := f.put(name, data, opts)
	if err == nil {
		return nil
	}
	failed, is := fault.As(err)
	refused := is && failed.Code != "" && failed.Code != "InternalError"
	if refused {
		return err
	}
	_, made, lookErr := f.stat(name)
	switch {
	case lookErr == nil && made == token:
		return nil
	case lookErr == nil:
		return &fs.PathError{Op: "create", Path: name, Err: fs.ErrExist}
	case errors.Is(err, errCondition):
		return err // it was there, and is gone
	}
	return fmt.Errorf("%w: %w", drop.ErrUnknown, err)
}

func (f *folder) put(name string, data []byte, opts minio.PutObjectOptions) error {
	_, err := f.b.client.PutObject(f.ctx, f.b.set.Bucket, f.key(name), bytes.NewReader(data), int64(len(data)), opts)
	return answered(f.key(name), err)
}

func (f *folder) Put(name string, data []byte) error {
	return f.put(name, data, minio.PutObjectOptions{DisableMultipart: true})
}

// Move copies a file and removes it. One that is replaced in between stays; what was copied of the one before is where that belongs.
func (f *folder) Move(was fs.FileInfo, from, to string) error {
	i, _, err := f.stat(from)
	if err != nil {
		return err
	}
	if i.Size() != was.Size() || !i.ModTime().Equal(was.ModTime()) {
		return drop.ErrReplaced
	}
	if err := f.copy(i, from, to); err != nil {
		return err
	}
	return f.leave(i, from)
}

// copy copies the very file that was looked at.
func (f *folder) copy(i *info, from, to string) error {
	_, err := f.b.client.CopyObject(f.ctx, minio.CopyDestOptions{Bucket: f.b.set.Bucket, Object: f.key(to)},
		minio.CopySrcOptions{Bucket: f.b.set.Bucket, Object: f.key(from), MatchETag: i.etag})
	if err = answered(f.key(from), err); errors.Is(err, errCondition) {
		return drop.ErrReplaced
	}
	return err
}

func (f *folder) Remove(name string) error { return f.remove(f.ctx, name) }
