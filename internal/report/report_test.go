package report

import (
	"bytes"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/xuri/excelize/v2"

	"github.com/waybill-hub/waybill/internal/format"
	"github.com/waybill-hub/waybill/internal/state"
)

var update = flag.Bool("update", false, "write the golden files")

// example is a report with everything that one can hold; pages are of two.
func example() *Report {
	at := time.Date(2026, 11, 30, 2, 0, 0, 0, time.FixedZone("", 8*3600))
	run := &state.Comparison{ID: 71, Kind: state.RunReconciliation, Name: "customers-crm-erp", State: state.RunDrift, Who: "ann", Why: "month's end", Started: at, Finished: at.Add(90 * time.Second), Detail: "3 are left",
		Summary: state.CompareSummary{Compared: 2000, Equal: 1994, MissingRight: 1, Different: 2, Doubled: 1, NotCompared: 1, Repaired: 1, Oldest: at.Add(-24 * time.Hour),
			Explained: map[string]int64{"in-flight": 1}, Reasons: map[string]int64{"edited-right": 2, "never-arrived": 1}, Fields: map[string]int64{"credit_limit": 2, "name": 1},
			Money: map[string]string{"EUR": "10.10", "CNY": "12345678901234567.89"}, Totals: []state.TotalLine{{Total: "open_amount", Group: []string{"EUR", "2026-11"}, Left: "100.10", Right: "90.00"}},
			Files: []state.ComparedFile{{Side: "right", System: "bank", Name: "statement-1130.csv", ID: "9f86d081884c", Size: 1234, Modified: at.Add(-time.Hour)}}}}
	raw := func(s string) json.RawMessage { return json.RawMessage(s) }
	list := []state.Difference{
		{Run: 71, N: 1, Kind: state.DiffDifferent, Reason: state.ReasonEditedRight, Hub: "h-1", Key: "0012", Left: "001xx000003DGb2AAG", Right: "=5", Since: at.Add(-24 * time.Hour), Amount: "10.10", Currency: "EUR",
			Fields: []state.DifferentField{{Path: "credit_limit", Left: raw("100.10"), Right: raw("90.00"), Rule: "within 0.01"}, {Path: "name", Left: raw(`"Müller, \"客户\" <GmbH>"`), Rule: "fold case"},
				{Path: "code", Left: raw(`"12"`), Right: raw(`12`), Rule: "exact"}, {Path: "note", Left: raw(`null`), Right: raw(`""`), Rule: "exact"}, {Path: "tags", Left: raw(`["a"]`), Right: raw(`"null"`), Rule: "exact"},
				{Path: "total", Left: raw(`12345678901234567890.12`), Right: raw(`-5`), Rule: "exact"}},
			LeftDoc: raw(`{"credit_limit":100.10}`), Event: "e-1", EventTime: at, Outcome: "delivered", Proposal: "write credit_limit to erp", Repair: state.RepairRepaired, RepairEvent: "r-1"},
		{Run: 71, N: 2, Kind: state.DiffMissingRight, Reason: state.ReasonNeverArrived, Key: "C-2", Left: "+49", Parked: 17, Text: "-1 is said\nin two lines"},
		{Run: 71, N: 3, Kind: state.DiffDoubledRight, Reason: state.ReasonDoubled, Left: "3", Right: "4", More: []string{"5", "6,7"}},
		{Run: 71, N: 4, Kind: state.DiffMissingLeft, Reason: state.ExplainedInFlight, Explained: true, Right: "9"},
		{Run: 71, N: 5, Kind: state.DiffNotCompared, Reason: "unreadable", Left: "10", Text: "customer 10 has no number"},
	}
	return &Report{Run: run, Head: map[string]any{"id": run.ID, "name": run.Name, "html": "<&>"}, Next: func(after int) ([]state.Difference, error) {
		return list[min(after, len(list)):min(after+2, len(list))], nil
	}}
}

func golden(t *testing.T, name, got string) {
	t.Helper()
	path := filepath.Join("testdata", name)
	if *update {
		if err := os.WriteFile(path, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if string(want) != got {
		t.Errorf("%s is not what it was; with -update it is written anew:\n%s", path, got)
	}
}

func TestGolden(t *testing.T) {
	for _, form := range Formats {
		var b bytes.Buffer
		if err := example().Write(&b, form); err != nil {
			t.Fatal(err)
		}
		text := b.String()
		switch form {
		case "xlsx":
			text = shown(t, &b)
		case "json":
			if !json.Valid(b.Bytes()) {
				t.Error("the JSON is none")
			}
		}
		golden(t, "report."+form+map[bool]string{true: ".txt"}[form == "xlsx"], text)
	}
}

// shown reads a workbook back: every cell with its type, as it lies in the file and as it is shown.
func shown(t *testing.T, b *bytes.Buffer) string {
	t.Helper()
	f, err := excelize.OpenReader(b)
	if err != nil {
		t.Fatal(err)
	}
	var out strings.Builder
	for _, sheet := range f.GetSheetList() {
		fmt.Fprintf(&out, "== %s\n", sheet)
		rows, err := f.GetRows(sheet, excelize.Options{RawCellValue: true})
		if err != nil {
			t.Fatal(err)
		}
		for i, row := range rows {
			for j, raw := range row {
				if raw == "" {
					continue
				}
				ref, err1 := excelize.CoordinatesToCellName(j+1, i+1)
				typ, err2 := f.GetCellType(sheet, ref)
				text, err3 := f.GetCellValue(sheet, ref)
				if err := errors.Join(err1, err2, err3); err != nil {
					t.Fatal(err)
				}
				kind := "text"
				if typ != excelize.CellTypeInlineString && typ != excelize.CellTypeSharedString {
					kind = "number"
				}
				fmt.Fprintf(&out, "%s %s %q", ref, kind, raw)
				if text != raw {
					fmt.Fprintf(&out, " shown %q", text)
				}
				out.WriteByte('\n')
			}
		}
	}
	return out.String()
}

// TestJSONIsWhatWasFound: the document holds every difference as it is, exact numbers included.
func TestJSONIsWhatWasFound(t *testing.T) {
	var b bytes.Buffer
	if err := example().Write(&b, "json"); err != nil {
		t.Fatal(err)
	}
	var got struct {
		Run         struct{ ID int64 }
		Differences []state.Difference
	}
	if err := json.Unmarshal(b.Bytes(), &got); err != nil || got.Run.ID != 71 || len(got.Differences) != 5 {
		t.Fatalf("%+v %v", got, err)
	}
	if d := got.Differences[0]; string(d.Fields[5].Left) != "12345678901234567890.12" || d.N != 1 || !strings.Contains(b.String(), "<GmbH>") {
		t.Errorf("%+v", d)
	}
}

// TestBrokenRun: who opens a report of a run that was not brought to its end does not take it for agreement, nor what it had found by then for everything.
func TestBrokenRun(t *testing.T) {
	for as, says := range map[state.RunState]string{state.RunFailed: "the run failed, and says nothing of the systems; what stands here is what it had found by then", state.RunCancelled: "the run was cancelled, and says nothing"} {
		for _, found := range []bool{true, false} {
			r := example()
			r.Run.State, r.Run.Detail, r.Run.Summary.Totals = as, "the list broke off", nil
			if !found {
				r.Next = func(int) ([]state.Difference, error) { return nil, nil }
			}
			var b bytes.Buffer
			if err := r.Write(&b, "csv"); err != nil {
				t.Fatal(err)
			}
			if lines := strings.Split(b.String(), "\n"); !strings.HasPrefix(lines[1], ",run,"+string(as)+",,customers-crm-erp,") || !strings.Contains(lines[1], says) || !strings.Contains(lines[1], "the list broke off") {
				t.Errorf("%s: %s", as, b.String())
			}
			b.Reset()
			if err := r.Write(&b, "xlsx"); err != nil {
				t.Fatal(err)
			}
			sum, list, _ := strings.Cut(shown(t, &b), "== Differences")
			if !strings.Contains(sum, says) || !strings.Contains(sum, "the list broke off") || !strings.Contains(list, "B2 text \"run\"") || !strings.Contains(list, says) || strings.Contains(list, "edited-right") != found {
				t.Errorf("%s: %s == Differences %s", as, sum, list)
			}
		}
	}
}

// TestBreaksOff: an error of the store ends the report, in every format.
func TestBreaksOff(t *testing.T) {
	gone := errors.New("the store has gone")
	for _, form := range Formats {
		r := example()
		next := r.Next
		r.Next = func(after int) ([]state.Difference, error) {
			if after > 2 {
				return nil, gone
			}
			return next(after)
		}
		if err := r.Write(&bytes.Buffer{}, form); !errors.Is(err, gone) {
			t.Errorf("%s: %v", form, err)
		}
	}
	if err := example().Write(&bytes.Buffer{}, "pdf"); err == nil || !strings.Contains(err.Error(), "json, csv, xlsx") {
		t.Errorf("an unknown format: %v", err)
	}
}

// TestFull: what a sheet does not take is counted in the summary.
func TestFull(t *testing.T) {
	var out strings.Builder
	for _, row := range summary(example().Run, 7) {
		for _, c := range row {
			out.WriteString(c.Text + c.Number + " ")
		}
	}
	if !strings.Contains(out.String(), "not in this file 7 rows: take the report as CSV or JSON") {
		t.Error(out.String())
	}
	var one []format.Cell = rows(&state.Difference{N: 1})[0]
	if len(one) != len(head) || len(widths) != len(head) {
		t.Errorf("%d cells, %d widths, %d columns", len(one), len(widths), len(head))
	}
}

func TestFileName(t *testing.T) {
	r := &Report{Run: &state.Comparison{ID: 7, Name: "kunden/größe \"x\""}}
	if got := r.FileName("csv"); got != "kunden-gr--e--x--7.csv" {
		t.Error(got)
	}
}
