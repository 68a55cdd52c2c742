package cli

import (
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/waybill-hub/waybill/internal/api"
)

// auditDetail is how much of a detail stands in the table.
const auditDetail = 100

func (e *env) auditCommand() *cobra.Command {
	var who, action, object string
	var before int64
	limit := 50
	c := &cobra.Command{Use: "audit [ID]", Short: "Show who did what, newest first; with an ID one act, how it was before and how it is then", Args: cobra.MaximumNArgs(1),
		RunE: do(func(c *cobra.Command, args []string) error {
			if limit < 1 || limit > 1000 {
				return usage("--limit %d: write a number from 1 to 1000", limit)
			}
			if len(args) == 1 {
				if n, err := strconv.ParseInt(args[0], 10, 64); err != nil || n < 1 {
					return usage("%q is not the id of an act: `waybill audit` shows them", args[0])
				}
				var one api.AuditEntry
				if err := e.ask(c.Context(), http.MethodGet, "/api/v1/audit/"+url.PathEscape(args[0]), nil, &one); err != nil {
					return err
				}
				if e.output == "json" {
					return e.json(one)
				}
				e.showAct(&one)
				return nil
			}
			q := url.Values{"limit": {fmt.Sprint(limit)}}
			for name, v := range map[string]string{"who": who, "action": action, "object": object} {
				if v != "" {
					q.Set(name, v)
				}
			}
			if before > 0 {
				q.Set("before", fmt.Sprint(before))
			}
			var list api.Audits
			if err := e.ask(c.Context(), http.MethodGet, "/api/v1/audit?"+q.Encode(), nil, &list); err != nil {
				return err
			}
			if e.output == "json" {
				return e.json(list)
			}
			return e.showAudit(&list)
		})}
	c.Flags().StringVar(&who, "who", "", "only what this one did")
	c.Flags().StringVar(&action, "action", "", "only acts of this kind: replay, edit, pause, reload, …")
	c.Flags().StringVar(&object, "object", "", "only what was done to this: message/17, flow/orders-to-erp, …")
	c.Flags().Int64Var(&before, "before", 0, "go on behind an answer: what it says below the table")
	c.Flags().IntVar(&limit, "limit", limit, "how many acts at most, up to 1000")
	return c
}

func (e *env) showAudit(list *api.Audits) error {
	if len(list.Audit) == 0 {
		fmt.Fprintln(e.out, "nothing that fits was done")
		return nil
	}
	rows := [][]string{{"ID", "TIME", "WHO", "ACT", "ABOUT", "DETAIL"}}
	for _, a := range list.Audit {
		detail := strings.ReplaceAll(a.Detail, "\n", " ")
		if r := []rune(detail); len(r) > auditDetail {
			detail = string(r[:auditDetail]) + "…"
		}
		rows = append(rows, []string{fmt.Sprint(a.ID), a.Time.Local().Format(time.DateTime), a.Who, a.Action, a.Object, detail})
	}
	if err := e.columns(rows); err != nil {
		return err
	}
	if list.Next != 0 {
		fmt.Fprintf(e.out, "there are more: waybill audit --before %d\n", list.Next)
	}
	return nil
}

func (e *env) showAct(a *api.AuditEntry) {
	fmt.Fprintf(e.out, "%s %s: %s %s\n", a.Time.Local().Format(time.DateTime), a.Who, a.Action, a.Object)
	if a.Detail != "" {
		fmt.Fprintln(e.out, a.Detail)
	}
	for _, half := range []struct {
		name, text string
		doc        []byte
		plain      string
	}{{"before", a.Before, a.BeforeDoc, a.BeforeText}, {"after", a.After, a.AfterDoc, a.AfterText}} {
		text := half.text + half.plain
		if len(half.doc) > 0 {
			text += string(half.doc)
		}
		if text != "" {
			fmt.Fprintf(e.out, "%s:\n%s\n", half.name, text)
		}
	}
}
