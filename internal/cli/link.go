package cli

import (
	"bytes"
	"context"
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/waybill-hub/waybill/internal/api"
)

// linkedRow is one row of a file of known ids, and what became of it.
type linkedRow struct {
	Line   int          `json:"line"`
	Entity string       `json:"entity"`
	IDs    []api.LinkID `json:"ids"`
	api.Linked
}

// linksDone is the answer to a whole file.
type linksDone struct {
	DryRun  bool        `json:"dry_run,omitempty"`
	Linked  int         `json:"linked"`
	Known   int         `json:"known"`
	Refused int         `json:"refused"`
	Rows    []linkedRow `json:"rows"`
}

// linkSlice is how many rows one request links, and linkWait how long it may take.
const (
	linkSlice = 500
	linkWait  = time.Minute
)

func (e *env) linkCommand() *cobra.Command {
	dry := false
	c := &cobra.Command{Use: "link FILE", Short: "Tell the hub which ids in several systems are one object's: a CSV file with the header entity,SYSTEM,SYSTEM,…; exits 1 when a row is refused",
		Args: needs("a FILE"), RunE: do(func(c *cobra.Command, args []string) error {
			data, err := readInput(c.Context(), args[0], os.Stdin, mostInput)
			if err != nil {
				return err
			}
			rows, problems := readLinks(data)
			for _, p := range problems {
				fmt.Fprintf(e.err, "%s:%s\n", args[0], p)
			}
			if len(problems) > 0 {
				return fmt.Errorf("nothing was linked: %s has %d problems", args[0], len(problems))
			}
			done, err := e.link(c.Context(), rows, dry)
			if err != nil && len(done.Rows) > 0 {
				fmt.Fprintf(e.err, "%d of %d rows were worked before that; it does no harm to give them again\n", len(done.Rows), len(rows))
			}
			if len(done.Rows) > 0 {
				err = errors.Join(e.showLinks(done), err)
			}
			if err == nil && done.Refused > 0 {
				return &exitError{exitFailed, nil}
			}
			return err
		})}
	c.Flags().BoolVar(&dry, "dry-run", false, "show what would become of every row, and store nothing")
	return c
}

// link asks the hub, slice by slice. What was worked before a failure is told with it.
func (e *env) link(ctx context.Context, rows []linkedRow, dry bool) (*linksDone, error) {
	done := &linksDone{DryRun: dry}
	size := linkSlice
	if dry {
		size = api.MostLinks // one step where it can be: each row is to see those before it
	}
	for part := range slices.Chunk(rows, size) {
		q := api.LinksRequest{DryRun: dry}
		for _, r := range part {
			q.Links = append(q.Links, api.Link{Entity: r.Entity, IDs: r.IDs})
		}
		var a api.LinksAnswer
		asked, cancel := context.WithTimeout(ctx, linkWait)
		err := e.request(asked, http.MethodPost, "/api/v1/links", q, &a)
		cancel()
		var no *refused
		if errors.As(err, &no) {
			inLines(no, part)
		}
		if err != nil {
			return done, err
		}
		if len(a.Links) != len(part) {
			return done, fmt.Errorf("the hub answers %d rows for %d", len(a.Links), len(part))
		}
		for i := range part {
			part[i].Linked = a.Links[i]
		}
		done.Rows = append(done.Rows, part...)
		done.Linked, done.Known, done.Refused = done.Linked+a.Linked, done.Known+a.Known, done.Refused+a.Refused
	}
	return done, nil
}

// inLines says in which lines of the file the places of a refusal are.
func inLines(no *refused, part []linkedRow) {
	no.Detail = "nothing was linked"
	for i, p := range no.Places {
		var n int
		if _, err := fmt.Sscanf(p.Path, "links[%d]", &n); err == nil && n < len(part) {
			no.Places[i].Path = fmt.Sprintf("line %d", part[n].Line)
		}
	}
}

func (e *env) showLinks(done *linksDone) error {
	if e.output == "json" {
		return e.json(done)
	}
	rows := [][]string{{"LINE", "ENTITY", "IDS", "RESULT", "WHY"}}
	for _, r := range done.Rows {
		var ids []string
		for _, id := range r.IDs {
			ids = append(ids, id.System+" "+id.ID)
		}
		rows = append(rows, []string{fmt.Sprint(r.Line), r.Entity, strings.Join(ids, ", "), r.Status, r.Reason})
	}
	if err := e.columns(append(rows, nil)); err != nil {
		return err
	}
	what := ""
	if done.DryRun {
		what = "dry run, nothing is stored: "
	}
	_, err := fmt.Fprintf(e.out, "%s%d linked, %d known already, %d refused\n", what, done.Linked, done.Known, done.Refused)
	return err
}

// readLinks reads a CSV file: the first column is the entity, each other one a system, whose name is its header. An empty cell: the object has
// no id there. Problems are told as line: text, all of them.
func readLinks(data []byte) (rows []linkedRow, problems []string) {
	data = bytes.TrimPrefix(data, []byte("\ufeff"))
	r := csv.NewReader(bytes.NewReader(data))
	r.FieldsPerRecord = -1
	if head, _, _ := bytes.Cut(data, []byte("\n")); bytes.Contains(head, []byte(";")) && !bytes.Contains(head, []byte(",")) {
		r.Comma = ';'
	}
	wrong := func(line int, format string, args ...any) {
		problems = append(problems, fmt.Sprintf("%d: ", line)+fmt.Sprintf(format, args...))
	}
	var header []string
	for {
		cells, err := r.Read()
		if errors.Is(err, io.EOF) {
			break
		}
		var at *csv.ParseError
		if errors.As(err, &at) {
			wrong(at.Line, "%s", at.Err)
			return nil, problems
		}
		if err != nil {
			wrong(1, "%s", err)
			return nil, problems
		}
		line, _ := r.FieldPos(0)
		for i := range cells {
			cells[i] = strings.TrimSpace(cells[i])
		}
		if header == nil {
			if header = cells; !goodHeader(header) {
				wrong(line, "the header must be entity and then two or more systems, each once: entity,crm,erp")
				return nil, problems
			}
			continue
		}
		row := linkedRow{Line: line, Entity: cells[0]}
		for i := 1; i < min(len(cells), len(header)); i++ {
			if cells[i] != "" {
				row.IDs = append(row.IDs, api.LinkID{System: header[i], ID: cells[i]})
			}
		}
		switch {
		case len(cells) != len(header):
			wrong(line, "%d columns, and the header has %d", len(cells), len(header))
		case row.Entity == "":
			wrong(line, "the entity is missing")
		case len(row.IDs) < 2:
			wrong(line, "fewer than two ids: nothing is linked by that")
		default:
			rows = append(rows, row)
		}
	}
	if len(rows)+len(problems) == 0 {
		wrong(1, "the file holds no row")
	}
	return rows, problems
}

func goodHeader(header []string) bool {
	seen := map[string]bool{}
	for _, name := range header {
		if name == "" || seen[name] {
			return false
		}
		seen[name] = true
	}
	return len(header) >= 3 && strings.EqualFold(header[0], "entity")
}
