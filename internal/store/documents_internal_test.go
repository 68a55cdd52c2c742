package store

import (
	"bytes"
	"errors"
	"reflect"
	"testing"

	"github.com/klauspost/compress/s2"

	"github.com/waybill-hub/waybill/internal/state"
)

// TestDocumentsText: what was stored is read as it was, and what cannot have been stored is said to be torn; nothing is unpacked that says of
// itself that it is larger than any documents.
func TestDocumentsText(t *testing.T) {
	long := bytes.Repeat([]byte(`{"sku":"A-1","quantity":"2"},`), 2000)
	for _, d := range []state.Documents{
		{}, {Status: "204"}, {Source: []byte(`{"no":"1"}`), Answer: []byte("{}")},
		{Source: long, Mapped: long[:900], Sent: long[3:40], Status: "200", Answer: []byte("ok")},
	} {
		b := encodeDocuments(&d)
		got, err := decodeDocuments(b)
		if err != nil || !reflect.DeepEqual(got, d) {
			t.Errorf("%v of %d bytes: %.80v", err, len(b), got)
		}
		if plain := len(d.Source) + len(d.Mapped) + len(d.Sent) + len(d.Answer); plain > 1000 && len(b) > plain/10 {
			t.Errorf("%d bytes are stored as %d", plain, len(b))
		}
		for _, cut := range []int{0, 1, len(b) / 2, len(b) - 1} {
			if _, err := decodeDocuments(b[:cut]); !errors.Is(err, errTorn) {
				t.Errorf("%d of %d bytes: %v", cut, len(b), err)
			}
		}
	}
	huge := append([]byte{s2Form}, s2.Encode(nil, make([]byte, mostDocuments+1))...)
	if _, err := decodeDocuments(huge); !errors.Is(err, errTorn) {
		t.Errorf("64 MiB and a byte: %v", err)
	}
	if _, err := decodeDocuments([]byte{9, 1, 2}); !errors.Is(err, errTorn) {
		t.Errorf("a form of another version: %v", err)
	}
}
