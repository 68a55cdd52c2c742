package intake

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/waybill-hub/waybill/internal/connector"
	"github.com/waybill-hub/waybill/internal/fault"
	"github.com/waybill-hub/waybill/internal/state"
)

// growing is a drop whose files can be told to have grown: a file's ID says its lines.
type growing struct {
	*drop
	before func() // the next Done
	notes  []connector.FileNote
}

func idOf(lines []string) string { return fmt.Sprintf("sha-%d", len(strings.Join(lines, "\n"))) }

// write makes a file be these lines, from now on.
func (g *growing) write(name string, lines ...string) {
	g.mu.Lock()
	defer g.mu.Unlock()
	f := connector.File{Name: name, ID: idOf(lines), Size: int64(len(lines)), Modified: noon.Add(time.Duration(len(lines)) * time.Second)}
	g.lines[f.ID] = lines
	g.files = append(slices.DeleteFunc(g.files, func(f connector.File) bool { return f.Name == name }), f)
}

func (g *growing) IDAt(_ context.Context, _ string, f connector.File, size int64) (string, error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	return idOf(g.lines[f.ID][:size]), nil
}

func (g *growing) FileNotes(string) []connector.FileNote {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.notes
}

func (g *growing) Done(ctx context.Context, object string, f connector.File, failed error) error {
	if g.before != nil {
		change := g.before
		g.before = nil
		change()
	}
	g.mu.Lock()
	there := slices.Contains(g.files, f)
	g.mu.Unlock()
	if !there {
		return fault.Wrap(fault.Conflict, "move", connector.ErrChanged)
	}
	return g.drop.Done(ctx, object, f, failed)
}

func growingSource(g *growing) Source {
	s := watched(g.drop, 2)
	s.Files.Source = g
	return s
}

// TestFileGrows: a file that was written to while it was taken is gone on with where it was left, also after another file and a restart; one
// that was replaced is taken from its beginning.
func TestFileGrows(t *testing.T) {
	grown := rowsOf(1, 5)
	for name, c := range map[string]struct {
		now  []string
		want []string
	}{
		"grown":    {grown, []string{"1", "2", "3", "4", "5"}},
		"replaced": {rowsOf(70, 4), []string{"1", "2", "3", "70", "71", "72", "73"}},
		"shorter":  {rowsOf(1, 2), []string{"1", "2", "3", "1", "2"}},
	} {
		t.Run(name, func(t *testing.T) {
			onStores(t, func(t *testing.T, b *bench) {
				g := &growing{drop: newDrop()}
				g.write("a.csv", grown[:3]...)
				g.before = func() {
					g.write("a.csv", c.now...)
					g.mu.Lock() // still growing: it is not complete, and not listed
					rest := slices.Clone(g.files)
					g.files = nil
					g.mu.Unlock()
					g.put("b.csv", "sha-b", noon, `{"k":"b"}`)
					g.before = func() { // of b.csv
						g.mu.Lock()
						g.files = append(g.files, rest...)
						g.mu.Unlock()
					}
				}
				b.start(growingSource(g))
				b.Turn("the other file", func() bool { g.mu.Lock(); defer g.mu.Unlock(); return slices.Contains(g.done, "b.csv") })
				b.crash()
				b.start(growingSource(g))
				b.Turn("the files", func() bool { return g.empty() && b.Unpublished() == 0 && b.Topic.Count() >= len(c.want)+1 })
				var got []string
				for _, e := range b.Topic.Events() {
					if e.Key != "b" && !slices.Contains(got, e.Key+"!"+e.ID) {
						got = append(got, e.Key+"!"+e.ID) // what was published and not marked may come twice, under its id
					}
				}
				for i := range got {
					got[i], _, _ = strings.Cut(got[i], "!")
				}
				if !slices.Equal(got, c.want) || !slices.Equal(g.done, []string{"b.csv", "a.csv"}) {
					t.Errorf("keys %v, want %v; done %v", got, c.want, g.done)
				}
			})
		})
	}
}

// TestNoRowsAreSaid: a file without rows is done, and its run says so; one that failed says why.
func TestNoRowsAreSaid(t *testing.T) {
	onStores(t, func(t *testing.T, b *bench) {
		d := newDrop()
		d.put("header.csv", "sha-1", noon)
		d.put("broken.csv", "sha-2", noon.Add(time.Second), "?")
		b.start(watched(d, 3))
		b.Turn("the files", d.empty)
		b.Await("their runs", func() bool {
			runs, err := b.Store.Runs(t.Context(), state.RunFilter{Kind: "files", State: "ok"})
			said := func(text string) bool {
				return slices.ContainsFunc(runs, func(r state.Run) bool { return r.Detail == text && r.Count == 0 })
			}
			return err == nil && said("header.csv: 0 rows") && said("broken.csv: failed: the file ends within a quoted field")
		})
	})
}

// TestLeftInTheDrop: what a drop leaves or holds back shows in the state of its source, for as long as it is so.
func TestLeftInTheDrop(t *testing.T) {
	onStores(t, func(t *testing.T, b *bench) {
		g := &growing{drop: newDrop(), notes: []connector.FileNote{
			{Name: "link.csv", Why: "it is a symbolic link"}, {Name: "pipe.csv", Why: "it is a pipe"},
			{Name: "half.csv", Why: "the last line has no line end", Since: noon}, {Name: "failed/bad.csv", Why: "no header", Failed: true},
		}}
		in := b.start(growingSource(g))
		told := func() (out []string) {
			for _, r := range in.States()["orders"].Remarks {
				out = append(out, RemarkText(r))
			}
			return out
		}
		want := []string{"1 file has failed, and waits for a person: failed/bad.csv (no header)", "1 file is held back: half.csv (the last line has no line end)", "2 files are not taken, and left in the drop, such as link.csv (it is a symbolic link)"}
		b.Turn("the remarks", func() bool { return slices.Equal(told(), want) })
		g.mu.Lock()
		g.notes = nil
		g.mu.Unlock()
		b.Turn("their end", func() bool { return len(told()) == 0 })
	})
}
