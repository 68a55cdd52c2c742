package httpclient

import "testing"

// TestResponseJSON: a body is read once, and what is put in its place is read, too.
func TestResponseJSON(t *testing.T) {
	r := &Response{}
	if _, err := r.JSON(); err == nil {
		t.Error("nothing is a document")
	}
	r.Body = []byte(`{"a": 1}`)
	first, err := r.JSON()
	again, _ := r.JSON()
	if err != nil || string(first.Get("a").Raw()) != "1" || first != again {
		t.Errorf("%s, read again: %v, %v", first.Raw(), first != again, err)
	}
	for _, other := range []string{`{"a": 2}`, `{"a": 3}x`, `[]`} { // the first is as long as what was there
		r.Body = []byte(other)
		root, err := r.JSON()
		if wrong := other[len(other)-1] == 'x'; (err != nil) != wrong || !wrong && string(root.Raw()) != other {
			t.Errorf("%s: %s, %v", other, root.Raw(), err)
		}
		if _, twice := r.JSON(); (twice != nil) != (err != nil) {
			t.Errorf("%s: %v, and then %v", other, err, twice)
		}
	}
}
