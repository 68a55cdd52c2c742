package s3

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net/http"
	"os"
	"strings"
	"sync/atomic"
	"testing"

	"go.uber.org/goleak"

	"github.com/waybill-hub/waybill/internal/connector"
	"github.com/waybill-hub/waybill/internal/connector/connectortest"
	"github.com/waybill-hub/waybill/internal/drop"
	"github.com/waybill-hub/waybill/internal/drop/droptest"
	"github.com/waybill-hub/waybill/internal/fault"
	"github.com/waybill-hub/waybill/internal/strictyaml"
)

func TestMain(m *testing.M) {
	code := m.Run()
	if err := stopGateway(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		code = 1
	}
	if err := goleak.Find(); code == 0 && err != nil {
		fmt.Fprintln(os.Stderr, err)
		code = 1
	}
	os.Exit(code)
}

func TestProblems(t *testing.T) { connectortest.Problems(t, Kind{}, "testdata/problems") }

func TestDrop(t *testing.T) {
	s, _ := startDouble(t)
	droptest.Run(t, s.place)
}

func TestConformance(t *testing.T) {
	s, _ := startDouble(t)
	conformance(t, s)
}

// The same on Versity's gateway.

func TestVersityDrop(t *testing.T) { droptest.Run(t, startGateway(t).place) }

func TestVersityConformance(t *testing.T) { conformance(t, startGateway(t)) }

func conformance(t *testing.T, s *service) {
	droptest.Conformance(t, s.place, func(p droptest.Place, objects string) droptest.Trouble {
		with := func(old, now string) func(testing.TB, *connector.Settings) {
			return func(t testing.TB, set *connector.Settings) {
				system := strings.Replace(p.System, old, now, 1)
				if system == p.System {
					t.Fatalf("%q is not in the settings", old)
				}
				*set = droptest.SettingsOf(t, system+"objects: "+objects, p.Env)
			}
		}
		dead := with(s.addr, "127.0.0.1:1")
		return droptest.Trouble{
			Secrets: []string{secretKey},
			Faults: []connectortest.Fault{
				{Name: "nobody listens", Want: fault.Unavailable, Arrange: dead},
				{Name: "no bucket", Want: fault.Unavailable, Arrange: with("bucket: ", "bucket: no-")},
			},
			Probes: []connectortest.Probe{
				{Name: "nothing in it"},
				{Name: "files in it", Arrange: func(t testing.TB, _ *connector.Settings) { p.Side.Put(t, "x", "") }},
				{Name: "no bucket", Want: fault.Unavailable, Create: fault.Unavailable, Text: "NoSuchBucket", Arrange: with("bucket: ", "bucket: no-")},
				{Name: "nobody listens", Want: fault.Unavailable, Create: fault.Unavailable, Text: "refused", Arrange: dead},
				{Name: "another access key", Want: fault.Auth, Create: fault.Auth, Text: "the service says", Arrange: with("${env:ACCESS}", "${env:WRONG}")},
			},
		}
	})
}

// TestLostAnswers: a call whose answer is lost has made its file or not, and is not taken for another's.
func TestLostAnswers(t *testing.T) {
	for name, c := range map[string]struct {
		before, after bool // what becomes of the call: the connection breaks before it is carried out, or after
		look          bool // the look breaks as well
		want          fault.Kind
		files         string
	}{
		"after":                   {after: true, want: fault.None, files: "stock-e-1.jsonl"},
		"before":                  {before: true, want: fault.UnknownOutcome},
		"after, and the look too": {after: true, look: true, want: fault.UnknownOutcome, files: "stock-e-1.jsonl"},
	} {
		t.Run(name, func(t *testing.T) {
			s, double := startDouble(t)
			d := droptest.New(t, s.place(t), "{format: jsonl}")
			var broken atomic.Bool
			double.instead = func(w http.ResponseWriter, r *http.Request, real http.Handler) bool {
				switch {
				case r.Method == "PUT" && broken.CompareAndSwap(false, true):
					if c.after {
						real.ServeHTTP(&silent{header: http.Header{}}, r)
					}
				case r.Method == "HEAD" && broken.Load() && c.look:
				default:
					return false
				}
				conn, _, err := http.NewResponseController(w).Hijack()
				if err == nil {
					conn.Close()
				}
				return true
			}
			_, err := d.Deliver("e-1", `{"a":1}`)
			if fault.KindOf(err) != c.want {
				t.Errorf("%v, want %v", err, c.want)
			}
			if got := d.List(t, "."); got != c.files {
				t.Errorf("in the bucket: %q", got)
			}
		})
	}
}

// silent takes an answer that nobody gets.
type silent struct{ header http.Header }

func (s *silent) Header() http.Header         { return s.header }
func (s *silent) Write(b []byte) (int, error) { return len(b), nil }
func (s *silent) WriteHeader(int)             {}

// TestResume: a file that breaks off while it comes is gone on with where it ended.
func TestResume(t *testing.T) {
	s, double := startDouble(t)
	d := droptest.New(t, s.place(t), "{format: jsonl, ready: {when: renamed}}")
	row := `{"x":"` + strings.Repeat("a", 1000) + "\"}\n"
	d.Put(t, "a.jsonl", strings.Repeat(row, 1000))
	var ranges []string
	double.instead = func(w http.ResponseWriter, r *http.Request, real http.Handler) bool {
		if r.Method != "GET" || !strings.HasSuffix(r.URL.Path, "a.jsonl") {
			return false
		}
		if ranges = append(ranges, r.Header.Get("Range")); len(ranges) > 1 {
			return false
		}
		real.ServeHTTP(&half{w, 400_000}, r)
		return true
	}
	if files, err := d.Pending(t.Context(), "stock"); fault.KindOf(err) != fault.Unavailable {
		t.Errorf("half a file is pending: %+v %v", files, err)
	}
	files, names := d.Files()
	if names != "a.jsonl" || strings.Count(d.Rows(files[0], 0), "\n") != 1000 {
		t.Fatalf("%q", names)
	}
	if len(ranges) != 2 || !strings.HasPrefix(ranges[1], "bytes=") || ranges[1] == "bytes=0-" {
		t.Errorf("%q", ranges)
	}
}

// half breaks off.
type half struct {
	http.ResponseWriter
	left int
}

func (h *half) Write(b []byte) (int, error) {
	if h.left -= len(b); h.left < 0 {
		panic(http.ErrAbortHandler)
	}
	return h.ResponseWriter.Write(b)
}

// bucketOf opens the bucket of a place.
func bucketOf(t *testing.T, p droptest.Place) *bucket {
	t.Helper()
	b, err := newBucket(read(p.Settings(t, "{stock: {}}"), &strictyaml.Problems{}))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := b.Close(); err != nil {
			t.Error(err)
		}
	})
	return b
}

// TestMovedMeanwhile: what happens to a file while it is moved, which is a copy and a removal.
func TestMovedMeanwhile(t *testing.T) {
	for name, c := range map[string]struct {
		when    string // the method of the call that something happens before
		replace bool   // another file comes under its name, or it is taken away
		want    error
		left    string
	}{
		"replaced before it is copied": {when: "copy", replace: true, want: drop.ErrReplaced, left: "a.csv"},
		"gone before it is copied":     {when: "copy", want: fs.ErrNotExist},
		"replaced behind the copy":     {when: "look", replace: true, want: drop.ErrReplaced, left: "a.csv"},
		"gone behind the copy":         {when: "look"},
		"replaced before the removal":  {when: "removal", replace: true, want: drop.ErrReplaced, left: "a.csv"},
		"replaced before the move":     {when: "list", replace: true, want: drop.ErrReplaced, left: "a.csv"},
	} {
		t.Run(name, func(t *testing.T) {
			s, double := startDouble(t)
			p := s.place(t)
			p.Side.Put(t, "a.csv", "first")
			b := bucketOf(t, p)
			f, err := b.Folder(t.Context(), ".")
			if err != nil {
				t.Fatal(err)
			}
			info, err := f.Stat("a.csv")
			if err != nil {
				t.Fatal(err)
			}
			happens := func() {
				double.instead = nil
				if p.Side.Remove(t, "a.csv"); c.replace {
					p.Side.Put(t, "a.csv", "other")
				}
			}
			looks := 0
			double.instead = func(_ http.ResponseWriter, r *http.Request, _ http.Handler) bool {
				is := "look"
				switch {
				case r.Header.Get("X-Amz-Copy-Source") != "":
					is = "copy"
				case r.Method == "DELETE":
					is = "removal"
				case r.Method == "HEAD":
					if looks++; looks == 1 {
						is = "list"
					}
				}
				if is == c.when {
					happens()
				}
				return false
			}
			if err := f.Move(info, "a.csv", "done/a.csv"); !errors.Is(err, c.want) || (err == nil) != (c.want == nil) {
				t.Errorf("%v, want %v", err, c.want)
			}
			if got := p.Side.List(t, "."); got != c.left || c.left != "" && p.Side.Content(t, "a.csv") != "other" {
				t.Errorf("left %q", got)
			}
			if done := p.Side.List(t, "done"); done != "" && p.Side.Content(t, "done/a.csv") != "first" {
				t.Error("a file that nobody has read is done")
			}
		})
	}
}

// TestCreatedMeanwhile: a name that is taken between the look and the call stays what it is.
func TestCreatedMeanwhile(t *testing.T) {
	for name, c := range map[string]struct {
		gone bool // and is free again when it is looked who has it
		hub  bool // by another hub, whose files have tokens too
		kind fault.Kind
		left string
	}{
		"taken":                {kind: fault.Conflict, left: "theirs"},
		"taken by another hub": {hub: true, kind: fault.Conflict, left: "{\"a\":2}\n"},
		"taken and free again": {gone: true, kind: fault.Unavailable},
	} {
		t.Run(name, func(t *testing.T) {
			s, double := startDouble(t)
			d := droptest.New(t, s.place(t), "{format: jsonl}")
			other := droptest.New(t, d.Place, "{format: jsonl}")
			phase := 0
			double.instead = func(_ http.ResponseWriter, r *http.Request, _ http.Handler) bool {
				switch {
				case r.Method == "PUT" && phase == 0:
					if phase = 1; !c.hub {
						d.Put(t, "stock-e-1.jsonl", "theirs")
					} else if _, err := other.Deliver("e-1", `{"a":2}`); err != nil {
						t.Error(err)
					}
					phase = 2
				case r.Method == "HEAD" && phase == 2 && c.gone:
					phase = 3
					d.Remove(t, "stock-e-1.jsonl")
				}
				return false
			}
			if _, err := d.Deliver("e-1", `{"a":1}`); fault.KindOf(err) != c.kind {
				t.Errorf("%v, want %v", err, c.kind)
			}
			if got := d.List(t, "."); (got == "") != c.gone || !c.gone && d.Content(t, got) != c.left {
				t.Errorf("in the bucket: %q", got)
			}
		})
	}
}

// TestReplacedWhileItComes: a file that is replaced under its name while it comes is not put together of two.
func TestReplacedWhileItComes(t *testing.T) {
	s, double := startDouble(t)
	d := droptest.New(t, s.place(t), "{format: jsonl, ready: {when: renamed}}")
	d.Put(t, "a.jsonl", "{\"a\":1}\n")
	double.instead = func(_ http.ResponseWriter, r *http.Request, _ http.Handler) bool {
		if r.Method == "GET" && strings.HasSuffix(r.URL.Path, "a.jsonl") {
			double.instead = nil
			d.Put(t, "a.jsonl", "{\"a\":2}\n")
		}
		return false
	}
	if _, names := d.Files(); names != "" || len(d.FileNotes("stock")) != 1 {
		t.Errorf("%q is pending: %+v", names, d.FileNotes("stock"))
	}
	files, _ := d.Files()
	if got := d.Rows(files[0], 0); got != "1 @1: {\"a\":2}\n" {
		t.Errorf("%s", got)
	}
}

// TestErrorsThatLeaveItOpen: InternalError may come behind the writing; what else a service says, it says in place of it.
func TestErrorsThatLeaveItOpen(t *testing.T) {
	for code, want := range map[string]fault.Kind{"InternalError": fault.None, "AccessDenied": fault.Auth, "SlowDown": fault.RateLimited} {
		s, double := startDouble(t)
		d := droptest.New(t, s.place(t), "{format: jsonl}")
		looks := 0
		double.instead = func(w http.ResponseWriter, r *http.Request, real http.Handler) bool {
			if looks++; r.Method != "PUT" {
				return false
			}
			if code == "InternalError" {
				real.ServeHTTP(&silent{header: http.Header{}}, r)
			}
			looks = 0
			double.fail(w, 503, code)
			return true
		}
		if _, err := d.Deliver("e-1", `{"a":1}`); fault.KindOf(err) != want || want != fault.None && looks != 0 {
			t.Errorf("%s: %v, want %v; %d looks behind it", code, err, want, looks)
		}
	}
}

// TestListingEnds: the library ends a listing with its context as if that were all.
func TestListingEnds(t *testing.T) {
	s, _ := startDouble(t)
	b := bucketOf(t, s.place(t))
	ctx, cancel := context.WithCancel(t.Context())
	f, err := b.Folder(ctx, ".")
	if err != nil {
		t.Fatal(err)
	}
	cancel()
	if list, err := f.List("."); fault.KindOf(err) != fault.Unavailable {
		t.Errorf("%v %v", list, err)
	}
}
