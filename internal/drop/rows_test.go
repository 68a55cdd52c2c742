package drop_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/text/encoding/charmap"
	"golang.org/x/text/encoding/simplifiedchinese"
	"golang.org/x/text/encoding/unicode"

	"github.com/waybill-hub/waybill/internal/connector/connectortest"
)

// Every testdata/rows/*.yaml is an object's settings; the file of the same name with the ending .in is read by them, and
// what comes of it stands in .golden.
func TestRows(t *testing.T) {
	files, err := filepath.Glob("testdata/rows/*.yaml")
	if err != nil || len(files) == 0 {
		t.Fatal("no cases", err)
	}
	for _, file := range files {
		t.Run(filepath.Base(file), func(t *testing.T) {
			object, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			base := strings.TrimSuffix(file, ".yaml")
			in, err := os.ReadFile(base + ".in")
			if err != nil {
				t.Fatal(err)
			}
			d := newDrop(t, strings.TrimSpace(string(object)))
			d.Put(t, "x.txt", string(in))
			files, _ := d.Files()
			if len(files) != 1 {
				t.Fatal("the file is not seen")
			}
			got := d.Rows(files[0], 0)
			connectortest.Golden(t, base+".golden", []byte(got))
			lines := strings.SplitAfter(got, "\n")
			if again := d.Rows(files[0], 2); len(lines) > 3 && !strings.HasPrefix(lines[0], "0 ") && again != strings.Join(lines[2:], "") {
				t.Errorf("from row 2 on: %s", again)
			}
		})
	}
}

func TestEncodings(t *testing.T) {
	const text = "sku,name\n0042,Größe 数量\n"
	const latin = "sku,name\n0042,Größe €\n"
	cases := map[string]struct {
		name string
		data func() ([]byte, error)
		want string
	}{
		"utf-8":          {"utf-8", func() ([]byte, error) { return []byte(text), nil }, "Größe 数量"},
		"utf-8 with BOM": {"utf-8", func() ([]byte, error) { return []byte("\uFEFF" + text), nil }, "Größe 数量"},
		"gb18030":        {"gb18030", func() ([]byte, error) { return simplifiedchinese.GB18030.NewEncoder().Bytes([]byte(text)) }, "Größe 数量"},
		"utf-16": {"utf-16", func() ([]byte, error) {
			return unicode.UTF16(unicode.BigEndian, unicode.UseBOM).NewEncoder().Bytes([]byte(text))
		}, "Größe 数量"},
		"utf-16le": {"utf-16le", func() ([]byte, error) {
			return unicode.UTF16(unicode.LittleEndian, unicode.IgnoreBOM).NewEncoder().Bytes([]byte(text))
		}, "Größe 数量"},
		"iso-8859-15":  {"iso-8859-15", func() ([]byte, error) { return charmap.ISO8859_15.NewEncoder().Bytes([]byte(latin)) }, "Größe €"},
		"windows-1252": {"windows-1252", func() ([]byte, error) { return charmap.Windows1252.NewEncoder().Bytes([]byte(latin)) }, "Größe €"},
		"iso-8859-1":   {"iso-8859-1", func() ([]byte, error) { return []byte("sku,name\n0042,Gr\xf6\xdfe\n"), nil }, "Größe"},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			data, err := tc.data()
			if err != nil {
				t.Fatal(err)
			}
			d := newDrop(t, "{encoding: "+tc.name+", ready: {when: renamed}}")
			d.Put(t, "x.csv", string(data))
			files, _ := d.Files()
			if got, want := d.Rows(files[0], 0), `1 @2: {"sku":"0042","name":"`+tc.want+"\"}\n"; got != want {
				t.Errorf("%s, want %s", got, want)
			}
		})
	}
	d := newDrop(t, "{encoding: gb18030, ready: {when: renamed}}")
	d.Put(t, "x.csv", "sku\n\xff\xff\n7\n")
	files, _ := d.Files()
	if got := d.Rows(files[0], 0); !strings.Contains(got, "1 @2: drop: read x.csv: line 2: bytes that are not of the file's encoding") || !strings.Contains(got, `2 @3: {"sku":"7"}`) {
		t.Errorf("%s", got)
	}
}
