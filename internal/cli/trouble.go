package cli

import (
	"fmt"
	"strings"
	"time"

	"github.com/waybill-hub/waybill/internal/api"
)

// refusedRows are the webhooks' refusals as a table; none where there are none.
func refusedRows(all []api.Refused, why func(name, text string) string) [][]string {
	if len(all) == 0 {
		return nil
	}
	rows := [][]string{{}, {"REFUSED", "REASON", "LAST HOUR", "IN ALL", "LAST", "WHY"}}
	for _, r := range all {
		flow := r.Flow
		if flow == "" {
			flow = "(unknown paths)"
		}
		rows = append(rows, []string{flow, r.Reason, num(r.LastHour), num(r.Count), r.Last.Local().Format(time.DateTime), why(flow+" ("+r.Reason+")", r.Detail)})
	}
	return rows
}

// troubleLines say what is tried again: what is parked, cannot be read or is refused stands elsewhere. A trouble is shown for some minutes after its last
// time, because much of it comes again; so the line says when that was, and whoever reads it sees whether it still goes on.
func troubleLines(all []api.Trouble) (lines []string) {
	for _, t := range all {
		if t.What == "retry" {
			system, _, _ := strings.Cut(t.Cause, " ") // with which the text begins, too
			lines = append(lines, fmt.Sprintf("%s: tried again since %s, %s so far, the last at %s, for %s: %s", t.Flow, t.Since.Local().Format(time.DateTime), times(t.Count), t.Last.Local().Format(time.DateTime),
				t.Cause, strings.TrimPrefix(t.Text, system+": ")))
		}
	}
	return lines
}

func times(n int) string {
	if n == 1 {
		return "once"
	}
	return fmt.Sprintf("%d times", n)
}
