package format

import (
	"bytes"
	"errors"
	"fmt"
	"strings"
	"unicode/utf8"

	"github.com/waybill-hub/waybill/internal/jsondoc"
)

// fitsCell says why a text fits into no cell.
func fitsCell(s string) error {
	if utf8.RuneCountInString(s) > mostCell || cutCell(s) != s {
		return fmt.Errorf("a cell holds %d characters, and it has more", mostCell)
	}
	if strings.ContainsFunc(s, func(r rune) bool { return r < ' ' && r != '\t' && r != '\n' && r != '\r' || r == 0xFFFE || r == 0xFFFF }) {
		return errors.New("it holds a character that no cell can")
	}
	return nil
}

// workbook packs rows.
func (s *Settings) workbook(records [][]byte) (_ []byte, err error) {
	w, err := NewWorkbook()
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, w.Close()) }()
	cols := s.written()
	var head []string
	if s.table().Header {
		for _, c := range cols {
			head = append(head, c.Name)
		}
	}
	name := s.XLSX.Sheet
	if name == "" {
		name = "Data"
	}
	sheet, err := w.Sheet(name, nil, head...)
	if err != nil {
		return nil, err
	}
	for _, record := range records {
		for line := range bytes.Lines(record) {
			doc, err := jsondoc.Parse(line, jsondoc.Limits{Bytes: len(line) + 1})
			if err != nil {
				return nil, err
			}
			cells := make([]Cell, len(cols))
			for i, c := range cols {
				if cells[i], err = cellOf(c.Type, doc.Root().Get(c.Name), s.table()); err != nil {
					return nil, err
				}
			}
			if err := sheet.Row(cells); err != nil {
				return nil, err
			}
		}
	}
	var out bytes.Buffer
	if err := w.Write(&out); err != nil {
		return nil, err
	}
	return out.Bytes(), nil
}

func cellOf(typ string, v jsondoc.Value, t *CSV) (Cell, error) {
	text, err := t.text(typ, v)
	if err != nil || v.Kind() == jsondoc.Missing || v.Kind() == jsondoc.Null {
		return Cell{}, err
	}
	switch typ {
	case "decimal", "integer":
		return Cell{Number: text}, nil
	case "date":
		return Cell{Date: v.Str()}, nil
	case "bool":
		return Cell{Truth: text}, nil
	}
	return Cell{Text: text}, nil
}
