package droptest

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/waybill-hub/waybill/internal/connector"
	"github.com/waybill-hub/waybill/internal/fault"
)

// testRetake: a file that has failed comes back under its own name and is taken as if it had just come, in every way in which files are complete; never in the
// place of another one, and done again nothing is done, wherever a hub has ended.
func testRetake(t *testing.T, place Fresh) {
	objects := []string{`{pattern: "*.csv", ready: {when: renamed}}`, `{pattern: "*.csv"}`, `{pattern: "*.csv", ready: {when: marker, marker: .ok}}`,
		`{pattern: "*.csv", claim: mine, ready: {when: renamed}}`, `{pattern: "*.csv", claim: mine, ready: {when: marker, marker: .ok}}`}
	for _, object := range objects {
		t.Run(object, func(t *testing.T) {
			r := &retaken{Drop: New(t, place(t), object), marker: strings.Contains(object, "marker")}
			r.run()
		})
	}
}

type retaken struct {
	*Drop
	marker bool
}

// ripe are the files that are complete when what is there has rested.
func (r *retaken) ripe() ([]connector.File, string) {
	r.T.Helper()
	r.Files()
	r.Clock.Advance(time.Minute)
	return r.Files()
}

// fails has a file come and fail.
func (r *retaken) fails(text, why string) {
	r.T.Helper()
	r.Put(r.T, "a.csv", text)
	if r.marker {
		r.Put(r.T, "a.csv.ok", "")
	}
	files, names := r.ripe()
	if names != "a.csv" {
		r.T.Fatalf("pending %q", names)
	}
	if err := r.Done(r.T.Context(), "stock", files[0], errors.New(why)); err != nil {
		r.T.Fatal(err)
	}
}

func (r *retaken) again(name string) {
	r.T.Helper()
	if err := r.Retake(r.T.Context(), "stock", name); err != nil {
		r.T.Fatal(err)
	}
}

// takes takes the one file that is there.
func (r *retaken) takes(want string) {
	r.T.Helper()
	files, names := r.ripe()
	if names != "a.csv" {
		r.T.Fatalf("pending %q, in the drop %q", names, r.List(r.T, "."))
	}
	if got := r.Rows(files[0], 0); got != want {
		r.T.Errorf("%s", got)
	}
	if err := r.Done(r.T.Context(), "stock", files[0], nil); err != nil {
		r.T.Fatal(err)
	}
}

func (r *retaken) lie(what, failed, drop string) {
	r.T.Helper()
	if a, b := r.List(r.T, "failed"), r.List(r.T, "."); a != failed || b != drop {
		r.T.Errorf("%s: failed %q, in the drop %q", what, a, b)
	}
}

func (r *retaken) run() {
	t := r.T
	r.fails("sku\n1\n", "no such column")
	r.fails("sku\n2\n", "none either")
	files, more, err := r.FailedFiles(t.Context(), "stock", 1)
	if err != nil || !more || len(files) != 1 {
		t.Fatalf("%+v %v %v", files, more, err)
	}
	files, more, err = r.FailedFiles(t.Context(), "stock", 2)
	if err != nil || more || len(files) != 2 || files[0].Name != "a.csv" || files[0].As != "a.csv" || files[0].Why != "no such column" || files[0].Size != 6 ||
		files[0].Modified.IsZero() || files[1].As != "a.csv" || files[1].Why != "none either" {
		t.Fatalf("%+v %v %v", files, more, err)
	}
	first, second, drop := files[0].Name, files[1].Name, "a.csv"
	if r.marker {
		drop = "a.csv a.csv.ok"
	}
	r.Put(t, "a.csv", "sku\n1\n3\n") // it begins as the first does
	if err := r.Retake(t.Context(), "stock", first); fault.KindOf(err) != fault.Conflict {
		t.Errorf("in the place of a longer one: %v", err)
	}
	r.Remove(t, "a.csv")
	r.again(second)
	r.lie("one is back", "a.csv a.csv.error", drop)
	if err := r.Retake(t.Context(), "stock", first); fault.KindOf(err) != fault.Conflict || !strings.Contains(err.Error(), "when that one was taken") {
		t.Errorf("in the place of another one: %v", err)
	}
	r.again(second) // a hub has ended before it had said that it was done
	r.lie("nothing has changed", "a.csv a.csv.error", drop)
	r.takes("1 @2: {\"sku\":\"2\"}\n")
	r.again(first)
	for _, left := range []map[string]string{{"a.csv.error": "a hub has ended before the end\n"}, {"a.csv": "sku\n1\n", "a.csv.error": "a hub has ended between copy and removal\n"}} {
		for name, text := range left {
			r.Put(t, "failed/"+name, text)
		}
		if r.marker {
			r.Remove(t, "a.csv.ok")
		}
		r.again(first)
		r.lie("the other is back", "", drop)
	}
	r.takes("1 @2: {\"sku\":\"1\"}\n")
	r.again(first)
	r.lie("all are taken", "", "")
	if _, names := r.ripe(); names != "" || len(r.FileNotes("stock")) != 0 {
		t.Errorf("pending %q, %+v", names, r.FileNotes("stock"))
	}
	for _, name := range []string{"../a.csv", "b/a.csv", ".", "b.xml"} {
		if err := r.Retake(t.Context(), "stock", name); fault.KindOf(err) != fault.Invalid {
			t.Errorf("%s: %v", name, err)
		}
	}
}
