package edi

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"testing"
)

// many is an interchange of n purchase orders.
func many(tb testing.TB, n int) []byte {
	tb.Helper()
	data, err := os.ReadFile("testdata/x12/850.edi")
	if err != nil {
		tb.Fatal(err)
	}
	text := strings.ReplaceAll(string(data), "\r\n", "\n")
	text = strings.ReplaceAll(text, "~\n", "~")
	from, to := strings.Index(text, "ST*850"), strings.Index(text, "GE*1")
	var b strings.Builder
	b.WriteString(text[:from])
	for i := range n {
		b.WriteString(strings.ReplaceAll(text[from:to], "*0001~", fmt.Sprintf("*%04d~", i+1)))
	}
	b.WriteString(strings.Replace(text[to:], "GE*1*", fmt.Sprintf("GE*%d*", n), 1))
	return []byte(b.String())
}

// BenchmarkX12 parses and maps purchase orders. MB/s are of the interchange's bytes.
func BenchmarkX12(b *testing.B) {
	data := many(b, 1000)
	table := shipped(b)["850"]
	for _, what := range []string{"segments", "documents"} {
		b.Run(what, func(b *testing.B) {
			b.SetBytes(int64(len(data)))
			b.ReportAllocs()
			for range b.N {
				r := NewReader(bytes.NewReader(data), X12)
				for {
					m, err := r.Next()
					if errors.Is(err, io.EOF) {
						break
					}
					if err != nil {
						b.Fatal(err)
					}
					if what == "documents" {
						if _, faults := table.Document(m, ""); len(faults) > 0 {
							b.Fatal(faults)
						}
					}
				}
			}
		})
	}
}
