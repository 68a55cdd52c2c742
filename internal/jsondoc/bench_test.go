package jsondoc

import (
	"bytes"
	"os"
	"testing"
)

func sample(tb testing.TB) []byte {
	b, err := os.ReadFile("testdata/order.json")
	if err != nil {
		tb.Fatal(err)
	}
	return bytes.TrimSpace(b)
}

func BenchmarkParse(b *testing.B) {
	doc := sample(b)
	d := Get()
	defer Put(d)
	b.SetBytes(int64(len(doc)))
	b.ReportAllocs()
	for b.Loop() {
		if err := d.Reset(doc, Limits{}); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkHash(b *testing.B) {
	d, err := Parse(sample(b), Limits{})
	if err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	for b.Loop() {
		Hash(d.Root())
	}
}

func BenchmarkFieldHashes(b *testing.B) {
	d, err := Parse(sample(b), Limits{})
	if err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	for b.Loop() {
		FieldHashes(d.Root(), nil)
	}
}

func BenchmarkAny(b *testing.B) {
	d, err := Parse(sample(b), Limits{})
	if err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	for b.Loop() {
		d.Root().Any()
	}
}

func BenchmarkLineTotal(b *testing.B) {
	d, err := Parse(sample(b), Limits{})
	if err != nil {
		b.Fatal(err)
	}
	lines := d.Root().Get("lines")
	var dst []byte
	b.ReportAllocs()
	for b.Loop() {
		dst = dst[:0]
		for c := lines.Cursor(); c.Next(); {
			qty, _ := c.Value().Get("qty").Decimal()
			price, _ := c.Value().Get("unitPrice").Decimal()
			dst = qty.Mul(price).Round(2, HalfUp).Append(dst)
		}
	}
}
