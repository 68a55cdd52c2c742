package main

import (
	"encoding/csv"
	"encoding/xml"
	"errors"
	"image/png"
	"io"
	"os"
	"path/filepath"
	"testing"
)

// Everything that is measured in a store does what it says at every size, and is drawn.
func TestStoreThings(t *testing.T) {
	for _, th := range storeThings {
		t.Run(th.name, func(t *testing.T) {
			o := &options{out: t.TempDir(), rounds: 1, calls: 3}
			th.sizes = []int{2000, 3000} // what lists a hundred finds them
			all, err := th.measure(t.Context(), o, &th)
			if err != nil {
				t.Fatal(err)
			}
			for i := range all {
				for j, c := range all[i].cost {
					if c < 0 {
						t.Errorf("%s costs %v", all[i].work, all[i].cost)
					}
					all[i].cost[j] = max(c, 1) // three calls may be less than the machine can tell
				}
			}
			if err := draw(o, &th, all); err != nil {
				t.Fatal(err)
			}
			name := filepath.Join(o.out, "flat-"+th.name)
			if _, err := png.Decode(opened(t, name+".png")); err != nil {
				t.Error(err)
			}
			for d := xml.NewDecoder(opened(t, name+".svg")); ; {
				if _, err := d.Token(); errors.Is(err, io.EOF) {
					break
				} else if err != nil {
					t.Fatal(err)
				}
			}
			rows, err := csv.NewReader(opened(t, name+".csv")).ReadAll()
			if err != nil || len(rows) != 1+len(all)*len(th.sizes) {
				t.Errorf("%d rows, %v", len(rows), err)
			}
		})
	}
}

func opened(t *testing.T, name string) *os.File {
	t.Helper()
	f, err := os.Open(name)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = f.Close() })
	return f
}
