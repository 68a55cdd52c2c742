package cli

import (
	"context"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/waybill-hub/waybill/internal/api"
)

func (e *env) alertsCommand() *cobra.Command {
	var test string
	c := &cobra.Command{Use: "alerts", Short: "Show who is told of what is wrong, and what they were told; --test tries a receiver",
		Long: `Alerts shows the receivers that the part alerts of the configuration names, and what is wrong as far as they are told of it. With
--test RECEIVER a message is sent there now, also in quiet hours, so that you see whether it arrives. See docs/alerts.md.

It exits 0 when all can be told (with --test: when the message was taken), 1 when not, 3 when no hub answers.`,
		Args: cobra.NoArgs,
		RunE: do(func(c *cobra.Command, _ []string) error {
			if c.Flags().Changed("test") {
				return e.testAlert(c.Context(), test)
			}
			return e.showAlerts(c.Context())
		})}
	c.Flags().StringVar(&test, "test", "", "send a test to the receiver of this name")
	return c
}

func (e *env) testAlert(ctx context.Context, receiver string) error {
	var sent api.AlertTest
	if err := e.ask(ctx, http.MethodPost, "/api/v1/alerts/"+url.PathEscape(receiver)+"/test", &struct{}{}, &sent); err != nil {
		return err
	}
	if e.output == "json" {
		return e.json(sent)
	}
	fmt.Fprintf(e.out, "a test was sent to %s\n", receiver)
	return nil
}

func (e *env) showAlerts(ctx context.Context) error {
	var all api.Alerts
	if err := e.ask(ctx, http.MethodGet, "/api/v1/alerts", nil, &all); err != nil {
		return err
	}
	bad := 0
	for i := range all.Receivers {
		if all.Receivers[i].Why != "" {
			bad++
		}
	}
	show := func() error { return e.alertTables(&all) }
	if e.output == "json" {
		show = func() error { return e.json(all) }
	}
	if err := show(); err != nil {
		return err
	}
	if bad > 0 {
		return fmt.Errorf("%d of %d receivers cannot be told", bad, len(all.Receivers))
	}
	return nil
}

func (e *env) alertTables(all *api.Alerts) error {
	if len(all.Receivers) == 0 {
		fmt.Fprintln(e.out, "nobody is told of anything: name receivers in the configuration, see docs/alerts.md")
		return nil
	}
	rows := [][]string{{"RECEIVER", "BY", "OF", "NOW"}}
	for i := range all.Receivers {
		r := &all.Receivers[i]
		now := "nothing sent yet: waybill alerts --test " + r.Name
		switch {
		case r.Why != "":
			now = "cannot be told since " + r.Since.Local().Format(time.DateTime) + ": " + r.Why
		case r.Quiet:
			now = "quiet but for " + strings.Join(r.Urgent, ", ")
		case r.Last != nil:
			now = "last message taken " + r.Last.Local().Format(time.DateTime)
		}
		rows = append(rows, []string{r.Name, r.Way, strings.Join(r.Of, ", "), now})
	}
	if len(all.Alerts) > 0 {
		rows = append(rows, []string{}, []string{"SINCE", "RECEIVER", "WHAT", "ABOUT", "TOLD", "TEXT"})
		for i := range all.Alerts {
			a := &all.Alerts[i]
			told := "not yet"
			switch {
			case a.Gone != nil:
				told = "is over"
			case a.Told != nil:
				told = a.Told.Local().Format(time.DateTime)
			}
			rows = append(rows, []string{a.Since.Local().Format(time.DateTime), a.Receiver, a.What, a.Subject, told, a.Text})
		}
	}
	return e.columns(rows)
}
