package cli

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"github.com/mattn/go-isatty"
	"github.com/spf13/cobra"

	"github.com/waybill-hub/waybill/internal/api"
)

// edit is one `waybill parked edit`.
type edit struct {
	file, note, match string
	replay            bool
}

func (e *env) parkedEdit() *cobra.Command {
	var o edit
	c := &cobra.Command{Use: "edit ID --note WHY", Short: "Replace a message's document, in an editor or from a file; the original is kept beside it", Args: needs("the ID of a message"),
		RunE: do(func(c *cobra.Command, args []string) error {
			if strings.TrimSpace(o.note) == "" {
				return usage("say why with --note: it is kept with the message")
			}
			if err := checkID(args[0]); err != nil {
				return err
			}
			var data []byte
			if o.file != "" { // what cannot be read need not be asked for
				var err error
				if data, err = readInput(c.Context(), o.file, c.InOrStdin(), mostInput); err != nil {
					return err
				}
				if err := isJSON(o.file, data); err != nil {
					return err
				}
			}
			var q api.Queued
			if err := e.parkedOne(c.Context(), args[0], inClear, &q); err != nil {
				return err
			}
			if o.match == "" {
				o.match = q.ETag
			}
			kept := ""
			if o.file == "" {
				var err error
				if data, kept, err = e.inEditor(c, &q); err != nil {
					return err
				}
			}
			err := e.sendEdit(c.Context(), &q, &o, data)
			if kept == "" {
				return err
			}
			if err != nil {
				return fmt.Errorf("%w\nyour document is kept: give it again with --file %s", err, kept)
			}
			return os.RemoveAll(filepath.Dir(kept))
		})}
	f := c.Flags()
	f.StringVar(&o.file, "file", "", "the new document; - reads standard input; without it, $VISUAL or $EDITOR is opened")
	f.StringVar(&o.note, "note", "", "why; it is kept with the message")
	f.BoolVar(&o.replay, "replay", false, "try the edited message at once")
	f.StringVar(&o.match, "if-match", "", "the etag that the document was made of, where it was read earlier")
	return c
}

// isTerminal reports whether a person sits at the other end.
func isTerminal(end any) bool {
	f, ok := end.(*os.File)
	return ok && isatty.IsTerminal(f.Fd())
}

// isJSON says where a document stops being one.
func isJSON(file string, data []byte) error {
	err := json.Unmarshal(data, new(json.RawMessage))
	var at *json.SyntaxError
	if !errors.As(err, &at) {
		return err
	}
	before := data[:min(int(max(at.Offset-1, 0)), len(data))]
	line := 1 + bytes.Count(before, []byte("\n"))
	return fmt.Errorf("%s:%d:%d: this is no JSON: %w", file, line, len(before)-bytes.LastIndexByte(before, '\n'), err)
}

func (e *env) sendEdit(ctx context.Context, q *api.Queued, o *edit, data []byte) error {
	ctx, cancel := context.WithTimeout(ctx, 30*time.Second)
	defer cancel()
	var got api.Edited
	err := e.requestIf(ctx, http.MethodPut, "/api/v1/parked/"+num(q.ID), o.match, map[string]any{"data": json.RawMessage(data), "note": o.note, "replay": o.replay}, &got)
	var no *refused
	switch {
	case errors.As(err, &no) && no.Status == http.StatusPreconditionFailed:
		return fmt.Errorf("message %d: somebody else has edited or marked it meanwhile: look at it again with `waybill parked show %d`", q.ID, q.ID)
	case err != nil:
		return ofMessage(num(q.ID), err)
	case e.output == "json":
		return e.json(got)
	}
	fmt.Fprintf(e.out, "message %d of %s edited; the original is kept\n", q.ID, q.Flow)
	if r := got.Rehearsal; r.Outcome != "" && r.Outcome != "delivered" {
		fmt.Fprintf(e.out, "as far as the hub can tell, it would now be %s: %s\n", r.Outcome, r.Reason)
	}
	if o.replay {
		fmt.Fprintf(e.out, "message %d: replay asked for\n", q.ID)
	} else {
		fmt.Fprintf(e.out, "try it with: waybill parked replay %d\n", q.ID)
	}
	return nil
}

// inEditor lets the person edit the document, and gives it with the file it lies in.
func (e *env) inEditor(c *cobra.Command, q *api.Queued) (data []byte, file string, err error) {
	dir, err := os.MkdirTemp("", "waybill-edit-")
	if err != nil {
		return nil, "", err
	}
	file = filepath.Join(dir, fmt.Sprintf("message-%d.json", q.ID))
	before := []byte(pretty(q.Data, q.DataText) + "\n")
	if err := os.WriteFile(file, before, 0o600); err != nil {
		return nil, "", errors.Join(err, os.RemoveAll(dir))
	}
	editor := envOr("VISUAL", os.Getenv("EDITOR"))
	if editor == "" {
		if !isTerminal(c.InOrStdin()) {
			return nil, "", errors.Join(usage("there is no terminal for an editor: give the document with --file"), os.RemoveAll(dir))
		}
		editor = "vi"
	}
	cmd := exec.CommandContext(c.Context(), "sh", "-c", editor+` "$1"`, "sh", file)
	cmd.Stdin, cmd.Stdout, cmd.Stderr = c.InOrStdin(), e.err, e.err
	if err := cmd.Run(); err != nil {
		return nil, "", errors.Join(fmt.Errorf("the editor %q: %w; nothing is changed", editor, err), os.RemoveAll(dir))
	}
	after, err := os.ReadFile(file)
	if err != nil {
		return nil, "", err
	}
	if bytes.Equal(bytes.TrimSpace(after), bytes.TrimSpace(before)) {
		return nil, "", errors.Join(errors.New("the document was not changed: nothing is done"), os.RemoveAll(dir))
	}
	if err := isJSON(file, after); err != nil {
		return nil, "", fmt.Errorf("%w\nit is kept: give it again with --file %s", err, file)
	}
	var compact bytes.Buffer
	if err := json.Compact(&compact, after); err != nil {
		return nil, "", err
	}
	return compact.Bytes(), file, nil
}
