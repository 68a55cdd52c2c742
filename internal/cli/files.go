package cli

import (
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/waybill-hub/waybill/internal/api"
)

func (e *env) filesCommand() *cobra.Command {
	c := &cobra.Command{Use: "files", Short: "Files that could not be taken: list them with their reasons, and take them again when that is mended", Args: noSuchCommand,
		RunE: func(c *cobra.Command, _ []string) error {
			_ = c.Help()
			return &exitError{exitUsage, nil}
		}}
	c.AddCommand(e.filesListCommand(), e.filesRetakeCommand())
	return c
}

func filesPath(flow string) string { return "/api/v1/flows/" + url.PathEscape(flow) + "/files" }

func (e *env) filesListCommand() *cobra.Command {
	return &cobra.Command{Use: "list FLOW", Short: "Files of a flow's source that could not be taken, with the reasons", Args: needs("a FLOW"), RunE: do(func(c *cobra.Command, args []string) error {
		var got api.FailedFiles
		if err := e.ask(c.Context(), http.MethodGet, filesPath(args[0]), nil, &got); err != nil {
			return err
		}
		if e.output == "json" {
			return e.json(got)
		}
		if len(got.Files) == 0 {
			_, err := fmt.Fprintf(e.out, "%s: no file has failed\n", args[0])
			return err
		}
		rows := [][]string{{"FILE", "BYTES", "MODIFIED", "WHY"}}
		for _, f := range got.Files {
			rows = append(rows, []string{f.Name, fmt.Sprint(f.Bytes), f.Modified.Local().Format(time.DateTime), f.Why})
		}
		if err := e.columns(rows); err != nil || !got.More {
			return err
		}
		_, err := fmt.Fprintln(e.out, "there are more: they are listed when these are dealt with")
		return err
	})}
}

func (e *env) filesRetakeCommand() *cobra.Command {
	var q api.RetakeRequest
	c := &cobra.Command{Use: "retake FLOW FILE…|--all", Short: "Take files that have failed again, as if they had just come: mend what was wrong first", RunE: do(func(c *cobra.Command, args []string) error {
		if len(args) == 0 {
			return usage("%s: give a FLOW, and a FILE or --all", c.CommandPath())
		}
		if q.Files = args[1:]; (len(q.Files) == 0) != q.All {
			return usage("%s: name the files as `waybill files list %s` does, or give --all", c.CommandPath(), args[0])
		}
		var got api.Retaken
		if err := e.ask(c.Context(), http.MethodPost, filesPath(args[0])+"/retake", q, &got); err != nil {
			return err
		}
		if e.output == "json" {
			return e.json(got)
		}
		_, err := fmt.Fprintf(e.out, "%s: %s: %s\n", got.Flow, strings.Join(got.Files, ", "), got.Text)
		return err
	})}
	c.Flags().BoolVar(&q.All, "all", false, "all that `waybill files list` shows")
	c.Flags().StringVar(&q.Note, "note", "", "why; it is kept with who asked")
	return c
}
