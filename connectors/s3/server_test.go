package s3

import (
	"bufio"
	"context"
	"crypto/md5"
	"encoding/hex"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"maps"
	"math/rand/v2"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/minio/minio-go/v7"
	"github.com/minio/minio-go/v7/pkg/credentials"

	"github.com/waybill-hub/waybill/internal/childtest"
	"github.com/waybill-hub/waybill/internal/drop/droptest"
	"github.com/waybill-hub/waybill/internal/needtest"
	"github.com/waybill-hub/waybill/internal/porttest"
)

const (
	accessKey = "access-of-tests"
	secretKey = "secret-of-tests"
)

// service is one for tests: a double in this process, or Versity's gateway.
type service struct {
	addr string
}

// double is as much of S3 as is used, in memory.
type double struct {
	mu      sync.Mutex
	buckets map[string]map[string]*object
	instead func(http.ResponseWriter, *http.Request, http.Handler) bool
}

type object struct {
	data  []byte
	meta  http.Header
	etag  string
	mtime time.Time
}

func startDouble(t testing.TB) (*service, *double) {
	d := &double{buckets: map[string]map[string]*object{}}
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if d.instead == nil || !d.instead(w, r, d) {
			d.ServeHTTP(w, r)
		}
	}))
	t.Cleanup(s.Close)
	return &service{addr: strings.TrimPrefix(s.URL, "http://")}, d
}

func (d *double) fail(w http.ResponseWriter, status int, code string) {
	w.Header().Set("Content-Type", "application/xml")
	w.WriteHeader(status)
	fmt.Fprintf(w, "<Error><Code>%s</Code><Message>%s, it says</Message></Error>", code, code)
}

func (d *double) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if !strings.Contains(r.Header.Get("Authorization"), "Credential="+accessKey+"/") {
		d.fail(w, 403, "InvalidAccessKeyId")
		return
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	name, key, _ := strings.Cut(strings.TrimPrefix(r.URL.Path, "/"), "/")
	if r.Method == "PUT" && key == "" {
		d.buckets[name] = map[string]*object{}
		return
	}
	b := d.buckets[name]
	if b == nil {
		d.fail(w, 404, "NoSuchBucket")
		return
	}
	o := b[key]
	switch {
	case key == "":
		d.list(w, b, r.URL.Query().Get("prefix"))
	case r.Method == "PUT" && r.Header.Get("X-Amz-Copy-Source") != "":
		_, from, _ := strings.Cut(strings.TrimPrefix(r.Header.Get("X-Amz-Copy-Source"), "/"), "/")
		src := b[from]
		if src == nil {
			d.fail(w, 404, "NoSuchKey")
			return
		}
		if m := r.Header.Get("X-Amz-Copy-Source-If-Match"); m != "" && strings.Trim(m, `"`) != src.etag {
			d.fail(w, 412, "PreconditionFailed")
			return
		}
		b[key] = &object{src.data, src.meta, src.etag, time.Now()}
		fmt.Fprintf(w, "<CopyObjectResult><ETag>%q</ETag><LastModified>%s</LastModified></CopyObjectResult>", src.etag, time.Now().UTC().Format(time.RFC3339))
	case r.Method == "PUT":
		if r.Header.Get("If-None-Match") == "*" && o != nil {
			d.fail(w, 412, "PreconditionFailed")
			return
		}
		data, err := payload(r)
		if err != nil {
			d.fail(w, 400, "IncompleteBody")
			return
		}
		sum := md5.Sum(data)
		o = &object{data, http.Header{}, hex.EncodeToString(sum[:]), time.Now()}
		for k, v := range r.Header {
			if strings.HasPrefix(k, "X-Amz-Meta-") {
				o.meta[k] = v
			}
		}
		b[key] = o
		w.Header().Set("ETag", strconv.Quote(o.etag))
	case r.Method == "DELETE":
		if m := r.Header.Get("If-Match"); m != "" && o != nil && strings.Trim(m, `"`) != o.etag {
			d.fail(w, 412, "PreconditionFailed")
			return
		}
		delete(b, key)
		w.WriteHeader(204)
	case o == nil:
		d.fail(w, 404, "NoSuchKey")
	default:
		if m := r.Header.Get("If-Match"); m != "" && strings.Trim(m, `"`) != o.etag {
			d.fail(w, 412, "PreconditionFailed")
			return
		}
		maps.Copy(w.Header(), o.meta)
		w.Header().Set("ETag", strconv.Quote(o.etag))
		http.ServeContent(w, r, "", o.mtime, strings.NewReader(string(o.data)))
	}
}

// payload reads a body, which may come in signed chunks.
func payload(r *http.Request) ([]byte, error) {
	if !strings.HasPrefix(r.Header.Get("X-Amz-Content-Sha256"), "STREAMING") {
		return io.ReadAll(r.Body)
	}
	in := bufio.NewReader(r.Body)
	var out []byte
	for {
		line, err := in.ReadString('\n')
		if err != nil {
			return nil, err
		}
		digits, _, _ := strings.Cut(line, ";")
		n, err := strconv.ParseInt(strings.TrimSpace(digits), 16, 64)
		if err != nil || n == 0 {
			return out, err
		}
		chunk := make([]byte, n+2)
		if _, err := io.ReadFull(in, chunk); err != nil {
			return nil, err
		}
		out = append(out, chunk[:n]...)
	}
}

func (d *double) list(w http.ResponseWriter, b map[string]*object, prefix string) {
	type content struct {
		Key          string
		LastModified string
		ETag         string
		Size         int
	}
	type common struct{ Prefix string }
	var out struct {
		XMLName        xml.Name `xml:"ListBucketResult"`
		IsTruncated    bool
		Contents       []content
		CommonPrefixes []common
	}
	for _, key := range slices.Sorted(maps.Keys(b)) {
		rest, ok := strings.CutPrefix(key, prefix)
		if !ok {
			continue
		}
		if dir, _, below := strings.Cut(rest, "/"); below {
			if c := (common{prefix + dir + "/"}); !slices.Contains(out.CommonPrefixes, c) {
				out.CommonPrefixes = append(out.CommonPrefixes, c)
			}
			continue
		}
		o := b[key]
		out.Contents = append(out.Contents, content{key, o.mtime.UTC().Format("2006-01-02T15:04:05.000Z"), strconv.Quote(o.etag), len(o.data)})
	}
	w.Header().Set("Content-Type", "application/xml")
	_ = xml.NewEncoder(w).Encode(out)
}

var gateway struct {
	once    sync.Once
	addr    string
	child   *childtest.Child
	dir     string
	missing string
	err     error
}

const gatewayVersion = "v1.8.0"

// startGateway starts Versity's gateway, an S3 service over a folder, once for all tests. It is had from Go's module proxy.
func startGateway(t testing.TB) *service {
	t.Helper()
	needtest.Systems(t, "Go's module proxy, for Versity's S3 gateway")
	gateway.once.Do(func() { gateway.err = runGateway() })
	if gateway.missing != "" {
		needtest.Missing(t, "Versity's S3 gateway: %s", gateway.missing)
	}
	if gateway.err != nil {
		t.Fatal(gateway.err)
	}
	return &service{addr: gateway.addr}
}

func runGateway() error {
	cache, err := os.UserCacheDir()
	if err != nil {
		return err
	}
	bin := path.Join(cache, "waybill", "versitygw-"+gatewayVersion)
	program := path.Join(bin, "versitygw")
	if _, err := os.Stat(program); err != nil {
		build := exec.Command("go", "install", "github.com/versity/versitygw/cmd/versitygw@"+gatewayVersion)
		build.Dir = os.TempDir()
		build.Env = append(os.Environ(), "GOBIN="+bin, "GOFLAGS=")
		if out, err := build.CombinedOutput(); err != nil {
			gateway.missing = fmt.Sprintf("it cannot be built: %v: %.300s", err, out)
			return nil
		}
	}
	if gateway.dir, err = os.MkdirTemp("", "versitygw-"); err != nil {
		return err
	}
	for _, d := range []string{"data", "sidecar"} {
		if err := os.Mkdir(path.Join(gateway.dir, d), 0o700); err != nil {
			return err
		}
	}
	if gateway.addr, err = porttest.Addr(); err != nil {
		return err
	}
	cmd := exec.Command(program, "--access", accessKey, "--secret", secretKey, "--port", gateway.addr, "--quiet", "posix", "--sidecar", path.Join(gateway.dir, "sidecar"), path.Join(gateway.dir, "data"))
	if gateway.child, err = childtest.Start("versitygw", syscall.SIGTERM, cmd); err != nil {
		return err
	}
	return gateway.child.Await(30*time.Second, func(ctx context.Context) error {
		c, err := (&net.Dialer{}).DialContext(ctx, "tcp", gateway.addr)
		if err == nil {
			err = c.Close()
		}
		return err
	})
}

func stopGateway() error {
	if gateway.child == nil {
		return nil
	}
	return errors.Join(gateway.child.Stop(), os.RemoveAll(gateway.dir))
}

// outside is the other side: another client of the same bucket.
type outside struct {
	client         *minio.Client
	bucket, prefix string
}

func (s *service) place(t testing.TB) droptest.Place {
	t.Helper()
	tr, err := minio.DefaultTransport(false)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(tr.CloseIdleConnections)
	c, err := minio.New(s.addr, &minio.Options{Creds: credentials.NewStaticV4(accessKey, secretKey, ""), Region: "us-east-1", BucketLookup: minio.BucketLookupPath, Transport: tr})
	if err != nil {
		t.Fatal(err)
	}
	o := &outside{c, fmt.Sprintf("b%d", rand.Uint64()), "exchange/wms"}
	if err := c.MakeBucket(context.Background(), o.bucket, minio.MakeBucketOptions{}); err != nil {
		t.Fatal(err)
	}
	system := fmt.Sprintf("connector: s3\nendpoint: %s\nbucket: %s\nprefix: exchange/wms\ntls: false\nstyle: path\naccess-key: ${env:ACCESS}\nsecret-key: ${env:SECRET}\n", s.addr, o.bucket)
	return droptest.Place{Kind: Kind{}, System: system, Env: droptest.Env{"ACCESS": accessKey, "SECRET": secretKey, "WRONG": "another-access-key"}, Side: o}
}

func (o *outside) key(name string) string { return path.Join(o.prefix, name) }

func (o *outside) Put(t testing.TB, name, text string) {
	t.Helper()
	if _, err := o.client.PutObject(context.Background(), o.bucket, o.key(name), strings.NewReader(text), int64(len(text)), minio.PutObjectOptions{}); err != nil {
		t.Fatal(err)
	}
}

func (o *outside) List(t testing.TB, dir string) string {
	t.Helper()
	prefix := o.key(dir) + "/"
	var out []string
	for x := range o.client.ListObjects(context.Background(), o.bucket, minio.ListObjectsOptions{Prefix: prefix}) {
		if x.Err != nil {
			t.Fatal(x.Err)
		}
		if name := strings.TrimPrefix(x.Key, prefix); !strings.HasSuffix(name, "/") {
			out = append(out, name)
		}
	}
	slices.Sort(out)
	return strings.Join(out, " ")
}

func (o *outside) Content(t testing.TB, name string) string {
	t.Helper()
	x, err := o.client.GetObject(context.Background(), o.bucket, o.key(name), minio.GetObjectOptions{})
	if err != nil {
		t.Fatal(err)
	}
	defer x.Close()
	b, err := io.ReadAll(x)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

func (o *outside) Remove(t testing.TB, name string) {
	t.Helper()
	if err := o.client.RemoveObject(context.Background(), o.bucket, o.key(name), minio.RemoveObjectOptions{}); err != nil {
		t.Fatal(err)
	}
}
