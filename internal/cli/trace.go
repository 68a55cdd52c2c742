package cli

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/waybill-hub/waybill/internal/api"
)

// tracedDocuments is of how many fates, the newest, a trace asks for the documents.
const tracedDocuments = 50

func (e *env) traceCommand() *cobra.Command {
	documents := false
	c := &cobra.Command{Use: "trace KEY", Short: "Show everything the hub remembers about a key: order number, any id, event or delivery id, or its beginning; exits 1 when that is nothing",
		Args: needs("a KEY"), RunE: do(func(c *cobra.Command, args []string) error {
			var m api.Message
			if err := e.ask(c.Context(), http.MethodGet, fmt.Sprintf("/api/v1/messages?documents=%d&key=%s", tracedDocuments, url.QueryEscape(args[0])), nil, &m); err != nil {
				return err
			}
			show := func(m *api.Message) error { return e.showTrace(m, documents) }
			if e.output == "json" {
				show = func(m *api.Message) error { return e.json(m) }
			}
			if err := show(&m); err != nil || m.Known() || len(m.Keys) > 0 {
				return err
			}
			return &exitError{exitFailed, nil}
		})}
	c.Flags().BoolVar(&documents, "documents", false, "show the documents of every fate, as far as they are kept: before and after the mapping, what was sent, what was answered")
	return c
}

func (e *env) showTrace(m *api.Message, documents bool) error {
	switch {
	case !m.Known() && len(m.Keys) > 0:
		fmt.Fprintf(e.out, "several keys begin with %s:\n", m.Key)
		return e.showKeys(m.Keys)
	case !m.Known():
		fmt.Fprintf(e.out, "the hub remembers nothing under %s, nor under a key that begins so\n", m.Key)
		return nil
	}
	e.showObjects(m.Objects)
	if len(m.Inbox) > 0 {
		rows := [][]string{{"RECEIVED", "FLOW", "DELIVERY", "PUBLISHED"}}
		for _, i := range m.Inbox {
			rows = append(rows, []string{i.Received.Local().Format(time.DateTime), i.Flow, i.Delivery, strconv.FormatBool(i.Published)})
		}
		if err := e.columns(append(rows, nil)); err != nil {
			return err
		}
	}
	if err := e.showStory(m); err != nil {
		return err
	}
	if len(m.Queued) > 0 {
		if err := e.showQueued(m.Queued); err != nil {
			return err
		}
		fmt.Fprintln(e.out)
	}
	if err := e.showCauses(m, documents); err != nil {
		return err
	}
	if err := e.showRelated(m); err != nil {
		return err
	}
	if len(m.Keys) > 0 {
		fmt.Fprintln(e.out, "other keys begin so:")
		return e.showKeys(m.Keys)
	}
	return nil
}

// shownKeys is how many keys are listed; the hub names one more where there are more.
const shownKeys = 20

func (e *env) showKeys(keys []string) error {
	for _, k := range keys[:min(len(keys), shownKeys)] {
		fmt.Fprintf(e.out, "  %s\n", cell(k))
	}
	if len(keys) > shownKeys {
		fmt.Fprintln(e.out, "  and more: write more of the key")
	}
	return nil
}

// showStory tells, newest first, what became of the key's messages and what people did to them.
func (e *env) showStory(m *api.Message) error {
	type line struct {
		at   time.Time
		cols []string
	}
	var lines []line
	gone := map[string]bool{}
	for _, j := range m.Journal {
		gone[j.Flow+" "+j.Event] = gone[j.Flow+" "+j.Event] || j.Outcome == "discarded"
		lines = append(lines, line{j.Time, []string{j.Flow, j.Outcome, j.Operation, j.System, j.Local, j.Version, shorten(cell(reasonOf(&j)), reasonWidth)}})
	}
	for _, a := range m.Acts {
		if a.Action == "discarded" && gone[a.Flow+" "+a.Event] {
			continue // the journal tells it
		}
		why := fmt.Sprintf("message %d, by %s", a.Message, a.Who)
		if a.Message == 0 { // the hub was told to make it
			why = "by " + a.Who
		}
		if a.Bulk != 0 {
			why += fmt.Sprintf(" (bulk %d)", a.Bulk)
		}
		if a.Note != "" {
			why += ": " + a.Note
		}
		lines = append(lines, line{a.Time, []string{a.Flow, a.Action, "", "", "", "", why}})
	}
	for i := range m.Timeline { // what runs have found
		if t := &m.Timeline[i]; t.Difference != nil {
			lines = append(lines, line{t.Time, []string{t.Flow, t.What, "", "", "", "", shorten(cell(t.Text), reasonWidth)}})
		}
	}
	if len(lines) == 0 {
		return nil
	}
	slices.SortStableFunc(lines, func(a, b line) int { return b.at.Compare(a.at) })
	rows := [][]string{{"TIME", "FLOW", "OUTCOME", "OPERATION", "SYSTEM", "ID", "VERSION", "REASON"}}
	for _, l := range lines {
		rows = append(rows, append([]string{l.at.Local().Format("2006-01-02 15:04:05.000")}, l.cols...))
	}
	return e.columns(append(rows, nil))
}

// showRelated shows which other objects the traced one names, and which name it.
func (e *env) showRelated(m *api.Message) error {
	if len(m.Related) == 0 {
		return nil
	}
	rows := [][]string{{"RELATED", "KEY", "STATE", "TIME", "IDS", "BY"}}
	for i := range m.Related {
		r := &m.Related[i]
		whose, whom := "its", "it"
		if r.Through != "" {
			whose, whom = r.Through+":", r.Through
		}
		by := whose + " " + r.Field
		if r.Backward {
			by = "names " + whom + " as " + r.Field
		}
		row := foundRow(&r.FoundObject)
		rows = append(rows, []string{row[0], row[1], row[2], row[3], row[5], by})
	}
	if err := e.columns(append(rows, nil)); err != nil {
		return err
	}
	if m.MoreRelated {
		fmt.Fprintln(e.out, "and more objects that name it, or that it names")
	}
	return nil
}

// reasonWidth is how much of a reason stands in the table: of failures the whole stands below it.
const reasonWidth = 100

// reasonOf is the reason of a fate with what there is to know beyond it.
func reasonOf(j *api.Journal) string {
	if j.Detail == "" || j.Detail == j.Reason {
		return j.Reason
	}
	return strings.TrimPrefix(j.Reason+": "+j.Detail, ": ")
}

// showCauses shows what stands behind the newest fate of every flow where that is no success, or behind all fates where all documents are asked for.
func (e *env) showCauses(m *api.Message, all bool) error {
	told := map[string]bool{}
	for i := range m.Journal {
		j := &m.Journal[i]
		newest := !told[j.Flow]
		told[j.Flow] = true
		if failed := j.Outcome == "parked" || j.Outcome == "held" || j.Outcome == "waiting"; !all && !(newest && failed) {
			continue
		}
		if err := e.showCause(j, all); err != nil {
			return err
		}
	}
	return nil
}

func (e *env) showCause(j *api.Journal, all bool) error {
	if all && j.Documents == nil {
		return nil
	}
	what := j.Operation
	if what != "" && j.System != "" { // a record that was put on a topic is in none
		what += " in " + j.System
	}
	rows := [][]string{{j.Flow, strings.Join(strings.Fields(j.Time.Local().Format("2006-01-02 15:04:05.000")+" "+j.Outcome), " ")}}
	add := func(name, text string) {
		if text != "" {
			rows = append(rows, []string{"  " + name, text})
		}
	}
	add("operation", what)
	add("reason", reasonOf(j))
	add("field", j.Field)
	add("event", j.Event)
	if d := j.Documents; d != nil {
		add("answered", strings.TrimSpace(d.Status))
	}
	if err := e.columns(rows); err != nil {
		return err
	}
	if d := j.Documents; d != nil {
		sent, sentText := d.Sent, d.SentText
		if len(sent) == 0 && sentText == "" && !all { // what was sent is what the mapping made
			sent, sentText = d.Mapped, d.MappedText
		}
		for _, doc := range []struct {
			name string
			doc  json.RawMessage
			text string
			show bool
		}{
			{"before mapping", d.Source, d.SourceText, all || len(d.Mapped) == 0 && d.MappedText == ""}, {"after mapping", d.Mapped, d.MappedText, all},
			{sentName(j, all), sent, sentText, true}, {"answer", d.Answer, d.AnswerText, true},
		} {
			if doc.show {
				e.showDocument(doc.name, doc.doc, doc.text)
			}
		}
	}
	fmt.Fprintln(e.out)
	return nil
}

// sentName is what stands above what went to the target. What was refused before any call was decided on, such as a delete that the flow has no policy
// for, was not about to be sent.
func sentName(j *api.Journal, all bool) string {
	switch {
	case j.Documents.Status != "" || all:
		return "sent"
	case j.Operation == "":
		return "after mapping"
	}
	return "to be sent"
}

// showDocument shows a document, indented below its name.
func (e *env) showDocument(name string, doc json.RawMessage, text string) {
	shown := strings.TrimRight(pretty(doc, text), "\n")
	if shown == "" {
		return
	}
	fmt.Fprintf(e.out, "  %s:\n    %s\n", name, strings.ReplaceAll(shown, "\n", "\n    "))
}
