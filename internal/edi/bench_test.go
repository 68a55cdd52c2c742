package edi

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
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

// BenchmarkX12 parses and maps purchase orders. MB/s are of the interchange's bytes; MB/cpu-s are those by a second of a processor, which count where others
// work beside. node-x12, which only parses, is measured in the same run, where it can be had.
func BenchmarkX12(b *testing.B) {
	data := many(b, 1000)
	table := shipped(b)["850"]
	for _, what := range []string{"segments", "documents"} {
		b.Run(what, func(b *testing.B) {
			b.SetBytes(int64(len(data)))
			b.ReportAllocs()
			begun := cpu(b)
			defer func() { b.ReportMetric(float64(len(data))*float64(b.N)/1e6/(cpu(b)-begun).Seconds(), "MB/cpu-s") }()
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

func BenchmarkNodeX12(b *testing.B) {
	dir := oracleDir(b)
	file := filepath.Join(b.TempDir(), "many.edi")
	if err := os.WriteFile(file, many(b, 1000), 0o600); err != nil {
		b.Fatal(err)
	}
	cmd := exec.Command("node", oracleScripts+"/parse.js", "x12", file)
	cmd.Env = append(os.Environ(), "EDI_ORACLES="+dir, fmt.Sprint("TIMES=", b.N))
	out, err := cmd.Output()
	if err != nil {
		b.Fatal(err)
	}
	rate, err := strconv.ParseFloat(strings.TrimSpace(string(out)), 64)
	if err != nil {
		b.Fatal(err)
	}
	b.ReportMetric(rate, "MB/cpu-s")
}

// cpu is the processor time that the process has used.
func cpu(b *testing.B) time.Duration {
	b.Helper()
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		b.Fatal(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}
