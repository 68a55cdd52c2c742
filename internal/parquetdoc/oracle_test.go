package parquetdoc

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/waybill-hub/waybill/internal/jsondoc"
	"github.com/waybill-hub/waybill/internal/systemtest"
)

const oracleScripts = "../test/systems/parquet"

// python runs the script of other people's readers and writers.
func python(t *testing.T, args ...string) string {
	t.Helper()
	dir := systemtest.Tools(t, "parquet", "python3 with venv")
	cmd := exec.Command(dir+"/python/bin/python", append([]string{oracleScripts + "/files.py"}, args...)...)
	var stderr strings.Builder
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("%v: %v\n%s", args, err, stderr.String())
	}
	return string(out)
}

// alike compares documents line by line; numbers are compared as such.
func alike(t *testing.T, got, want string) {
	t.Helper()
	a, b := strings.Split(strings.TrimSuffix(got, "\n"), "\n"), strings.Split(strings.TrimSuffix(want, "\n"), "\n")
	if len(a) != len(b) || len(a) < 2 {
		t.Fatalf("%d rows, want %d; the last: %s", len(a), len(b), a[len(a)-1])
	}
	for i := range a {
		x, xerr := jsondoc.Parse([]byte(a[i]), jsondoc.Limits{})
		y, yerr := jsondoc.Parse([]byte(b[i]), jsondoc.Limits{})
		if err := errors.Join(xerr, yerr); err != nil || !x.Root().Equal(y.Root()) {
			t.Fatalf("row %d:\n%s\nwant\n%s\n%v", i+1, a[i], b[i], err)
		}
	}
}

// TestOthersFiles: files that pyarrow, DuckDB and polars have written are read as pyarrow reads them.
func TestOthersFiles(t *testing.T) {
	dir := t.TempDir()
	python(t, "write", dir)
	files, err := filepath.Glob(filepath.Join(dir, "*.parquet"))
	if err != nil || len(files) != 11 {
		t.Fatalf("%d files: %v", len(files), err)
	}
	for _, file := range files {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".parquet"), func(t *testing.T) {
			data, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			want, err := os.ReadFile(strings.TrimSuffix(file, "parquet") + "jsonl")
			if err != nil {
				t.Fatal(err)
			}
			alike(t, rowsOf(t, data, defaults), string(want))
		})
	}
}

// TestOthersReaders: pyarrow and DuckDB read what is written here, in every packing: decimals as decimals, times with and without a zone, lists and groups.
func TestOthersReaders(t *testing.T) {
	many := slices.Clone(orders)
	for len(many) < 3000 {
		many = append(many, orders...)
	}
	for i := range many {
		if i%2 == 0 { // many texts, of which not all go into the dictionary
			many[i] = strings.Replace(many[i], `"tags":null`, fmt.Sprintf(`"tags":["%d%s"]`, i, strings.Repeat("-", 50)), 1)
		}
	}
	s := NewSchema(order)
	s.group, s.texts = 1000, 5000
	for _, packing := range Packings() {
		file := filepath.Join(t.TempDir(), packing+".parquet")
		if err := os.WriteFile(file, written(t, s, packing, slices.Values(many)), 0o600); err != nil {
			t.Fatal(err)
		}
		for _, engine := range []string{"pyarrow", "duckdb"} {
			t.Run(packing+" "+engine, func(t *testing.T) { same(t, python(t, "read", file, engine), strings.Join(many, "\n")+"\n") })
		}
	}
}
