package format

import (
	"errors"
	"fmt"
	"strings"
	"unicode/utf8"

	"github.com/waybill-hub/waybill/internal/jsondoc"
)

// jsonl reads one JSON object a line.
type jsonl struct{ lines lines }

func (r *jsonl) end() ending { return ending{open: r.lines.open} }

func (r *jsonl) next() (Row, error) {
	for {
		text, err := r.lines.next()
		row := Row{Line: r.lines.line}
		if err == nil {
			text = chomp(text)
			if len(strings.TrimSpace(string(text))) == 0 {
				continue
			}
			row.Doc, err = object(text)
		} else if !errors.Is(err, errLong) {
			return row, err
		}
		if err != nil {
			return row, &RowError{Err: err, Cut: r.lines.open}
		}
		return row, nil
	}
}

func object(text []byte) ([]byte, error) {
	if !utf8.Valid(text) || strings.ContainsRune(string(text), utf8.RuneError) {
		return nil, errBytes
	}
	doc, err := jsondoc.Parse(text, jsondoc.Limits{Bytes: len(text) + 1})
	if err != nil {
		return nil, err
	}
	if doc.Root().Kind() != jsondoc.Object {
		return nil, fmt.Errorf("the line holds no object (%s)", doc.Root().Kind())
	}
	return doc.Root().Raw(), nil
}
