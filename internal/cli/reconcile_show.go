package cli

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/waybill-hub/waybill/internal/api"
	"github.com/waybill-hub/waybill/internal/state"
)

// firstDifferences are shown at the end of a run.
const firstDifferences = 20

// differenceQuery says which differences are shown.
type differenceQuery struct {
	kind, reason string
	drift, all   bool // all: page after page
	after, limit int
}

func (q *differenceQuery) path(run int64) string {
	v := url.Values{"limit": {strconv.Itoa(q.limit)}}
	for name, text := range map[string]string{"kind": q.kind, "reason": q.reason} {
		if text != "" {
			v.Set(name, text)
		}
	}
	if q.drift {
		v.Set("drift", "true")
	}
	if q.after > 0 {
		v.Set("after", strconv.Itoa(q.after))
	}
	return "/api/v1/runs/" + num(run) + "/differences?" + v.Encode()
}

func (k *comparing) show() *cobra.Command {
	q := differenceQuery{limit: 100}
	var wait bool
	c := &cobra.Command{Use: "show RUN", Short: "Show a run: how far it is, or what it has found", Args: needs("the number of a RUN"), RunE: do(func(c *cobra.Command, args []string) error {
		id, err := runID(c, args[0])
		if err != nil {
			return err
		}
		if q.limit < 1 || q.limit > 1000 {
			return usage("%s: --limit %d: from 1 to 1000", c.CommandPath(), q.limit)
		}
		for _, f := range []struct {
			name, text string
			among      []string
		}{{"kind", q.kind, state.DifferenceKinds}, {"reason", q.reason, state.DifferenceReasons}} {
			if f.text != "" && !slices.Contains(f.among, f.text) {
				return usage("%s: --%s %q: one of %s", c.CommandPath(), f.name, f.text, strings.Join(f.among, ", "))
			}
		}
		q.drift = !q.all && q.kind == "" && q.reason == ""
		run, err := k.e.runByID(c.Context(), id)
		if err != nil {
			return err
		}
		if wait && !state.RunState(run.State).Over() {
			if run, err = k.await(c.Context(), run); err != nil {
				return err
			}
		}
		if err := k.showRun(context.WithoutCancel(c.Context()), run, q); err != nil || !wait {
			return err
		}
		return runExit(run)
	})}
	f := c.Flags()
	f.StringVar(&q.reason, "reason", "", "only differences for this reason")
	f.StringVar(&q.kind, "kind", "", "only differences of this kind: "+strings.Join(state.DifferenceKinds, ", "))
	f.BoolVar(&q.all, "all", false, "all differences, also what is explained")
	f.IntVar(&q.after, "after", 0, "go on behind the difference of this number")
	f.IntVar(&q.limit, "limit", 100, "at most so many, without --all")
	f.BoolVar(&wait, "wait", false, "wait for its end, and exit as the run would have")
	return c
}

// showRun shows a run and its differences.
func (k *comparing) showRun(ctx context.Context, run *api.Run, q differenceQuery) error {
	e := k.e
	if !state.RunState(run.State).Over() {
		if e.output == "json" {
			return e.json(map[string]any{"run": run})
		}
		bar := progressBar{name: run.Name}
		p := run.Progress
		if p == nil {
			p = &state.CompareProgress{}
		}
		_, err := fmt.Fprintf(e.out, "run %d of %s, attempt %d: %s\n", run.ID, run.Name, run.Attempt, bar.line(run, p, time.Now()))
		return err
	}
	found, err := e.differences(ctx, run.ID, q)
	if err != nil {
		return err
	}
	if e.output == "json" {
		return e.json(map[string]any{"run": run, "differences": found.Differences, "next": found.Next})
	}
	if err := k.showSummary(run); err != nil {
		return err
	}
	if err := k.showDifferences(run, found); err != nil {
		return err
	}
	named, err := k.named(ctx, run)
	if err != nil {
		return err
	}
	k.advise(run, named)
	return nil
}

// named reports whether the run says of objects that could not be compared which they are. What stands in no total alone is counted, and the run's own
// sentence names the first.
func (k *comparing) named(ctx context.Context, run *api.Run) (bool, error) {
	if s := run.Summary; s == nil || s.NotCompared <= s.Explained[state.ExplainedStands] {
		return false, nil
	}
	found, err := k.e.differences(ctx, run.ID, differenceQuery{kind: state.DiffNotCompared, limit: 1})
	return err == nil && len(found.Differences) > 0, err
}

// differences asks for a page, or for all of them page by page.
func (e *env) differences(ctx context.Context, run int64, q differenceQuery) (*api.Differences, error) {
	all := &api.Differences{Run: run, Differences: []state.Difference{}}
	if q.all {
		q.limit = 1000
	}
	for {
		var page api.Differences
		if err := e.ask(ctx, http.MethodGet, q.path(run), nil, &page); err != nil {
			return nil, err
		}
		all.Differences = append(all.Differences, page.Differences...)
		all.Next, q.after = page.Next, page.Next
		if page.Next == 0 || !q.all {
			return all, nil
		}
	}
}

// showSummary tells what a run has found, by kind and by reason.
func (k *comparing) showSummary(run *api.Run) error {
	e, s := k.e, run.Summary
	if s == nil {
		s = &state.CompareSummary{}
	}
	took := ""
	if run.Started != nil && run.Finished != nil {
		took = " in " + run.Finished.Sub(*run.Started).Round(100*time.Millisecond).String()
	}
	fmt.Fprintf(e.out, "%s: %s (run %d, %s compared%s)\n", run.Name, run.State, run.ID, grouped(s.Compared), took)
	if run.Detail != "" {
		fmt.Fprintln(e.out, cell(run.Detail))
	}
	for i := range s.Files {
		fmt.Fprintln(e.out, cell(s.Files[i].String()))
	}
	rows := [][]string{{}}
	kinds := [][]string{{"KIND", "COUNT"}}
	for _, c := range []struct {
		name string
		n    int64
		show bool
	}{{"equal", s.Equal, true}, {"missing left", s.MissingLeft, k.both()}, {"missing right", s.MissingRight, k.both()}, {k.differs(), s.Different, true}, {"doubled", s.Doubled, k.both()},
		{"totals apart", int64(len(s.Totals)), len(s.Totals) > 0}, {"not compared", s.NotCompared, s.NotCompared > 0}, {"repaired", s.Repaired, run.Options.Repair}} {
		if c.show {
			kinds = append(kinds, []string{c.name, grouped(c.n)})
		}
	}
	rows = append(rows, kinds...)
	rows = append(rows, countRows("REASON OF DRIFT", s.Reasons)...)
	rows = append(rows, countRows("EXPLAINED: NO DRIFT", s.Explained)...)
	rows = append(rows, countRows("FIELD", s.Fields)...)
	rows = append(rows, totalRows(s.Totals)...)
	if err := e.columns(rows); err != nil {
		return err
	}
	if len(s.Money) > 0 {
		var parts []string
		for _, c := range slices.Sorted(maps.Keys(s.Money)) {
			parts = append(parts, s.Money[c]+" "+c)
		}
		fmt.Fprintf(e.out, "\nmoney affected: %s\n", cell(strings.Join(parts, ", ")))
	}
	if !s.Oldest.IsZero() && run.Left > 0 {
		fmt.Fprintf(e.out, "\nthe oldest drift was first seen at %s\n", s.Oldest.Local().Format(time.DateTime))
	}
	return nil
}

func (k *comparing) both() bool { return k.kind == state.RunReconciliation }

// differs names what a run has counted as different.
func (k *comparing) differs() string {
	if k.both() {
		return "different"
	}
	return "violations"
}

// countRows is a table of counts, the most frequent first.
func countRows(title string, of map[string]int64) [][]string {
	if len(of) == 0 {
		return nil
	}
	names := slices.SortedFunc(maps.Keys(of), func(a, b string) int {
		if of[a] != of[b] {
			return int(min(max(of[b]-of[a], -1), 1))
		}
		return strings.Compare(a, b)
	})
	rows := [][]string{{}, {title, "COUNT"}}
	for _, n := range names {
		rows = append(rows, []string{n, grouped(of[n])})
	}
	return rows
}

func totalRows(lines []state.TotalLine) [][]string {
	if len(lines) == 0 {
		return nil
	}
	rows := [][]string{{}, {"TOTAL", "OF", "LEFT", "RIGHT"}}
	for _, l := range lines[:min(len(lines), firstDifferences)] {
		rows = append(rows, []string{l.Total, strings.Join(l.Group, " "), l.Left, l.Right})
	}
	if more := len(lines) - firstDifferences; more > 0 {
		rows = append(rows, []string{fmt.Sprintf("and %d more", more)})
	}
	return rows
}

// showDifferences lists differences; of a dry run, what would be sent, too.
func (k *comparing) showDifferences(run *api.Run, found *api.Differences) error {
	e := k.e
	if len(found.Differences) == 0 {
		return nil
	}
	fmt.Fprintln(e.out)
	rows := [][]string{{"N", "KIND", "REASON", "KEY", "LEFT ID", "RIGHT ID", "WHAT", "REPAIR"}}
	for i := range found.Differences {
		d := &found.Differences[i]
		rows = append(rows, []string{strconv.Itoa(d.N), d.Kind, d.Reason, shorten(d.Key, idWidth), shorten(d.Left, idWidth), shorten(d.Right, idWidth), shorten(cell(whatDiffers(d)), whatWidth), repairText(d)})
	}
	if err := e.columns(rows); err != nil {
		return err
	}
	if found.Next > 0 {
		fmt.Fprintf(e.out, "\nthere are more: waybill %s show %d --after %d\n", k.verb, run.ID, found.Next)
	}
	if !run.Options.DryRun {
		return nil
	}
	for i := range found.Differences {
		if d := &found.Differences[i]; len(d.Write) > 0 {
			e.showDocument(fmt.Sprintf("%d would be sent", d.N), d.Write, "")
		}
	}
	return nil
}

// Widths of columns that others stand behind.
const (
	idWidth   = 24
	whatWidth = 60
)

// whatDiffers tells the first field with both values, and how many more there are.
func whatDiffers(d *state.Difference) string {
	if len(d.Fields) == 0 {
		if len(d.More) > 0 && d.Text == "" {
			return "also " + strings.Join(d.More, ", ")
		}
		return d.Text
	}
	f := &d.Fields[0]
	left, right := fieldValues(f.Left, f.Right)
	text := fmt.Sprintf("%s: %s ≠ %s", f.Path, left, right)
	if more := len(d.Fields) - 1; more > 0 {
		text += fmt.Sprintf(" (+%d)", more)
	}
	return text
}

// valueWidth is how much of a value a table shows.
const valueWidth = 24

// fieldValues are both values as JSON writes them, in short: of long ones that begin alike, from a little before where they part.
func fieldValues(left, right json.RawMessage) (string, string) {
	l, r := []rune(string(bytes.TrimSpace(left))), []rune(string(bytes.TrimSpace(right)))
	same := 0
	for same < min(len(l), len(r)) && l[same] == r[same] {
		same++
	}
	if from := same - valueWidth/2; from > 0 && max(len(l), len(r)) > valueWidth {
		return fieldValue("…" + string(l[from:])), fieldValue("…" + string(r[from:]))
	}
	return fieldValue(string(l)), fieldValue(string(r))
}

func fieldValue(v string) string {
	if v == "" {
		return "(none)"
	}
	return shorten(v, valueWidth)
}

// repairText is what became of a repair, or what one would do.
func repairText(d *state.Difference) string {
	switch {
	case d.Repair == "":
		return d.Proposal
	case d.RepairDetail != "":
		return d.Repair + ": " + d.RepairDetail
	}
	return d.Repair
}

// chosen repeats which differences of a run were asked for: who copies it asks for the same.
func chosen(o *state.CompareOptions) (text string) {
	for _, n := range o.Numbers {
		text += fmt.Sprintf(" %d", n)
	}
	for _, r := range o.Reasons {
		text += " --reason " + r
	}
	if text == "" {
		text = " --all"
	}
	return text + deletesFlag(o)
}

func deletesFlag(o *state.CompareOptions) string {
	if o.Deletes {
		return " --deletes"
	}
	return ""
}

// repairAdvice names the repair that can be made of what a run has left, or says what is missing.
func (k *comparing) repairAdvice(run *api.Run) string {
	s, from := run.Summary, run.Options.From
	if from == 0 {
		from = run.ID
	}
	open, deletes := s.Repairable-s.Repaired, s.Deletable
	if run.Options.Deletes { // asked for, as the rest was
		open, deletes = open+deletes, 0
	}
	switch {
	case run.NoRepair != "":
		return run.NoRepair
	case open > 0 && run.Options.DryRun:
		return fmt.Sprintf("`waybill %s repair %d%s` sends it", k.verb, from, chosen(&run.Options))
	case open > 0:
		return fmt.Sprintf("`waybill %s repair %d --all%s --dry-run` shows what a repair would send", k.verb, run.ID, deletesFlag(&run.Options))
	case deletes > 0:
		return fmt.Sprintf("a repair would only delete: `waybill %s repair %d --all --deletes --dry-run` shows what", k.verb, run.ID)
	case s.Drift() == int64(len(s.Totals)):
		return "totals say of no object that it is to be repaired: look which objects of the group they are"
	}
	return "no repair is known for what is left: REPAIR says why; correct it where it is wrong"
}

// advise says what to do next.
func (k *comparing) advise(run *api.Run, named bool) {
	e, s := k.e, run.Summary
	if s == nil {
		return
	}
	var lines []string
	add := func(format string, args ...any) { lines = append(lines, fmt.Sprintf(format, args...)) }
	switch state.RunState(run.State) {
	case state.RunHeld:
		add("more differ than are repaired without a person: look at them, then `waybill %s repair %d --all%s --at-most %d`", k.verb, run.ID, deletesFlag(&run.Options), max(run.Left, 1))
	case state.RunDrift:
		if run.Left > 0 && k.both() {
			add("%s", k.repairAdvice(run))
		}
	case state.RunFailed:
		add("it says nothing of the systems: `waybill status` may tell more")
	}
	if s.Explained[state.ExplainedParked] > 0 {
		add("`waybill parked list` shows what is parked")
	}
	if s.Explained[state.ExplainedStands] > 0 {
		add("`waybill %s show %d --reason %s` names those that a flow on the way hides", k.verb, run.ID, state.ExplainedStands)
	}
	if named {
		add("`waybill %s show %d --kind %s` tells why some could not be compared", k.verb, run.ID, state.DiffNotCompared)
	}
	if len(lines) > 0 {
		fmt.Fprintf(e.out, "\nnext: %s\n", strings.Join(lines, "\n      "))
	}
}
