package report

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/waybill-hub/waybill/internal/format"
	"github.com/waybill-hub/waybill/internal/state"
)

// head are the columns of a table of differences: one row for each field that differs, or one for a difference without.
// The money stands in the first row of a difference alone.
var head = []string{"n", "kind", "reason", "drift", "key", "left_id", "right_id", "more_ids", "hub_id", "field", "left", "right", "rule", "amount", "currency", "since", "event", "event_time", "outcome", "parked",
	"text", "proposal", "repair", "repair_event", "repair_detail"}

// widths are those columns' in a sheet.
var widths = []float64{7, 15, 16, 7, 18, 18, 18, 18, 18, 24, 28, 28, 16, 12, 9, 22, 24, 22, 12, 9, 40, 40, 12, 24, 40}

// rows are the rows of a difference.
func rows(d *state.Difference) [][]format.Cell {
	text := func(s string) format.Cell { return format.Cell{Text: s} }
	number := func(s string) format.Cell { return format.Cell{Number: s} }
	drift := "yes"
	if d.Explained || d.Kind == state.DiffNotCompared {
		drift = "no"
	}
	parked := ""
	if d.Parked != 0 {
		parked = strconv.FormatInt(d.Parked, 10)
	}
	row := func(i int, f *state.DifferentField) []format.Cell {
		amount, currency := d.Amount, d.Currency
		if i > 0 { // whoever sums the column up counts a difference once
			amount, currency = "", ""
		}
		left, right := values(f)
		more := ""
		if len(d.More) > 0 {
			b, _ := json.Marshal(d.More) // texts
			more = string(b)
		}
		return []format.Cell{number(strconv.Itoa(d.N)), text(d.Kind), text(d.Reason), text(drift), text(d.Key), text(d.Left), text(d.Right), text(more), text(d.Hub),
			text(f.Path), left, right, text(f.Rule), number(amount), text(currency), text(stamp(d.Since)), text(d.Event), text(stamp(d.EventTime)), text(d.Outcome), number(parked),
			text(d.Text), text(d.Proposal), text(d.Repair), text(d.RepairEvent), text(d.RepairDetail)}
	}
	if len(d.Fields) == 0 {
		return [][]format.Cell{row(0, &state.DifferentField{})}
	}
	out := make([][]format.Cell, len(d.Fields))
	for i := range d.Fields {
		out[i] = row(i, &d.Fields[i])
	}
	return out
}

// values are both sides of a field. A text stands as it is and an absent value is an empty cell; where that could be taken for another value, as an
// empty text, a text "null", or a text beside a number, it stands as JSON writes it.
func values(f *state.DifferentField) (left, right format.Cell) {
	literal := kind(f.Left) != kind(f.Right) && kind(f.Left) != 0 && kind(f.Right) != 0
	return value(f.Left, literal), value(f.Right, literal)
}

// kind is the first letter of a JSON value's kind; 0 where there is none.
func kind(v json.RawMessage) byte {
	v = bytes.TrimSpace(v)
	if len(v) == 0 {
		return 0
	}
	switch c := v[0]; c {
	case '-', '0', '1', '2', '3', '4', '5', '6', '7', '8', '9':
		return '0'
	case 't', 'f':
		return 't'
	default:
		return c
	}
}

func value(v json.RawMessage, literal bool) format.Cell {
	switch kind(v) {
	case 0:
		return format.Cell{}
	case '0':
		return format.Cell{Number: string(bytes.TrimSpace(v))}
	case '"':
		var s string
		if err := json.Unmarshal(v, &s); err == nil && !literal && !ambiguous(s) {
			return format.Cell{Text: s}
		}
	}
	return format.Cell{Text: string(v)}
}

// ambiguous reports whether a text looks like another JSON value.
func ambiguous(s string) bool {
	return s == "" || s == "null" || s == "true" || s == "false" || s[0] == '"' || s[0] == '{' || s[0] == '['
}

// stamp is a time with its zone; spreadsheets know no zones, so it is a text.
func stamp(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return t.UTC().Format(time.RFC3339)
}

func (r *Report) csv(w io.Writer) error {
	t, err := format.NewTable(w, head...)
	if err != nil {
		return err
	}
	fields := make([]string, len(head))
	put := func(row []format.Cell) error {
		for i := range row {
			fields[i] = row[i].Text + row[i].Number
		}
		return t.Row(fields)
	}
	for _, row := range r.about() {
		if err := put(row); err != nil {
			return err
		}
	}
	err = r.each(func(d *state.Difference) error {
		for _, row := range rows(d) {
			if err := put(row); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return err
	}
	for _, t := range r.Run.Summary.Totals { // without them the table would be taken for agreement
		group, _ := json.Marshal(t.Group) // texts
		if err := put(named(map[string]format.Cell{"kind": {Text: "total"}, "drift": {Text: "yes"}, "key": {Text: string(group)}, "field": {Text: t.Total}, "left": {Number: t.Left}, "right": {Number: t.Right}})); err != nil {
			return err
		}
	}
	return nil
}

// named is a row with some of the columns of head.
func named(cells map[string]format.Cell) []format.Cell {
	out := make([]format.Cell, len(head))
	for i, name := range head {
		out[i] = cells[name]
	}
	return out
}

// about are the rows of a table that tell of the run itself, before all differences: how it ended, and which files were compared.
func (r *Report) about() [][]format.Cell {
	text := func(s string) format.Cell { return format.Cell{Text: s} }
	words := []string{fmt.Sprintf("run %d", r.Run.ID)}
	for _, s := range []string{broken(r.Run), r.Run.Detail} {
		if s != "" {
			words = append(words, s)
		}
	}
	out := [][]format.Cell{named(map[string]format.Cell{"kind": text("run"), "reason": text(string(r.Run.State)), "key": text(r.Run.Name), "text": text(strings.Join(words, ": "))})}
	for i := range r.Run.Summary.Files {
		f := &r.Run.Summary.Files[i]
		out = append(out, named(map[string]format.Cell{"kind": text("file"), "key": text(f.Name), f.Side + "_id": text(f.ID), "event_time": text(stamp(f.Modified)), "text": text(f.String())}))
	}
	return out
}

// broken says of a run that was not brought to its end what its report is worth; empty: it was.
func broken(c *state.Comparison) string {
	switch c.State {
	case state.RunFailed, state.RunCancelled:
		return fmt.Sprintf("the run %s, and says nothing of the systems; what stands here is what it had found by then", map[state.RunState]string{state.RunFailed: "failed", state.RunCancelled: "was cancelled"}[c.State])
	}
	return ""
}

// xlsx writes a workbook with a sheet that sums up and one of the differences, as many as it takes; the summary says of how many there are.
func (r *Report) xlsx(w io.Writer) (err error) {
	book, err := format.NewWorkbook()
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, book.Close()) }()
	sum, err := book.Sheet("Summary", []float64{28, 24, 24, 24})
	if err != nil {
		return err
	}
	all, err := book.Sheet("Differences", widths, head...)
	if err != nil {
		return err
	}
	left := 0
	if broken(r.Run) != "" {
		if err := all.Row(r.about()[0]); err != nil {
			return err
		}
	}
	err = r.each(func(d *state.Difference) error {
		for _, row := range rows(d) {
			switch err := all.Row(row); {
			case errors.Is(err, format.ErrFull):
				left++
			case err != nil:
				return err
			}
		}
		return nil
	})
	if err != nil {
		return err
	}
	for _, row := range summary(r.Run, left) {
		if err := sum.Row(row); err != nil {
			return err
		}
	}
	return book.Write(w)
}

// summary are the rows that sum a run up; left is how many rows the other sheet does not hold.
func summary(c *state.Comparison, left int) [][]format.Cell {
	var out [][]format.Cell
	label := func(s string) format.Cell { return format.Cell{Text: s, Bold: true} }
	text := func(name, s string) {
		if s != "" {
			out = append(out, []format.Cell{label(name), {Text: s}})
		}
	}
	count := func(name string, n int64) {
		out = append(out, []format.Cell{label(name), {Number: strconv.FormatInt(n, 10)}})
	}
	counts := func(title string, of map[string]int64) {
		if len(of) == 0 {
			return
		}
		out = append(out, nil, []format.Cell{label(title)})
		for _, k := range slices.Sorted(maps.Keys(of)) {
			out = append(out, []format.Cell{{Text: k}, {Number: strconv.FormatInt(of[k], 10)}})
		}
	}
	s := &c.Summary
	text(c.Kind, c.Name)
	count("run", c.ID)
	text("state", string(c.State))
	text("incomplete", broken(c))
	text("detail", c.Detail)
	text("begun", stamp(c.Started))
	text("ended", stamp(c.Finished))
	text("asked for by", state.Why(c.Who, c.Why))
	for i := range s.Files {
		f := &s.Files[i]
		out = append(out, []format.Cell{label(f.Side + " file"), {Text: f.Name}, {Text: stamp(f.Modified)}, {Text: f.ID}})
	}
	if left > 0 {
		text("not in this file", fmt.Sprintf("%d rows: take the report as CSV or JSON", left))
	}
	out = append(out, nil)
	for _, n := range []struct {
		name string
		n    int64
	}{{"compared", s.Compared}, {"equal", s.Equal}, {"missing left", s.MissingLeft}, {"missing right", s.MissingRight}, {"different", s.Different}, {"doubled", s.Doubled},
		{"not compared", s.NotCompared}, {"repaired", s.Repaired}, {"drift left", s.Left()}} {
		count(n.name, n.n)
	}
	text("oldest", stamp(s.Oldest))
	counts("drift by reason", s.Reasons)
	counts("explained by reason", s.Explained)
	counts("different by field", s.Fields)
	if len(s.Money) > 0 {
		out = append(out, nil, []format.Cell{label("money affected")})
		for _, k := range slices.Sorted(maps.Keys(s.Money)) {
			out = append(out, []format.Cell{{Text: k}, {Number: s.Money[k]}})
		}
	}
	if len(s.Totals) > 0 {
		out = append(out, nil, []format.Cell{label("totals that do not agree"), label("of"), label("left"), label("right")})
		for _, t := range s.Totals {
			group, _ := json.Marshal(t.Group) // texts
			out = append(out, []format.Cell{{Text: t.Total}, {Text: string(group)}, {Number: t.Left}, {Number: t.Right}})
		}
	}
	return out
}
