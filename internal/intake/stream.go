package intake

import (
	"context"
	"fmt"
	"time"

	"github.com/waybill-hub/waybill/internal/connector"
	"github.com/waybill-hub/waybill/internal/lease"
	"github.com/waybill-hub/waybill/internal/lifecycle"
)

// tellEvery is how often a system that keeps its log for the hub is told what is stored.
const tellEvery = 5 * time.Second

// streamed reads one log for all flows that read from it, under one lease: a log is read by one hub, and let go of as far as all of them have stored it.
type streamed struct {
	in      *Intake
	system  connector.Streamer
	stream  string
	pollers []*poller
}

// stream names the log that the source is read from, with its system; empty: it is read from none.
func (s *Source) stream() string {
	if s.Poll == nil || s.Poll.Stream == "" {
		return ""
	}
	return s.System + "/" + s.Poll.Stream
}

// together is same for flows that read one log: their work is one, so that all of them are the same, or none is.
func (in *Intake) together(sources []Source, same func(flow string) bool) func(flow string) bool {
	changed, of, listed := map[string]bool{}, map[string]string{}, map[string]bool{}
	for i := range sources {
		s := &sources[i]
		listed[s.Flow], of[s.Flow] = true, s.stream()
		if in.find(s.Flow) == nil || !same(s.Flow) {
			changed[s.stream()] = true
		}
	}
	in.mu.RLock()
	defer in.mu.RUnlock()
	for flow, w := range in.works {
		if !listed[flow] || !same(flow) {
			changed[w.src.stream()] = true
		}
	}
	delete(changed, "")
	return func(flow string) bool { return same(flow) && !changed[of[flow]] }
}

// joinStreams gives the first flow of each log the reading of all of them.
func (in *Intake) joinStreams(works []*work) error {
	logs := map[string]*streamed{}
	for _, w := range works {
		key := w.src.stream()
		if key == "" {
			continue
		}
		if logs[key] == nil {
			system, ok := w.src.Poll.Poller.(connector.Streamer)
			if !ok {
				return fmt.Errorf("flow %s: its system has no log", w.src.Flow)
			}
			logs[key] = &streamed{in: in, system: system, stream: w.src.Poll.Stream}
			w.leased = append(w.leased, in.under("stream/"+key, in.c.Log, logs[key].run))
		}
		logs[key].pollers = append(logs[key].pollers, w.poller)
	}
	return nil
}

// run reads for all flows until ctx ends, or one of them cannot go on.
func (g *streamed) run(ctx context.Context, t *lease.Held) error {
	defer g.system.Leave(g.stream)
	if err := g.tell(ctx); err != nil { // before anybody reads: what others have to read is not to be let go of
		return err
	}
	reading := lifecycle.NewBackground(ctx)
	for _, p := range g.pollers {
		reading.Go(func(ctx context.Context) error { return p.work(ctx, t) })
	}
	reading.Go(func(ctx context.Context) error { return g.keep(ctx, t) })
	if err := reading.Wait(); err != nil {
		return err
	}
	return context.Cause(ctx)
}

// keep tells the system now and then what is stored.
func (g *streamed) keep(ctx context.Context, t *lease.Held) error {
	for {
		if err := lifecycle.Sleep(ctx, g.in.c.Clock, tellEvery); err != nil {
			return err
		}
		if err := t.Check(g.in.c.Clock); err != nil {
			return err
		}
		if err := g.tell(ctx); err != nil && ctx.Err() == nil {
			g.pollers[0].failures.Warn("cannot say how far a log is stored; its system keeps more of it meanwhile", err, "system", g.pollers[0].src.System)
		}
	}
}

func (g *streamed) tell(ctx context.Context) error {
	cursors := make(map[string]string, len(g.pollers))
	for _, p := range g.pollers {
		cur, err := p.store.Cursor(ctx, p.src.Flow)
		if err != nil {
			return fmt.Errorf("read the cursor: %w", err)
		}
		cursors[p.src.Flow] = cur.Value
	}
	g.system.Stored(g.stream, cursors)
	return nil
}
