package road_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/waybill-hub/waybill/internal/bench/benchtest"
	"github.com/waybill-hub/waybill/internal/bench/road"
)

// TestMain makes the test binary the program where the benchmark starts it as one.
func TestMain(m *testing.M) { benchtest.Main(m.Run) }

// TestRoad goes the road with few orders. Run itself compares every object with what was sent; nothing here is about time.
func TestRoad(t *testing.T) {
	var out, log bytes.Buffer
	s, err := road.Run(t.Context(), road.Options{Orders: 300, Keys: 40, Senders: 8, Runs: 1, Partitions: 2, Concurrency: 8, Lines: 5, Dir: t.TempDir(), Out: &out, Log: &log})
	if err != nil {
		t.Fatalf("%v\n%s\n%s", err, out.String(), log.String())
	}
	if !strings.Contains(out.String(), "40 creates, 0 doubled, 0 out of order") || !strings.Contains(out.String(), " statements, ") {
		t.Errorf("got %s", out.String())
	}
	if s.PerSecond <= 0 || s.P99 <= 0 || !strings.HasPrefix(s.String(), "road: store=embedded webhooks_per_s=") || !strings.HasSuffix(s.String(), " ratio_to_base=none ratio_to_benthos=none") {
		t.Errorf("got %s", s)
	}
}

// TestRoadBesideConsoles goes it in turn with a hub at which a hundred people look: pages are loaded, and all of them go on until the end.
func TestRoadBesideConsoles(t *testing.T) {
	var out, log bytes.Buffer
	_, err := road.Run(t.Context(), road.Options{Orders: 200, Keys: 40, Senders: 4, Runs: 1, Partitions: 2, Concurrency: 8, Beside: road.Consoles, Dir: t.TempDir(), Out: &out, Log: &log})
	if err != nil {
		t.Fatalf("%v\n%s\n%s", err, out.String(), log.String())
	}
	if got := out.String(); !strings.Contains(got, "100 consoles have loaded ") || strings.Contains(got, "loaded 0.0 pages") || !strings.Contains(got, "beside beside_consoles: deliveries/s × ") {
		t.Errorf("got %s", got)
	}
}

// TestVerify: what the target holds is held against what was sent.
func TestVerify(t *testing.T) {
	const orders, keys = 6, 3
	body := func(i int) string {
		k := i % keys
		return fmt.Sprintf(`{"ext":"E%d","orderNo":"ORD-%07d","rev":%d,"cust":"CUST %d","amount":%d.25,"items":[{"code":"SKU-1","qty":%d,"price":10.5},{"code":"SKU-2","qty":1,"price":3.25},{"code":"SKU-3","qty":7,"price":1.99}]}`,
			k, k, i+1, k, i%1000, 1+i%9)
	}
	type write struct {
		id   int // 0: a create
		body string
	}
	good := []write{{0, body(0)}, {0, body(1)}, {0, body(2)}, {1, body(3)}, {2, body(4)}, {3, body(5)}}
	for _, test := range []struct {
		name   string
		writes []write
		want   string
	}{
		{"all is there", good, ""},
		{"one is lost", good[:5], "a newer one was sent"},
		{"one was never made", append([]write{{0, body(0)}, {0, body(1)}}, good[3:5]...), "2 objects for 3 orders"},
		{"one was written twice", append(good[:6:6], write{3, body(5)}), "1 writes out of order"},
		{"one was made twice", []write{{0, body(3)}, {0, body(4)}, {0, body(5)}, {0, body(5)}}, "is there twice"},
		{"an older one came late", []write{{0, body(3)}, {0, body(4)}, {0, body(2)}, {3, body(5)}, {1, body(0)}, {1, body(3)}}, "1 writes out of order"},
		{"a value is another one", append(good[:5:5], write{3, strings.Replace(body(5), "3.25", "3.26", 1)}), "want ORD-0000002"},
	} {
		t.Run(test.name, func(t *testing.T) {
			in, hold := io.Pipe()
			lines, says := io.Pipe()
			served := make(chan error, 1)
			go func() { served <- road.ServeTarget(0, in, says) }()
			t.Cleanup(func() {
				_ = hold.Close()
				if err := <-served; err != nil {
					t.Error(err)
				}
			})
			var addr string
			if _, err := fmt.Fscanf(lines, "listening %s\n", &addr); err != nil {
				t.Fatal(err)
			}
			for _, w := range test.writes {
				method, url := http.MethodPost, "http://"+addr+"/orders"
				if w.id > 0 {
					method, url = http.MethodPatch, fmt.Sprintf("%s/%d", url, w.id)
				}
				req, err := http.NewRequestWithContext(t.Context(), method, url, strings.NewReader(w.body))
				if err != nil {
					t.Fatal(err)
				}
				resp, err := http.DefaultClient.Do(req)
				if err != nil {
					t.Fatal(err)
				}
				var got map[string]any
				if err := json.NewDecoder(resp.Body).Decode(&got); err != nil || resp.StatusCode >= 300 || got["id"] == "" {
					t.Fatal(resp.Status, err)
				}
				_ = resp.Body.Close()
			}
			err := road.Verify(t.Context(), addr, road.Options{Orders: orders, Keys: keys})
			if test.want == "" && err != nil || test.want != "" && (err == nil || !strings.Contains(err.Error(), test.want)) {
				t.Errorf("got %v, want %q", err, test.want)
			}
		})
	}
}
