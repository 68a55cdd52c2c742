package cli

import (
	"fmt"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/waybill-hub/waybill/internal/api"
)

// belowWhy gives the reasons for a last column: those that are too long for it go below the tables, once, with the names of all whom they are about. hub
// is what stands above already.
func belowWhy(below *[]note, hub string) func(name, text string) string {
	return func(name, text string) string {
		switch {
		case utf8.RuneCountInString(text) <= whyWidth:
			return text
		case text == hub:
			return "the hub: above"
		}
		if i := slices.IndexFunc(*below, func(said note) bool { return strings.Contains(said.text, text) }); i < 0 { // a flow names the system's trouble, and its sender's
			*below = append(*below, note{[]string{name}, text})
		} else if (*below)[i].text == text {
			(*below)[i].of = append((*below)[i].of, name)
		}
		return "below"
	}
}

// notes are the lines below the tables.
func (e *env) notes(below []note) {
	for i := range below {
		fmt.Fprintf(e.out, "\n%s\n", cell(below[i].String()))
	}
}

// reconciliationRows are the table of reconciliations; none: nothing.
func reconciliationRows(all []api.Reconciliation, why func(name, text string) string) [][]string {
	if len(all) == 0 {
		return nil
	}
	rows := [][]string{{"RECONCILIATION", "STATE", "LAST RUN", "COMPARED", "MISSING LEFT", "MISSING RIGHT", "DIFFERENT", "REPAIRED", "LEFT OVER", "NEXT", "WHY"}}
	for i := range all {
		r := &all[i]
		rows = append(rows, []string{r.Name, r.State, shortTime(r.LastRun), grouped(r.Compared), grouped(r.MissingLeft), grouped(r.MissingRight), grouped(r.Different), grouped(r.Repaired), grouped(r.Drift),
			shortTime(r.NextRun), why(r.Name, r.Why)})
	}
	return rows
}

// ruleRows are the table of rules; none: nothing.
func ruleRows(all []api.Rule, why func(name, text string) string) [][]string {
	if len(all) == 0 {
		return nil
	}
	rows := [][]string{{"RULE", "STATE", "LAST RUN", "COMPARED", "VIOLATIONS", "NEXT", "WHY"}}
	for i := range all {
		r := &all[i]
		rows = append(rows, []string{r.Name, r.State, shortTime(r.LastRun), grouped(r.Compared), grouped(r.Violations), shortTime(r.NextRun), why(r.Name, r.Why)})
	}
	return rows
}

// runRows are the table of runs.
func runRows(runs []api.Run) [][]string {
	rows := [][]string{{"RUN", "STATE", "BEGUN", "TOOK", "BY", "COMPARED", "DRIFT", "LEFT OVER", "WHAT"}}
	for i := range runs {
		r := &runs[i]
		took, compared := "", ""
		if r.Started != nil && r.Finished != nil {
			took = r.Finished.Sub(*r.Started).Round(time.Second).String()
		}
		if r.Summary != nil {
			compared = grouped(r.Summary.Compared)
		}
		begun := r.Started
		if begun == nil {
			begun = &r.Wanted
		}
		rows = append(rows, []string{num(r.ID), r.State, shortTime(begun), took, r.By, compared, grouped(r.Drift), grouped(r.Left), strings.Join(slices.DeleteFunc([]string{askedFor(r), r.Detail}, func(s string) bool { return s == "" }), "; ")})
	}
	return rows
}

// askedFor says in short what a run was asked for beyond the ordinary.
func askedFor(r *api.Run) string {
	o := &r.Options
	var parts []string
	add := func(on bool, text string) {
		if on {
			parts = append(parts, text)
		}
	}
	add(o.Key != "", "of "+o.Key+" alone")
	add(!o.Since.IsZero(), "of what changed since "+o.Since.Local().Format(time.DateTime))
	add(o.From != 0, "differences of run "+num(o.From))
	add(o.Repair && !o.DryRun, "with repair")
	add(o.DryRun, "dry run of a repair")
	return strings.Join(parts, ", ")
}

// shortTime is a time on this machine's clock; a dash for none.
func shortTime(t *time.Time) string {
	if t == nil || t.IsZero() {
		return "-"
	}
	return t.Local().Format(time.DateTime)
}
