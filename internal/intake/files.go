package intake

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"sync"
	"time"

	"github.com/waybill-hub/waybill/internal/connector"
	"github.com/waybill-hub/waybill/internal/failpoint"
	"github.com/waybill-hub/waybill/internal/fault"
	"github.com/waybill-hub/waybill/internal/inbox"
	"github.com/waybill-hub/waybill/internal/lease"
	"github.com/waybill-hub/waybill/internal/lifecycle"
	"github.com/waybill-hub/waybill/internal/state"
)

const (
	defaultChunk = 500
	chunkBytes   = 4 << 20
)

// watcher reads a drop file by file. The rows of a chunk are committed together with the place that they end at, so that a
// hub which dies in the middle of a file goes on with the next row.
type watcher struct {
	*reader
	files Files
	known map[connector.FileNote]bool // what the last look left in the drop
}

// place is the watcher's cursor: how far it has come in the file that it read last.
type place struct {
	File     string    `json:"file,omitempty"`
	Name     string    `json:"name,omitempty"`
	Modified time.Time `json:"modified,omitzero"`
	// Next is the index of the next row.
	Next int `json:"next,omitempty"`
	// Whole: every row is taken, and the file only has to be moved away, for the reason Failed if it is not empty.
	Whole  bool   `json:"whole,omitempty"`
	Failed string `json:"failed,omitempty"`
	// Size is the file's, in bytes.
	Size int64 `json:"size,omitempty"`
	// Left are files, by name, that were left in the middle because they were written to meanwhile.
	Left map[string]part `json:"left,omitempty"`
}

// part is how far a file was taken when it consisted of its first Size bytes.
type part struct {
	File string `json:"file"`
	Size int64  `json:"size"`
	Next int    `json:"next"`
}

// mostLeft bounds the files that are remembered as left in the middle.
const mostLeft = 64

// leave remembers a file that is left in the middle.
func (p *place) leave() {
	if p.Whole || p.Next == 0 || p.Size == 0 || len(p.Left) >= mostLeft {
		return
	}
	if p.Left == nil {
		p.Left = map[string]part{}
	}
	p.Left[p.Name] = part{p.File, p.Size, p.Next}
}

// idle is the place of a drop that nothing is to be taken from: what was left in the middle, or nothing.
func (p *place) idle() string {
	p.leave()
	if len(p.Left) == 0 {
		return ""
	}
	return (&place{Left: p.Left}).String()
}

// of reports whether the place is in this very file. The same content under a new time is another delivery: a stock list
// may well say again what the one before last said.
func (p *place) of(f *connector.File) bool {
	return p.File == f.ID && p.Name == f.Name && p.Modified.Equal(f.Modified)
}

func (w *watcher) read(ctx context.Context, t *lease.Held) error {
	if err := w.asked(ctx, t); err != nil {
		return err
	}
	pending, err := w.pending(ctx)
	if err != nil {
		return err
	}
	w.remarkFiles()
	at, err := w.place(ctx) // while this hub has the lease, nobody else moves it
	if err != nil {
		return err
	}
	var records sync.WaitGroup // of runs: each is made beside the next file's rows, and mostly in one commit with them
	defer records.Wait()
	for i := range pending {
		// The files' order is kept: one that cannot be read or moved away now holds those behind it.
		if err := w.file(ctx, t, &pending[i], &at, &records); err != nil {
			return fmt.Errorf("%s: %w", pending[i].Name, err)
		}
	}
	return w.idle(ctx, t, &at)
}

// remarkFiles shows what the drop's files are that are not taken, and logs each once.
func (w *watcher) remarkFiles() {
	noter, ok := w.files.Source.(connector.FileNoter)
	if !ok {
		return
	}
	said, known := remarks{}, make(map[connector.FileNote]bool, len(w.known))
	for _, n := range noter.FileNotes(w.files.Object) {
		kind, told := connector.Left, "a file is left in the drop"
		switch {
		case n.Unanswered:
			kind, told = connector.Unanswered, "what was sent to a partner is not acknowledged"
		case n.Failed:
			said.add([]connector.Remark{{Kind: connector.Failed, Local: n.Name, Version: n.Why}})
			continue // it was logged when it failed
		case !n.Since.IsZero():
			kind = connector.HeldBack
		}
		said.add([]connector.Remark{{Kind: kind, Local: n.Name, Version: n.Why}})
		if known[n] = true; !w.known[n] {
			w.log.Warn(told, "flow", w.src.Flow, "file", n.Name, "why", n.Why)
		}
	}
	w.known = known
	w.remark(said.list())
}

// pending lists the drop.
func (w *watcher) pending(ctx context.Context) (files []connector.File, err error) {
	err = lifecycle.Guard(func() (err error) {
		files, err = w.files.Source.Pending(ctx, w.files.Object)
		return err
	})
	return files, err
}

// idle notes that the drop was looked at, and forgets a file that was moved away.
func (w *watcher) idle(ctx context.Context, t *lease.Held, at *place) error {
	_, err := w.accept(ctx, t, nil, at.idle())
	return err
}

// file takes one file, from where it was left, and moves it away. A small file is one commit, and its run's record another.
func (w *watcher) file(ctx context.Context, t *lease.Held, f *connector.File, at *place, recording *sync.WaitGroup) (err error) {
	if !at.of(f) {
		if err := w.turn(ctx, f, at); err != nil {
			return err
		}
	}
	run := runLog{r: w.reader}
	records, fresh := 0, 0
	defer func() {
		recording.Go(func() { run.end(ctx, fresh, err) })
		w.obs.Read(w.src.Flow, records, fresh)
	}()
	run.tell(f.Name)
	if !at.Whole {
		if err := w.rows(ctx, t, f, at, &run, &records, &fresh); err != nil {
			return err
		}
		if at.Failed != "" {
			w.log.Warn("a file cannot be read on; it goes to the failed folder", "flow", w.src.Flow, "file", f.Name, "rows", at.Next, "error", at.Failed)
		}
		failpoint.Hit(failpoint.FileTaken)
	}
	var failed error
	if at.Failed != "" {
		failed = errors.New(at.Failed)
	}
	err = lifecycle.Guard(func() error { return w.files.Source.Done(ctx, w.files.Object, *f, failed) })
	if errors.Is(err, connector.ErrChanged) {
		w.log.Warn("a file was written to, or replaced, while it was taken; it stays, and what is new in it is taken when it is complete",
			"flow", w.src.Flow, "file", f.Name, "rows", at.Next)
		at.Whole, at.Failed = false, ""
		return w.note(ctx, t, at)
	}
	if err != nil {
		return fmt.Errorf("move the file away: %w", err)
	}
	switch {
	case at.Failed != "":
		run.run.Detail = f.Name + ": failed: " + at.Failed
	case at.Next == 0:
		run.run.Detail = f.Name + ": 0 rows"
		w.log.Info("a file has no rows", "flow", w.src.Flow, "file", f.Name, "bytes", f.Size)
	}
	failpoint.Hit(failpoint.FileMoved)
	return nil
}

// turn begins with another file than the last one: at its first row, or where it was left when it was shorter.
func (w *watcher) turn(ctx context.Context, f *connector.File, at *place) error {
	at.leave()
	next := place{File: f.ID, Name: f.Name, Modified: f.Modified, Size: f.Size, Left: at.Left}
	was, ok := next.Left[f.Name]
	delete(next.Left, f.Name)
	grower, can := w.files.Source.(connector.FileGrower)
	if ok && can && f.Size >= was.Size {
		var id string
		err := lifecycle.Guard(func() (err error) {
			id, err = grower.IDAt(ctx, w.files.Object, *f, was.Size)
			return err
		})
		if err != nil {
			return fmt.Errorf("look whether the file has grown: %w", err)
		}
		if id == was.File {
			next.Next = was.Next
			w.log.Info("a file has grown; what is new in it is taken", "flow", w.src.Flow, "file", f.Name, "from", was.Next)
		}
	}
	*at = next
	return nil
}

// rows takes the file's rows from at.Next on. With the last of them it is stored that the file is whole, and why it is no good beyond
// them if it is not.
func (w *watcher) rows(ctx context.Context, t *lease.Held, f *connector.File, at *place, run *runLog, records, fresh *int) error {
	limit := w.files.Chunk
	if limit <= 0 {
		limit = defaultChunk
	}
	var chunk []state.Inbound
	size := 0
	commit := func() error {
		if len(chunk) == 0 {
			return nil
		}
		n, err := w.chunk(ctx, t, chunk, at)
		*records += len(chunk)
		*fresh += n
		chunk, size = chunk[:0], 0
		return err
	}
	var bad error
	err := lifecycle.Guard(func() error {
		for row, rerr := range w.files.Source.Read(ctx, w.files.Object, *f, at.Next) {
			if rerr != nil && row.Number <= 0 {
				bad = rerr // the file, not a row
				break
			}
			chunk = append(chunk, w.inbound(f, &row, rerr))
			size += len(row.Doc)
			at.Next = row.Number
			if len(chunk) >= limit || size >= chunkBytes {
				if err := run.lasts(ctx); err != nil {
					return err
				}
				if err := commit(); err != nil {
					return err
				}
			}
			if ctx.Err() != nil {
				return context.Cause(ctx)
			}
		}
		return nil
	})
	if err != nil {
		return err
	}
	switch {
	case bad == nil:
		at.Whole = true
	case ctx.Err() != nil:
		bad = context.Cause(ctx)
	case fault.KindOf(bad) == fault.Invalid:
		at.Whole, at.Failed, bad = true, bad.Error(), nil
	}
	if len(chunk) > 0 {
		err = commit()
	} else if at.Whole {
		err = w.note(ctx, t, at)
	}
	if err != nil {
		return err
	}
	return bad
}

// inbound makes an inbox row of a file's row. One that cannot be read becomes a row that the flow parks, alone.
func (w *watcher) inbound(f *connector.File, row *connector.Row, bad error) state.Inbound {
	number, line := strconv.Itoa(row.Number), strconv.Itoa(row.Line)
	headers := map[string]string{"file-name": f.Name, "file-row": number, "file-line": line}
	if !f.Modified.IsZero() {
		headers[inbox.HeaderTime] = f.Modified.UTC().Format(time.RFC3339Nano)
	}
	body := row.Doc
	if bad != nil {
		headers[inbox.HeaderError] = fmt.Sprintf("%s: row %s, line %s: %v", f.Name, number, line, bad)
		if len(body) == 0 {
			body = []byte("null")
		}
	}
	id := inbox.CleanID(f.ID + "-" + strconv.FormatInt(f.Modified.UnixMicro(), 36) + "." + number)
	return state.Inbound{Flow: w.src.Flow, DeliveryID: id, ID: id, Headers: headers, Body: body, Trace: inbox.Trace(), Received: w.clock.Now()}
}

// chunk commits rows and the place behind them.
func (w *watcher) chunk(ctx context.Context, t *lease.Held, rows []state.Inbound, at *place) (fresh int, err error) {
	if err := failpoint.Fail(failpoint.FileRead); err != nil {
		return 0, err
	}
	outcome, err := w.accept(ctx, t, rows, at.String())
	if err == nil {
		failpoint.Hit(failpoint.FileStored)
	}
	for i, o := range outcome {
		switch o {
		case state.AcceptedNew:
			fresh++
		case state.AcceptedConflict:
			w.log.Error("a row of a file was taken before with another content; the first is kept", "flow", w.src.Flow, "file", at.Name, "row", rows[i].ID)
			w.obs.Alarm(w.src.Flow, inbox.AlarmConflict, fmt.Sprintf("row %s of %s was taken before with another content; the first is kept", rows[i].Headers["file-row"], at.Name))
		}
	}
	return fresh, err
}

func (w *watcher) note(ctx context.Context, t *lease.Held, at *place) error {
	_, err := w.accept(ctx, t, nil, at.String())
	return err
}

func (w *watcher) place(ctx context.Context) (at place, err error) {
	cur, err := w.store.Cursor(ctx, w.src.Flow)
	if err != nil {
		return at, fmt.Errorf("read the cursor: %w", err)
	}
	if cur.Value == "" {
		return at, nil
	}
	if err := json.Unmarshal([]byte(cur.Value), &at); err != nil {
		return at, fmt.Errorf("the stored cursor %.80q is none of a file watcher's: %w", cur.Value, err)
	}
	return at, nil
}

func (p *place) String() string {
	b, err := json.Marshal(p)
	if err != nil {
		panic(err) // texts, numbers and a time always marshal
	}
	return string(b)
}
