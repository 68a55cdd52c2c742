package einvoice

import (
	"archive/zip"
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/waybill-hub/waybill/internal/systemtest"
	"pgregory.net/rapid"
)

// officialRules gives the class path of the program that holds files against the official rules.
func officialRules(t *testing.T) string {
	t.Helper()
	return systemtest.Tools(t, "einvoice", "Java 17 and Maven")
}

// verdict is what the official rules say of a file: rules that are broken, by name, and in words.
type verdict struct {
	rules map[string]bool
	texts []string
}

// judge holds XML against the official rules. The names say which file is which.
func judge(t *testing.T, path string, files map[string][]byte) map[string]verdict {
	t.Helper()
	dir := t.TempDir()
	args := []string{"-cp", path, "Validate"}
	names := map[string]string{}
	for name, body := range files {
		file := filepath.Join(dir, fmt.Sprintf("%d.xml", len(names)))
		if err := os.WriteFile(file, body, 0o600); err != nil {
			t.Fatal(err)
		}
		names[file] = name
		args = append(args, file)
	}
	cmd := exec.Command("java", args...)
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("%v\n%s", err, stderr.Bytes())
	}
	all := map[string]verdict{}
	now := ""
	for line := range strings.Lines(string(out)) {
		kind, rest, _ := strings.Cut(strings.TrimRight(line, "\n"), "\t")
		switch kind {
		case "file":
			now = names[rest]
			all[now] = verdict{rules: map[string]bool{}}
		case "error":
			rule, text, _ := strings.Cut(rest, "\t")
			v := all[now]
			v.rules[rule] = true
			v.texts = append(v.texts, text)
			all[now] = v
		}
	}
	if len(all) != len(files) {
		t.Fatalf("%d of %d files were judged\n%s", len(all), len(files), stderr.Bytes())
	}
	return all
}

// TestOfficialRules: what is written of the samples, and of invoices made at random, is accepted by the schemas and the official rules; what is refused here is refused there,
// by the same rules.
func TestOfficialRules(t *testing.T) {
	path := officialRules(t)
	good, bad := map[string][]byte{}, map[string][]byte{}
	for _, s := range samples(t) {
		for _, o := range ways {
			if s.name == wholeYen && o.Profile == Peppol {
				continue
			}
			out, err := Write(parse(t, s.raw), o)
			if err != nil {
				t.Fatal(s.name, err)
			}
			good[fmt.Sprintf("%s, %s, %s", s.name, o.Syntax, o.Profile)] = out
		}
	}
	for seed := range 25 {
		one := rapid.Custom(func(t *rapid.T) drawn { doc, peppol := drawInvoice(t); return drawn{doc, peppol} }).Example(seed)
		raw, err := json.Marshal(one.doc)
		if err != nil {
			t.Fatal(err)
		}
		for _, o := range ways {
			if o.Profile == Peppol && !one.peppol {
				continue
			}
			out, err := Write(parse(t, raw), o)
			if err != nil {
				t.Fatalf("%v\n%s", err, raw)
			}
			good[fmt.Sprintf("random %d, %s, %s", seed, o.Syntax, o.Profile)] = out
		}
	}
	wanted := map[string]broken{}
	for _, b := range brokenDocuments(t) {
		if !b.Ours {
			bad[b.Name] = unchecked(t, b)
			wanted[b.Name] = b
		}
	}
	for name, v := range judge(t, path, good) {
		if len(v.rules) > 0 {
			t.Errorf("%s: refused: %s\n%s", name, strings.Join(v.texts, "; "), good[name])
		}
	}
	for name, v := range judge(t, path, bad) {
		if wanted[name].Schema {
			if len(v.texts) == 0 {
				t.Errorf("%s: the schema takes it", name)
			}
			continue
		}
		for _, rule := range wanted[name].Rules {
			if !v.rules[rule] {
				t.Errorf("%s: the official rules do not say %s, but %v", name, rule, v.texts)
			}
		}
	}
}

type drawn struct {
	doc    map[string]any
	peppol bool
}

// unchecked is what would be written if nothing were refused.
func unchecked(t *testing.T, b broken) []byte {
	t.Helper()
	inv, problems := fromDocument(parse(t, b.document(t)), nil)
	if len(problems) > 0 {
		t.Fatal(b.Name, problems)
	}
	inv.specification = specification[b.Profile]
	if b.Profile == Peppol {
		inv.process = peppolProcess
	}
	inv.derive()
	c := newWriter(b.Syntax, inv)
	c.root()
	out, err := c.bytes()
	if err != nil {
		t.Fatal(b.Name, err)
	}
	return out
}

// TestOfficialCodes: the lists of codes are those of the official rules.
func TestOfficialCodes(t *testing.T) {
	path := officialRules(t)
	_, lib, _ := strings.Cut(path, ":")
	jars, err := filepath.Glob(strings.TrimSuffix(lib, "*") + "phive-rules-en16931-*.jar")
	if err != nil || len(jars) != 1 {
		t.Fatal(jars, err)
	}
	jar, err := zip.OpenReader(jars[0])
	if err != nil {
		t.Fatal(err)
	}
	defer jar.Close()
	f, err := jar.Open("external/schematron/1.3.16/ubl/EN16931-UBL-validation.xslt")
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	rules, err := io.ReadAll(f)
	if err != nil {
		t.Fatal(err)
	}
	files, err := filepath.Glob("codes/*.txt")
	if err != nil || len(files) == 0 {
		t.Fatal(files, err)
	}
	for _, file := range files {
		data, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		_, text, _ := strings.Cut(string(data), "\n")
		if want := "' " + strings.Join(strings.Fields(text), " ") + " '"; !bytes.Contains(rules, []byte(want)) {
			t.Errorf("%s is not the list of the rules", file)
		}
	}
}
