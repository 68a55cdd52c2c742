package s3

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/waybill-hub/waybill/internal/drop/droptest"
	"github.com/waybill-hub/waybill/internal/fault"
)

const claimed = `{claim: %s, ready: {when: renamed}}`

// TestClaimEnds: a hub ends at any request of a claim, which was carried out or not. Another program that looks then takes the file or leaves it, the hub goes on after
// its restart, and the file is one's alone, with its row, and is done once.
func TestClaimEnds(t *testing.T) {
	s, double := startDouble(t)
	for _, after := range []bool{false, true} {
		for n := 1; ; n++ {
			double.instead = nil
			mine := droptest.New(t, s.place(t), fmt.Sprintf(claimed, "mine"))
			theirs := droptest.New(t, mine.Place, fmt.Sprintf(claimed, "theirs"))
			mine.Put(t, "a.csv", "sku\n1\n")
			count, gone := 0, false
			double.instead = func(w http.ResponseWriter, r *http.Request, real http.Handler) bool {
				if count++; count < n || gone { // once it is gone, nothing more comes from it
					if !gone {
						return false
					}
				} else if gone = true; after {
					real.ServeHTTP(&silent{header: http.Header{}}, r)
				}
				conn, _, err := http.NewResponseController(w).Hijack()
				if err == nil {
					conn.Close()
				}
				return true
			}
			_, err := mine.Pending(t.Context(), "stock")
			double.instead = nil
			if !gone {
				if err != nil || count < 8 {
					t.Fatalf("%d requests, %v", count, err)
				}
				break
			}
			if err == nil && len(mine.FileNotes("stock")) == 0 {
				t.Errorf("request %d: nothing was said of it", n)
			}
			other, _ := theirs.Files()
			mine.Reopen(fmt.Sprintf(claimed, "mine"))
			files, _ := mine.Files()
			if again, _ := theirs.Files(); len(again) != len(other) {
				t.Errorf("request %d, carried out %t: another program had %d files, and then %d", n, after, len(other), len(again))
			}
			if len(files)+len(other) != 1 {
				t.Errorf("request %d, carried out %t: %d files here and %d there", n, after, len(files), len(other))
			}
			for d, of := range map[*droptest.Drop]int{mine: len(files), theirs: len(other)} {
				if of == 0 {
					continue
				}
				pending, _ := d.Files()
				if got := d.Rows(pending[0], 0); got != "1 @2: {\"sku\":\"1\"}\n" {
					t.Errorf("request %d: %s", n, got)
				}
				if err := d.Done(t.Context(), "stock", pending[0], nil); err != nil {
					t.Error(err)
				}
			}
			if left, done, marks := mine.List(t, "."), mine.List(t, "done"), mine.List(t, claims); left != "" || done != "a.csv" || marks != conditions {
				t.Errorf("request %d, carried out %t: left %q, done %q, marks %q", n, after, left, done, marks)
			}
		}
	}
}

// TestNoConditions: a service that makes a file in spite of the condition lets two claim one: nothing is claimed there.
func TestNoConditions(t *testing.T) {
	s, double := startDouble(t)
	double.instead = func(_ http.ResponseWriter, r *http.Request, _ http.Handler) bool {
		r.Header.Del("If-None-Match")
		return false
	}
	d := droptest.New(t, s.place(t), fmt.Sprintf(claimed, "mine"))
	d.Put(t, "a.csv", "sku\n1\n")
	for range 2 {
		if _, err := d.Pending(t.Context(), "stock"); fault.KindOf(err) != fault.Unavailable || !strings.Contains(err.Error(), "in spite of the condition If-None-Match, so that two could claim one file: take `claim` away") {
			t.Errorf("%v", err)
		}
	}
	if left, mine := d.List(t, "."), d.List(t, "mine"); left != "a.csv" || mine != "" {
		t.Errorf("left %q, claimed %q", left, mine)
	}
}

// TestNoConditionalRemoval: a service that says it cannot remove on a condition is asked right before.
func TestNoConditionalRemoval(t *testing.T) {
	s, double := startDouble(t)
	refused := 0
	double.instead = func(w http.ResponseWriter, r *http.Request, _ http.Handler) bool {
		if r.Method != "DELETE" || r.Header.Get("If-Match") == "" {
			return false
		}
		refused++
		double.fail(w, 501, "NotImplemented")
		return true
	}
	d := droptest.New(t, s.place(t), fmt.Sprintf(claimed, "mine"))
	d.Put(t, "a.csv", "sku\n1\n")
	if _, names := d.Files(); names != "a.csv" || d.List(t, ".") != "" || refused == 0 {
		t.Errorf("pending %q, left %q; %d were refused", names, d.List(t, "."), refused)
	}
}

// TestMarkOfAnother: what another program has begun to take and not taken is left alone, and named once that has lasted. A mark that nobody understands is somebody
// else's. A mark is of one file: another one under the name is free.
func TestMarkOfAnother(t *testing.T) {
	s, _ := startDouble(t)
	for text, by := range map[string]string{`{"claim":"theirs","name":"ABCDEFGHIJ.a.csv","from":"a.csv","etag":"x"}`: "theirs", "?": "(it does not say)"} {
		d := droptest.New(t, s.place(t), fmt.Sprintf(claimed, "mine"))
		d.Put(t, "a.csv", "sku\n1\n")
		b := &folder{b: bucketOf(t, d.Place), ctx: t.Context(), base: "exchange/wms"}
		info, err := b.Stat("a.csv")
		if err != nil {
			t.Fatal(err)
		}
		mark := fmt.Sprintf("%s/a.csv.%016x", claims, info.ModTime().UnixNano())
		d.Put(t, mark, text)
		d.Clock.Advance(time.Since(d.Clock.Now()))
		if _, names := d.Files(); names != "" || len(d.FileNotes("stock")) != 0 {
			t.Errorf("pending %q, %+v", names, d.FileNotes("stock"))
		}
		d.Clock.Advance(time.Hour)
		_, names := d.Files()
		notes := d.FileNotes("stock")
		if want := "another program has begun to take it into its folder " + by + " (" + mark + " says so), and has not for 10m0s"; names != "" || len(notes) != 1 || notes[0].Name != "a.csv" || !strings.HasPrefix(notes[0].Why, want) || notes[0].Since.IsZero() {
			t.Errorf("pending %q, %+v, want %s", names, notes, want)
		}
		d.Put(t, "a.csv", "sku\n2\n")
		if _, names := d.Files(); names != "a.csv" {
			t.Errorf("another file of the name: pending %q", names)
		}
	}
}
