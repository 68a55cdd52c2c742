package store

import (
	"encoding/json"
	"maps"
	"testing"
)

// TestHeaders: what stands beside a document is written as json.Marshal writes it, and read as it was.
func TestHeaders(t *testing.T) {
	for _, h := range []map[string]string{nil, {}, {"a": "b"}, {"waybill-version": "00012", "waybill-local": "A 1", "": ""}, {"a": `"`}, {`"`: "a"}, {"a": `\`}, {"a": "<b>&"}, {"a": "é\u2028"},
		{"a": `":"`, "b": ","}, {"a": "x,y:{}"}, {"a": "\x01\n"}} {
		want, err := json.Marshal(h)
		if err != nil {
			t.Fatal(err)
		}
		text, err := encodeHeaders(h)
		if err != nil || text != string(want) {
			t.Errorf("%v is written as %s, %v; want %s", h, text, err, want)
		}
		if got, err := decodeHeaders(text); err != nil || !maps.Equal(got, h) {
			t.Errorf("%s is read as %v, %v", text, got, err)
		}
	}
	// As JSON allows it, though this package writes nothing of the kind.
	for _, text := range []string{`{ "a" : "b" }`, `{"a":"b" ,"c":"d"}`, "null", `{"a":null}`} {
		var want map[string]string
		if err := json.Unmarshal([]byte(text), &want); err != nil {
			t.Fatal(err)
		}
		if got, err := decodeHeaders(text); err != nil || !maps.Equal(got, want) {
			t.Errorf("%s is read as %v, %v; want %v", text, got, err, want)
		}
	}
	for _, text := range []string{"", "{", `{"a":"b"`, `{"a":"b",}`, `{"a":"b"}}`, `{"a":1}`, `{"a"x":"b"}`, `["a"]`} {
		if got, err := decodeHeaders(text); err == nil {
			t.Errorf("%s is read as %v", text, got)
		}
	}
}
