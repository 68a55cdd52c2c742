package webhook

import (
	"bytes"
	"compress/gzip"
	"compress/zlib"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/iotest"

	"github.com/waybill-hub/waybill/internal/jsondoc"
	"github.com/waybill-hub/waybill/internal/webhook/webhooktest"
)

// TestZipBomb: what a small body unfolds to is bounded while it unfolds.
func TestZipBomb(t *testing.T) {
	const limit = 64 << 10
	zeros := strings.Repeat("\x00", 50<<20)
	for encoding, wire := range map[string][]byte{
		"gzip":    packed(t, zeros, func(w io.Writer) io.WriteCloser { return gzip.NewWriter(w) }),
		"deflate": packed(t, zeros, func(w io.Writer) io.WriteCloser { return zlib.NewWriter(w) }),
	} {
		if len(wire) > limit {
			t.Fatalf("%s: the bomb has %d bytes", encoding, len(wire))
		}
		r := httptest.NewRequest(http.MethodPost, "/", bytes.NewReader(wire))
		r.Header.Set("Content-Encoding", encoding)
		held := claim{b: &budget{max: 1 << 30}}
		if _, ref := readBody(r, limit, &held); ref == nil || ref.status != http.StatusRequestEntityTooLarge {
			t.Errorf("%s: %v", encoding, ref)
		}
		if held.n > 2*(limit+1) {
			t.Errorf("%s: %d bytes were held", encoding, held.n)
		}
	}
}

func TestReadAll(t *testing.T) {
	for _, c := range []struct {
		name             string
		length           int
		announced, limit int64
		status           int
	}{
		{"nothing", 0, 0, 10, 0},
		{"nothing, not announced", 0, -1, 10, 0},
		{"to the limit", 100_000, 100_000, 100_000, 0},
		{"to the limit, not announced", 100_000, -1, 100_000, 0},
		{"one more", 100_001, -1, 100_000, 413},
		{"more than announced", 500, 100, 1000, 0}, // the server cuts it off before; nothing breaks here
	} {
		t.Run(c.name, func(t *testing.T) {
			want := strings.Repeat("x", c.length)
			held := claim{b: &budget{max: 1 << 20}}
			got, ref := readAll(iotest.OneByteReader(strings.NewReader(want)), c.announced, c.limit, &held)
			switch {
			case c.status != 0:
				if ref == nil || ref.status != c.status {
					t.Errorf("got %v", ref)
				}
			case ref != nil || string(got) != want:
				t.Errorf("%d bytes, %v", len(got), ref)
			}
			held.release()
			if held.b.held() != 0 {
				t.Error("the budget is not given back")
			}
		})
	}
	broken := iotest.ErrReader(errors.New("reset"))
	if _, ref := readAll(broken, -1, 10, &claim{b: &budget{max: 100}}); ref == nil || ref.status != 400 {
		t.Errorf("a body that breaks off: %v", ref)
	}
}

// TestMemoryIsBounded sends many bodies of 10 MB at once: what does not fit into the budget is told to come again.
func TestMemoryIsBounded(t *testing.T) {
	const size, at, room = 10 << 20, 24, 32 << 20
	onStores(t, func(t *testing.T, b *bench) {
		hook := standardHook()
		hook.MaxBody = size
		in, err := New(Config{Inbox: b.Store, Clock: b.Clock, Memory: room, Observer: b.seen}, []Source{{Flow: "orders", Endpoint: *hook}})
		if err != nil {
			t.Fatal(err)
		}
		body := `{"id":"` + strings.Repeat("x", size-9) + `"}`
		header := webhooktest.Headers(webhooktest.Key, "big", b.Clock.Now(), body)
		runtime.GC()
		var before, peak runtime.MemStats
		runtime.ReadMemStats(&before)
		begun := make(chan struct{})
		var codes [600]atomic.Int32
		var wg sync.WaitGroup
		for range at {
			wg.Go(func() {
				<-begun
				r := httptest.NewRequest(http.MethodPost, "/hooks/crm/orders", strings.NewReader(body))
				r.ContentLength = -1
				r.Header = header.Clone()
				w := httptest.NewRecorder()
				in.ServeHTTP(w, r)
				codes[w.Code].Add(1)
				if w.Code == 503 && w.Header().Get("Retry-After") == "" {
					t.Error("503 without Retry-After")
				}
				if used := in.memory.held(); used > 3*size+24*jsondoc.DefaultNodes { // what the largest body needs, which is more than the room
					t.Errorf("%d bytes are held", used)
				}
			})
		}
		close(begun)
		wg.Wait()
		runtime.ReadMemStats(&peak)
		if codes[202].Load() == 0 || codes[202].Load()+codes[503].Load() != at {
			t.Errorf("202: %d, 503: %d", codes[202].Load(), codes[503].Load())
		}
		// Of all the heap that was ever asked of the system: the budget, its old halves, the parsed form, and the store's copies.
		if grown := int64(peak.HeapSys) - int64(before.HeapSys); grown > 10*room {
			t.Errorf("the heap grew by %d MB", grown>>20)
		}
		if in.memory.held() != 0 {
			t.Error("the budget is not given back")
		}
	})
}
