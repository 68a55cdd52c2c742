// Package scaffold makes the first files of projects, flows, mappings and schemas out of sample documents. What it cannot know it writes as a
// TODO comment, and nothing that it makes is more than a beginning.
package scaffold

import (
	"bytes"
	"errors"
	"fmt"
	"path/filepath"
	"strings"

	"github.com/waybill-hub/waybill/internal/format"
	"github.com/waybill-hub/waybill/internal/jsondoc"
	"github.com/waybill-hub/waybill/internal/strictyaml"
)

// Bounds of a sample: it is a beginning, not the data.
const (
	MaxSample  = 4 << 20
	MaxSamples = 1000
)

// ParseSample reads documents: a JSON object, a list of objects, objects line by line, or a CSV file with a header, whose values are texts. The
// name's ending says which; of others the content does.
func ParseSample(name string, data []byte) ([]*jsondoc.Doc, error) {
	if len(data) > MaxSample {
		return nil, fmt.Errorf("the sample has more than %d MiB: give some documents of it", MaxSample>>20)
	}
	data = bytes.TrimPrefix(data, []byte("\xef\xbb\xbf"))
	text := bytes.TrimSpace(data)
	if len(text) == 0 {
		return nil, errors.New("the sample is empty")
	}
	if isCSV(name, text) {
		return parseCSV(data)
	}
	doc, err := jsondoc.Parse(text, jsondoc.Limits{Bytes: MaxSample})
	if err != nil {
		if docs, lerr := parseLines(text); lerr == nil {
			return docs, nil
		}
		return nil, fmt.Errorf("this is neither JSON nor JSON line by line: %w", err)
	}
	if doc.Root().Kind() != jsondoc.Array {
		return objects(doc)
	}
	var out []*jsondoc.Doc
	for v := range doc.Root().Elements() {
		one, err := jsondoc.Parse(v.Raw(), jsondoc.Limits{Bytes: MaxSample})
		if err != nil {
			return nil, err
		}
		out = append(out, one)
	}
	return objects(out...)
}

func parseLines(text []byte) ([]*jsondoc.Doc, error) {
	var out []*jsondoc.Doc
	for i, line := range bytes.Split(text, []byte("\n")) {
		if line = bytes.TrimSpace(line); len(line) == 0 {
			continue
		}
		doc, err := jsondoc.Parse(line, jsondoc.Limits{Bytes: MaxSample})
		if err != nil {
			return nil, fmt.Errorf("line %d: %w", i+1, err)
		}
		out = append(out, doc)
	}
	return objects(out...)
}

// isCSV goes by a sample's name, and else by how it begins.
func isCSV(name string, text []byte) bool {
	ext := strings.ToLower(filepath.Ext(name))
	return ext == ".csv" || ext == ".tsv" || ext != ".json" && ext != ".jsonl" && text[0] != '{' && text[0] != '['
}

// Delimiter gives what stands between the values of a sample that ParseSample took, and whether it is CSV at all.
func Delimiter(name string, data []byte) (delimiter string, csv bool) {
	text := bytes.TrimSpace(bytes.TrimPrefix(data, []byte("\xef\xbb\xbf")))
	if len(text) == 0 || !isCSV(name, text) {
		return "", false
	}
	return delimiterOf(text), true
}

// delimiters are those that a first line is looked through for.
var delimiters = []string{",", ";", "\t", "|"}

func delimiterOf(text []byte) string {
	first, _, _ := bytes.Cut(text, []byte("\n"))
	best := ","
	for _, d := range delimiters {
		if bytes.Count(first, []byte(d)) > bytes.Count(first, []byte(best)) {
			best = d
		}
	}
	return best
}

func parseCSV(data []byte) ([]*jsondoc.Doc, error) {
	s := format.Settings{Format: "csv", Encoding: "utf-8", MaxRow: 1 << 20, Empty: "failed", CSV: format.CSV{
		Delimiter: delimiterOf(data), Quote: `"`, Header: true, By: "name", DateLayout: "2006-01-02", Mark: ".", Numbers: format.Numbers{Decimal: ".", Group: "none"}, Formulas: "keep"}}
	s.Complete(strictyaml.Node{}, nil)
	var out []*jsondoc.Doc
	for row, err := range s.Read(bytes.NewReader(data), 0) {
		if err != nil {
			return nil, err
		}
		doc, err := jsondoc.Parse(row.Doc, jsondoc.Limits{Bytes: MaxSample})
		if err != nil {
			return nil, err
		}
		if out = append(out, doc); len(out) > MaxSamples {
			break
		}
	}
	return objects(out...)
}

// objects complains of what is no object, and of too little and too much.
func objects(docs ...*jsondoc.Doc) ([]*jsondoc.Doc, error) {
	if len(docs) == 0 {
		return nil, errors.New("the sample holds no document")
	}
	if len(docs) > MaxSamples {
		return nil, fmt.Errorf("the sample has more than %d documents: give some of them", MaxSamples)
	}
	for i, d := range docs {
		if d.Root().Kind() != jsondoc.Object {
			return nil, fmt.Errorf("document %d is no object (%s)", i+1, d.Root().Kind())
		}
	}
	return docs, nil
}
