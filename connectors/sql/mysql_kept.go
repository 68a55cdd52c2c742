package sql

import (
	"fmt"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/waybill-hub/waybill/internal/jsondoc"
	"github.com/waybill-hub/waybill/internal/timetext"
)

// kept: a column cuts off digits of the second without a word, a CHAR the blanks at the end, and a FLOAT has seven digits. What a trigger has made of a
// value is the database's own business.
func (*mysql) kept(o *object, list string, sent, stored jsondoc.Value) error {
	table, columns := o.tableOf(list)
	for name, v := range sent.Members() {
		if typ := columns[name]; table.column(name).kind == "bit" && typ != "integer" && typ != "boolean" && v.Exists() {
			return fmt.Errorf("%s: a BIT takes the bytes of what is no integer and no boolean: write one of them in the settings, in place of %s", name, typ)
		}
	}
	return keptDigits(o, list, sent, stored, map[string]int{"float": 32, "double": 64})
}

// keptDigits says what of a row the database cut off, rounded or filled up without a word. floats are the kinds of columns that hold floating point numbers, with
// their bits.
func keptDigits(o *object, list string, sent, stored jsondoc.Value, floats map[string]int) error {
	table, columns := o.tableOf(list)
	for name, v := range sent.Members() {
		if list == "" && name == o.Version && o.Touch {
			continue // the hub's own
		}
		got, lost := stored.Get(name), false
		switch typ := columns[name]; typ {
		case "integer", "decimal":
			lost = beyondFloat(floats[table.column(name).kind], v)
		case "timestamp", "local-timestamp":
			lost = cutTime(v, got)
		case "text":
			lost = otherNumber(table.column(name), v, got)
			if cutText(v, got) { // a text may be somebody's name
				return fmt.Errorf("%s: the column cannot hold the text exactly: of %d characters the database made %d; blanks at its end are cut off by a CHAR, and where it is full: cut it in the mapping, or widen the column",
					name, utf8.RuneCountInString(v.Str()), utf8.RuneCountInString(got.Str()))
			}
		}
		if lost {
			return fmt.Errorf("%s: the column cannot hold %s exactly, the database made it %s: round it in the mapping, or widen the column", name, short(string(v.Raw())), short(string(got.Raw())))
		}
	}
	return nil
}

// beyondFloat: the number is not the one that its nearest float shows.
func beyondFloat(size int, v jsondoc.Value) bool {
	if size == 0 || !v.Exists() {
		return false
	}
	want, err := decimalOf(v)
	if err != nil {
		return false // it was refused before
	}
	near, err := strconv.ParseFloat(want.String(), size)
	if err != nil {
		return true
	}
	held, err := jsondoc.ParseDecimal(strconv.FormatFloat(near, 'g', -1, size))
	return err != nil || held.Cmp(want) != 0
}

// otherNumber: a column of numbers has rounded a text that is one.
func otherNumber(c knownColumn, sent, stored jsondoc.Value) bool {
	if c.precision == 0 && c.kind != "year" || sent.Kind() != jsondoc.String || stored.Kind() != jsondoc.String {
		return false
	}
	want, err := jsondoc.ParseDecimal(sent.Str())
	got, errGot := jsondoc.ParseDecimal(stored.Str())
	return err == nil && errGot == nil && want.Cmp(got) != 0
}

// cutTime: the stored time is the sent one with fewer digits of the second, cut or rounded.
func cutTime(sent, stored jsondoc.Value) bool {
	if sent.Kind() != jsondoc.String || stored.Kind() != jsondoc.String {
		return false
	}
	s, errS := timetext.Parse(sent.Str())
	g, errG := timetext.Parse(stored.Str())
	if errS != nil || errG != nil || s.Zone == nil || g.Zone == nil {
		return false
	}
	want, got := s.In(nil), g.In(nil)
	if want.Equal(got) {
		return false
	}
	for digit := time.Second; digit >= time.Microsecond; digit /= 10 {
		if got.Equal(want.Truncate(digit)) || got.Equal(want.Round(digit)) {
			return true
		}
	}
	return false
}

// cutText: the stored text is the sent one without its end, or filled up.
func cutText(sent, stored jsondoc.Value) bool {
	if sent.Kind() != jsondoc.String || stored.Kind() != jsondoc.String || sent.Str() == stored.Str() {
		return false
	}
	want, got := sent.Str(), stored.Str()
	return strings.TrimRight(want, " ") == got || got != "" && strings.HasPrefix(want, got) || strings.TrimRight(got, "\x00") == want
}
