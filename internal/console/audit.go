package console

import (
	"net/url"
	"strconv"
	"strings"

	"github.com/waybill-hub/waybill/internal/api"
)

// auditBody is a part of who did what, newest first, with what was chosen.
type auditBody struct {
	Who, Action, Object string
	Entries             []api.Audit
	Next                string
}

// auditActions are what people do, for choosing among them; those that are not here are found by their object.
var auditActions = []string{"sign-in", "replay", "bulk replay", "discard", "bulk discard", "edit", "read", "resend", "repair", "backfill", "code", "stop replay", "pause", "resume", "rewind", "sweep", "retake", "reconcile", "rule", "cancel", "forget", "link", "reload", "recover",
	"backup", "restored", "test alert"}

// AuditActions are those that can be chosen.
func (p *page) AuditActions() []string { return auditActions }

func (c *Console) audit(p *page) error {
	q := p.r.URL.Query()
	b := auditBody{Who: q.Get("who"), Action: q.Get("action"), Object: q.Get("object")}
	ask := url.Values{"limit": {strconv.Itoa(pageSize)}}
	for name, value := range map[string]string{"who": b.Who, "action": b.Action, "object": b.Object, "before": q.Get("before")} {
		if value != "" {
			ask.Set(name, value)
		}
	}
	var list api.Audits
	if err := p.get("/api/v1/audit", ask, &list); err != nil {
		return err
	}
	b.Entries = list.Audit
	if list.Next != 0 {
		b.Next = At("/console/audit", "who", b.Who, "action", b.Action, "object", b.Object, "before", list.Next)
	}
	return p.show("audit", p.T("audit.title"), b)
}

// auditEntryBody is one act with what it has changed.
type auditEntryBody struct {
	api.AuditEntry
	BeforeLines, AfterLines []docLine
}

func (c *Console) auditEntry(p *page) error {
	var b auditEntryBody
	if err := p.get("/api/v1/audit/"+url.PathEscape(p.r.PathValue("id")), nil, &b.AuditEntry); err != nil {
		return err
	}
	b.BeforeLines, b.AfterLines = linesOr(b.BeforeDoc, b.BeforeText), linesOr(b.AfterDoc, b.AfterText)
	markChanged(b.BeforeLines, b.AfterLines)
	return p.show("audit-entry", p.T("audit.entry", p.Act(b.Action), b.Object), b)
}

// linesOr are the lines of a document, or of a text that is no JSON.
func linesOr(doc []byte, text string) []docLine {
	if text == "" {
		return lines(doc, nil)
	}
	var out []docLine
	for i, line := range strings.Split(text, "\n") {
		out = append(out, docLine{N: i + 1, Text: line})
	}
	return out
}

// markChanged marks the lines of either document that the other has not, in this order.
func markChanged(before, after []docLine) {
	if len(before) == 0 || len(after) == 0 {
		return
	}
	for _, all := range [][]docLine{before, after} {
		for i := range all {
			all[i].Changed = true
		}
	}
	for _, same := range common(before, after) {
		before[same[0]].Changed, after[same[1]].Changed = false, false
	}
}

// mostCompared bounds the lines of which it is found out what has changed: the work is their product.
const mostCompared = 1000

// common are the places of a longest common part, line by line; of documents with very many lines, of their beginnings and ends alone.
func common(a, b []docLine) (out [][2]int) {
	text := func(l docLine) string { return strings.TrimSuffix(l.Text, ",") }
	from := 0
	for from < len(a) && from < len(b) && text(a[from]) == text(b[from]) {
		out = append(out, [2]int{from, from})
		from++
	}
	endA, endB := len(a), len(b)
	for endA > from && endB > from && text(a[endA-1]) == text(b[endB-1]) {
		endA, endB = endA-1, endB-1
		out = append(out, [2]int{endA, endB})
	}
	n, m := endA-from, endB-from
	if n == 0 || m == 0 || n > mostCompared || m > mostCompared {
		return out
	}
	length := make([][]int32, n+1)
	for i := range length {
		length[i] = make([]int32, m+1)
	}
	for i := n - 1; i >= 0; i-- {
		for j := m - 1; j >= 0; j-- {
			if text(a[from+i]) == text(b[from+j]) {
				length[i][j] = length[i+1][j+1] + 1
			} else {
				length[i][j] = max(length[i+1][j], length[i][j+1])
			}
		}
	}
	for i, j := 0, 0; i < n && j < m; {
		switch {
		case text(a[from+i]) == text(b[from+j]):
			out = append(out, [2]int{from + i, from + j})
			i, j = i+1, j+1
		case length[i+1][j] >= length[i][j+1]:
			i++
		default:
			j++
		}
	}
	return out
}

// AboutLink is what an act was about, which leads to its page where it has one.
func (p *page) AboutLink(object string) any {
	kind, name, ok := strings.Cut(object, "/")
	if !ok {
		return object
	}
	switch to := map[string]string{"message": "/console/parked/", "flow": "/console/flows/", "reconciliation": "/console/reconciliations/", "rule": "/console/rules/"}[kind]; {
	case to == "", kind == "message" && !p.May("GET /console/parked/{id}"), kind == "flow" && !p.May("GET /console/flows/{name}"), strings.HasPrefix(to, "/console/r") && !p.May("GET /console/reconciliations"):
		return object
	default:
		return link(to+url.PathEscape(name), object)
	}
}
