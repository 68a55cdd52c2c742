package droptest

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/waybill-hub/waybill/internal/connector"
	"github.com/waybill-hub/waybill/internal/fault"
)

// testClaims: a claimed file is nobody else's, is taken after a restart, and one that comes under its name meanwhile waits.
func testClaims(t *testing.T, place Fresh) {
	const object = `{claim: mine, ready: {when: renamed}}`
	d := New(t, place(t), object)
	d.Put(t, "a.csv", "sku\n1\n")
	first, names := d.Files()
	if names != "a.csv" || d.List(t, ".") != "" || !strings.HasSuffix(d.List(t, "mine"), ".a.csv") {
		t.Fatalf("pending %q, in the drop %q, claimed %q", names, d.List(t, "."), d.List(t, "mine"))
	}
	other := New(t, d.Place, `{claim: theirs, ready: {when: renamed}}`)
	other.wants("another hub's", "")
	d.Put(t, "a.csv", "sku\n2\n")
	d.Reopen(object)
	files, names := d.Files()
	if names != "a.csv" || files[0].ID != first[0].ID {
		t.Fatalf("after a restart: %q, %+v, was %+v", names, files, first)
	}
	if notes := d.FileNotes("stock"); len(notes) != 1 || !strings.Contains(notes[0].Why, "an earlier file of its name is being taken") {
		t.Errorf("%+v", notes)
	}
	if got := d.Rows(files[0], 0); got != "1 @2: {\"sku\":\"1\"}\n" {
		t.Errorf("%s", got)
	}
	if err := d.Done(t.Context(), "stock", files[0], nil); err != nil {
		t.Fatal(err)
	}
	files, _ = d.Files()
	if len(files) != 1 || files[0].ID == first[0].ID {
		t.Fatalf("the second file: %+v", files)
	}
	if got := d.Rows(files[0], 0); got != "1 @2: {\"sku\":\"2\"}\n" {
		t.Errorf("%s", got)
	}
	if err := d.Done(t.Context(), "stock", files[0], errors.New("no good")); err != nil {
		t.Fatal(err)
	}
	if d.List(t, "done") != "a.csv" || d.List(t, "failed") != "a.csv a.csv.error" || d.List(t, "mine") != "" {
		t.Errorf("done %q, failed %q, claimed %q", d.List(t, "done"), d.List(t, "failed"), d.List(t, "mine"))
	}
}

// testClaimedByOne: programs that know nothing of each other look for files at the same time, again and again while those come. Each file is one's alone.
func testClaimedByOne(t *testing.T, place Fresh) {
	const consumers, files = 4, 24
	at := place(t)
	drops := make([]*Drop, consumers)
	got := make([]map[string]bool, consumers)
	for i := range drops {
		drops[i], got[i] = New(t, at, fmt.Sprintf(`{claim: for-%d, ready: {when: renamed}}`, i)), map[string]bool{}
	}
	for half := range 2 {
		for n := range files / 2 {
			at.Side.Put(t, fmt.Sprintf("f%02d.csv", half*files/2+n), fmt.Sprintf("sku\n%d\n", n))
		}
		var all sync.WaitGroup
		for i, d := range drops {
			all.Go(func() {
				for range 2 {
					pending, err := d.Pending(t.Context(), "stock")
					if err != nil {
						t.Errorf("consumer %d: %v", i, err)
					}
					for _, f := range pending {
						got[i][f.Name] = true
					}
				}
			})
		}
		all.Wait()
	}
	by := map[string]int{}
	for i := range got {
		for name := range got[i] {
			by[name]++
		}
	}
	for n := range files {
		if name := fmt.Sprintf("f%02d.csv", n); by[name] != 1 {
			t.Errorf("%s was taken by %d", name, by[name])
		}
	}
	for i := range drops {
		if lies := strings.Fields(at.Side.List(t, fmt.Sprintf("for-%d", i))); len(lies) != len(got[i]) {
			t.Errorf("consumer %d has %d files, and claimed %q", i, len(got[i]), lies)
		}
	}
	if left := at.Side.List(t, "."); left != "" {
		t.Errorf("left: %q", left)
	}
}

// testClaimedMarkers: a marker says of one file that it is complete, and goes with it.
func testClaimedMarkers(t *testing.T, place Fresh) {
	d := New(t, place(t), `{claim: mine, ready: {when: marker, marker: .ok}}`)
	d.Put(t, "a.csv", "sku\n1\n")
	d.wants("no marker", "")
	d.Put(t, "a.csv.ok", "")
	files, names := d.Files()
	if names != "a.csv" || d.List(t, ".") != "" {
		t.Fatalf("pending %q, left %q", names, d.List(t, "."))
	}
	if err := d.Done(t.Context(), "stock", files[0], nil); err != nil {
		t.Fatal(err)
	}
	d.Put(t, "a.csv", "sku\n")
	d.wants("half of another one", "")
	d.Put(t, "mine/ABCDEFGHIJ.b.csv", "sku\n1\n") // the hub ended between the two
	d.Put(t, "b.csv.ok", "")
	d.Put(t, "mine/other.csv", "sku\n1\n") // nobody has claimed it
	d.wants("its marker goes", "b.csv")
	if got := d.List(t, "."); got != "a.csv" {
		t.Errorf("left %q", got)
	}
	d.Put(t, "a.csv.ok", "")
	d.wants("whole", "a.csv b.csv")
	d.Put(t, "a.csv", "sku\n3\n")
	d.Put(t, "a.csv.ok", "")
	files, _ = d.Files()
	if err := d.Done(t.Context(), "stock", files[slices.IndexFunc(files, func(f connector.File) bool { return f.Name == "a.csv" })], nil); err != nil {
		t.Fatal(err)
	}
	if got := d.List(t, "."); got != "a.csv a.csv.ok" {
		t.Errorf("a file that waits has its own marker; left %q", got)
	}
}

// testSameAgain: a file of the same name and size that comes at once after the one before is another file.
func testSameAgain(t *testing.T, place Fresh) {
	for _, object := range []string{`{ready: {when: renamed}}`, `{claim: mine, ready: {when: renamed}}`} {
		d := New(t, place(t), object)
		ids := map[string]bool{}
		for n := range 3 {
			d.Put(t, "a.csv", fmt.Sprintf("sku\n%d\n", n))
			files, _ := d.Files()
			if len(files) != 1 || ids[files[0].ID] {
				t.Fatalf("%d: %+v", n, files)
			}
			ids[files[0].ID] = true
			if got := d.Rows(files[0], 0); got != fmt.Sprintf("1 @2: {\"sku\":\"%d\"}\n", n) {
				t.Errorf("%d: %s", n, got)
			}
			if err := d.Done(t.Context(), "stock", files[0], nil); err != nil {
				t.Fatal(err)
			}
		}
		if got := strings.Fields(d.List(t, "done")); len(got) != 3 {
			t.Errorf("done: %q", got)
		}
	}
}

// testTakenNames: a file that is there is not written over, whoever has made it.
func testTakenNames(t *testing.T, place Fresh) {
	d := New(t, place(t), `{format: jsonl}`)
	d.Put(t, "stock-e-1.jsonl", "theirs")
	_, err := d.Deliver("e-1", `{"a":1}`)
	if f, ok := fault.As(err); !ok || f.Kind != fault.Conflict || !f.Duplicate {
		t.Errorf("%v", err)
	}
	if got := d.Content(t, "stock-e-1.jsonl"); got != "theirs" {
		t.Errorf("%q", got)
	}
}

// testEndsAnywhere: two hubs of one store share a drop while files come; one at a time has the lease, and loses it, or ends, at any step: after it has listed, read a part,
// stored a part, stored everything, or moved. What is stored is stored with the place behind it, as the hub's intake does. Every row is stored once, and every file ends in the folder of those
// that were taken.
func testEndsAnywhere(t *testing.T, place Fresh) {
	for _, object := range []string{`{ready: {when: renamed}}`, `{claim: mine, ready: {when: renamed}}`} {
		t.Run(object, func(t *testing.T) {
			at := place(t)
			round := 0
			hubs := []*Drop{New(t, at, object), New(t, at, object)}
			rapid.Check(t, func(r *rapid.T) {
				round++
				stored, places, done := map[string]int{}, map[string]int{}, map[string]bool{}
				var put []string
				begun := len(strings.Fields(hubs[0].List(t, "done")))
				for step := range rapid.IntRange(1, 6).Draw(r, "steps") {
					if rapid.Bool().Draw(r, "a file comes") {
						name := fmt.Sprintf("f%d.csv", len(put)%2) // the same names again and again
						if at.Coarse && !strings.Contains(object, "claim:") {
							name = fmt.Sprintf("f%d-%d.csv", round, len(put))
						}
						if !slices.Contains(strings.Fields(hubs[0].List(t, ".")), name) {
							text := "row\n"
							for row := range 3 {
								text += fmt.Sprintf("%d-%d-%d-%d\n", round, step, len(put), row)
							}
							hubs[0].Put(t, name, text)
							put = append(put, name)
						}
					}
					take(t, r, hubs[step%2], stored, places, done, true)
				}
				for range 3 { // whoever is left comes to an end
					take(t, r, hubs[0], stored, places, done, false)
				}
				for row, n := range stored {
					if n != 1 {
						r.Fatalf("%s was stored %d times", row, n)
					}
				}
				if len(stored) != 3*len(put) {
					r.Fatalf("%d rows of %d are stored", len(stored), 3*len(put))
				}
				if n := len(strings.Fields(hubs[0].List(t, "done"))) - begun; n != len(put) || hubs[0].List(t, ".") != "" {
					r.Fatalf("%d files of %d are done, left: %q", n, len(put), hubs[0].List(t, "."))
				}
			})
		})
	}
}

// take is one turn of a hub, which may end anywhere in it.
func take(t *testing.T, r *rapid.T, d *Drop, stored, places map[string]int, done map[string]bool, ends bool) {
	end := func(where string) bool { return ends && rapid.IntRange(0, 3).Draw(r, where) == 0 }
	files, err := d.Pending(t.Context(), "stock")
	if err != nil {
		r.Fatal(err)
	}
	for _, f := range files {
		if end("after the list") {
			return
		}
		for !done[f.ID] {
			n, whole := 0, true
			var rows []string
			for row, err := range d.Read(t.Context(), "stock", f, places[f.ID]) {
				if err != nil {
					r.Fatal(err)
				}
				rows = append(rows, string(row.Doc))
				if n++; n == 2 {
					whole = false // as much as is stored at once
					break
				}
			}
			if end("before it is stored") {
				return
			}
			for _, row := range rows {
				stored[row]++
			}
			places[f.ID] += n
			done[f.ID] = whole
			if end("once it is stored") {
				return
			}
		}
		if err := d.Done(t.Context(), "stock", f, nil); err != nil && !errors.Is(err, connector.ErrChanged) {
			r.Fatal(err)
		}
		d.Clock.Advance(time.Second)
		if end("once it is moved") {
			return
		}
	}
}

// TestClaimedHasRested: what is claimed does not rest any more.
func testClaimedHasRested(t *testing.T, place Fresh) {
	d := New(t, place(t), `{claim: mine}`)
	d.Put(t, "a.csv", "sku\n1\n")
	d.wants("just seen", "")
	if got := d.Ripening("stock"); got != "a.csv" {
		t.Errorf("%q rests", got)
	}
	d.Clock.Advance(10 * time.Second)
	d.wants("it has rested", "a.csv")
	if got := d.Ripening("stock"); got != "" {
		t.Errorf("%q rests still", got)
	}
}
