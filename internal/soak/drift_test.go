package soak

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"math/rand/v2"
	"net/http"
	"os"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/waybill-hub/waybill/internal/api"
	"github.com/waybill-hub/waybill/internal/state"
)

var driftFaults = []fault{
	{Name: "drift of twelve kinds beside traffic, kill -9", Setups: both, Goal: 20, Share: 5, Run: drift},
}

const (
	// driftWrites is how many changes a second people make, of all kinds of objects together.
	driftWrites = 200
	// driftLoad is how many objects a second of a long form's time are loaded, up to mostDriftLoad.
	driftLoad     = 150
	mostDriftLoad = 200_000
	// driftShare is one drift in so many objects.
	driftShare = 200
)

// drifting is a world in which two systems drift apart past the hub, while it moves what people change and calls fail.
type drifting struct {
	*world
	b     *budget
	h     *hub
	pairs []*driftPair
	rss   int // the most memory that a hub has taken, in MB
	kills int
	// found and alarms over all rounds, and how long whole runs took.
	drifted int
	slowest time.Duration
	explain map[string]int64
}

// drift makes twelve kinds of drift past the hub, again and again: a run that is killed in its middle finds all of it, each with its reason, and nothing
// else; a repair leaves nothing but what a person decides; and when the traffic ends both systems hold the same.
func drift(b *budget) {
	c := newDrifting(b)
	c.explain = map[string]int64{}
	objects, drifts := 3000, 2*2*len(driftKinds)
	if !b.short {
		objects = min(mostDriftLoad, max(objects, driftLoad*int(time.Until(b.end).Seconds())))
		drifts = max(drifts, objects/driftShare)
	}
	c.h.start()
	began := time.Now()
	c.load(objects / len(c.pairs))
	b.Logf("%d objects loaded in %s", objects, time.Since(began).Round(time.Millisecond))
	end := c.write()
	c.fail(true)
	for b.more(1) {
		c.round(drifts / len(c.pairs))
	}
	c.fail(false)
	if !b.short {
		c.beside()
	}
	end()
	c.end()
	b.judge(c.world, rules{})
	b.verdict.Messages = 0
	for _, p := range c.pairs {
		b.verdict.Messages += p.writes.Load()
	}
	b.Logf("%d rounds, %d objects, %d changes by people, %d drifts, %d kills; a run took at most %s and its hub %d MB; explained %v", b.reps, objects, b.verdict.Messages, c.drifted, c.kills, c.slowest.Round(time.Millisecond), c.rss, c.explain)
}

func (c *drifting) fail(yes bool) {
	for _, p := range c.pairs {
		p.left.failing.Store(yes)
		p.right.failing.Store(yes)
	}
}

// phases of a run in which the hub is killed, in turn.
var driftPhases = []string{"reading", "settling", "looking-again", "repairing"}

// round makes drift and what comes of it.
func (c *drifting) round(drifts int) {
	c.b.Helper()
	victims := make([][]string, len(c.pairs))
	for i, p := range c.pairs {
		victims[i] = p.freeze(drifts)
	}
	c.calm(victims)
	began := time.Now()
	want := make([]map[string]expected, len(c.pairs))
	for i, p := range c.pairs {
		want[i] = p.drift(victims[i], c.b.reps)
		c.drifted += len(want[i])
	}
	phase := driftPhases[c.b.reps%len(driftPhases)]
	runs := c.ask(nil)
	if phase != "repairing" {
		runs = c.killDuring(runs, phase, nil)
	}
	for i, p := range c.pairs {
		run := c.over(p, runs[i])
		if run.State != string(state.RunDrift) || run.Summary.NotCompared > 0 {
			c.b.Errorf("%s: the run has ended as %s: %s; %+v", p.rec, run.State, run.Detail, run.Summary)
		}
		found, explained := c.differences(run.ID)
		p.judge(c.b, found, explained, want[i])
	}
	// Every other round repairs what that run has found, the others what a new one finds.
	repair := map[string]any{"repair": true, "deletes": true, "at_most": drifts}
	if c.b.reps%2 == 0 {
		repair = map[string]any{"all": true, "deletes": true, "at_most": drifts}
	}
	repairs := c.ask(repair, runs...)
	if phase == "repairing" {
		repairs = c.killDuring(repairs, phase, repair)
	}
	for i, p := range c.pairs {
		c.repaired(p, c.over(p, repairs[i]), want[i])
	}
	for i, p := range c.pairs {
		p.undo(want[i])
		p.thaw()
	}
	runs = c.ask(nil)
	for i, p := range c.pairs {
		if run := c.over(p, runs[i]); run.State != string(state.RunAgreed) || run.Drift > 0 || run.Summary.NotCompared > 0 {
			found, _ := c.differences(run.ID)
			c.b.Errorf("%s: after the repairs a run ends as %s: %s; %+v; it has found %+v", p.rec, run.State, run.Detail, run.Summary, found[:min(len(found), 3)])
		}
	}
	c.b.happened(time.Since(began))
}

// repaired holds what a repair has done against what it was to do: everything but what a person decides.
func (c *drifting) repaired(p *driftPair, run *api.Run, want map[string]expected) {
	c.b.Helper()
	found, _ := c.differences(run.ID)
	p.judge(c.b, found, nil, want)
	for i := range found {
		d := &found[i]
		wanted := state.RepairRepaired
		if want[d.Key].person {
			wanted = state.RepairLeft
		}
		if d.Repair != wanted {
			c.complain(&c.b.verdict.Lost, "%s %s (%s, %s): its repair is %q, want %q: %s %s", p.rec, d.Key, d.Kind, d.Reason, d.Repair, wanted, d.RepairDetail, d.Text)
		}
	}
	if run.State != string(state.RunDrift) {
		c.b.Errorf("%s: the repair has ended as %s: %s", p.rec, run.State, run.Detail)
	}
}

// ask wants a run of every pair, or a repair of what runs have found, and gives their numbers.
func (c *drifting) ask(body map[string]any, of ...int64) []int64 {
	c.b.Helper()
	var out []int64
	for i, p := range c.pairs {
		path := "/api/v1/reconciliations/" + p.rec + "/run"
		if body["all"] == true {
			path = fmt.Sprintf("/api/v1/runs/%d/repair", of[i])
		}
		if body == nil {
			body = map[string]any{}
		}
		sent, _ := json.Marshal(body)
		resp, err := http.Post("http://"+c.h.http+path, "application/json", bytes.NewReader(sent))
		if err != nil {
			c.b.Fatal(err)
		}
		answer, _ := io.ReadAll(resp.Body)
		_ = resp.Body.Close()
		var run api.Run
		if err := json.Unmarshal(answer, &run); err != nil || resp.StatusCode != http.StatusAccepted {
			c.b.Fatalf("POST %s %s: %s %s", path, sent, resp.Status, answer)
		}
		out = append(out, run.ID)
	}
	return out
}

// killDuring kills the hub while a run is in a phase, and starts it again. Where all runs are over before that, others are asked for, and the hub is
// killed as soon as they run.
func (c *drifting) killDuring(runs []int64, phase string, again map[string]any) []int64 {
	c.b.Helper()
	asked := runs
	for {
		over := 0
		for _, id := range runs {
			var run api.Run
			if c.h.get(fmt.Sprint("/api/v1/runs/", id), &run) != nil {
				continue
			}
			if run.State == string(state.RunRunning) && (phase == "" || run.Progress != nil && run.Progress.Phase == phase) {
				time.Sleep(rand.N(200 * time.Millisecond)) // any point of the phase will do
				c.crash()
				return runs
			}
			if run.Finished != nil {
				over++
			}
		}
		if over == len(runs) {
			c.b.Logf("no run was seen %s; others are asked for", phase)
			runs, phase = c.ask(again, asked...), ""
		}
		time.Sleep(5 * time.Millisecond) // between two looks
		if c.b.Context().Err() != nil {
			c.b.FailNow()
		}
	}
}

// crash kills the hub and starts it again.
func (c *drifting) crash() {
	c.b.Helper()
	c.memory()
	for _, p := range c.pairs {
		p.lost.Add(1)
	}
	c.kills++
	c.h.kill()
	c.bury()
	took := c.h.start()
	c.b.within("getting ready after kill -9", took, 10*time.Second)
}

// over waits for the end of a run.
func (c *drifting) over(p *driftPair, id int64) *api.Run {
	c.b.Helper()
	var run api.Run
	var phases []string
	began := time.Now()
	c.h.await(fmt.Sprintf("run %d of %s ends", id, p.rec), 15*time.Minute, func() bool {
		run = api.Run{}
		if c.h.get(fmt.Sprint("/api/v1/runs/", id), &run) == nil && run.Progress != nil {
			if phase := run.Progress.Phase; phase != "" && (len(phases) == 0 || !strings.HasSuffix(phases[len(phases)-1], phase)) {
				phases = append(phases, fmt.Sprintf("%.0fs %s", time.Since(began).Seconds(), phase))
			}
		}
		return run.Finished != nil
	})
	if took := run.Finished.Sub(*run.Started); took > c.slowest {
		c.slowest = took
	}
	for reason, n := range run.Summary.Explained {
		c.explain[reason] += n
	}
	c.memory()
	c.b.Logf("%s: run %d (attempt %d): %s in %s: compared %d, drift %d, repaired %d, explained %v (%s)%s", p.rec, id, run.Attempt, run.State, run.Finished.Sub(*run.Started).Round(time.Millisecond),
		run.Summary.Compared, run.Drift, run.Summary.Repaired, run.Summary.Explained, strings.Join(phases, ", "), strings.TrimSuffix("; "+run.Detail, "; "))
	return &run
}

// differences gives what a run has found, and what it explains.
func (c *drifting) differences(run int64) (found, explained []state.Difference) {
	c.b.Helper()
	for after := 0; ; {
		var page api.Differences
		if err := c.h.get(fmt.Sprintf("/api/v1/runs/%d/differences?limit=1000&after=%d", run, after), &page); err != nil {
			c.b.Fatal(err)
		}
		for _, d := range page.Differences {
			if d.Explained {
				explained = append(explained, d)
			} else {
				found = append(found, d)
			}
		}
		if after = page.Next; after == 0 {
			return found, explained
		}
	}
}

// calm waits until the victims are the same on both sides and the hub has read that back: what is done to them from then on is nobody's but the test's.
func (c *drifting) calm(victims [][]string) {
	c.b.Helper()
	for i, p := range c.pairs {
		c.h.await("the victims rest", 5*time.Minute, func() bool {
			return !slices.ContainsFunc(victims[i], func(no string) bool { return p.apart(no) != "" })
		})
	}
	frozen := time.Now()
	for range 3 { // a poll, what it has read, and what comes of that
		for _, p := range c.pairs {
			for _, s := range []*shelf{p.left, p.right} {
				n := s.polls.Load()
				if s == p.left && p.pushed() {
					continue
				}
				c.h.await("another poll of "+p.entity, time.Minute, func() bool { return s.polls.Load() >= n+2 })
			}
		}
	}
	c.h.await("what came in before is decided", 5*time.Minute, func() bool {
		st := c.h.status()
		return st != nil && !slices.ContainsFunc(st.Flows, func(f api.Flow) bool { return f.InFlightSeconds > time.Since(frozen).Seconds() })
	})
}

// memory notes how much the hub has taken.
func (c *drifting) memory() {
	data, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", c.h.cmd.Process.Pid))
	if err != nil {
		return // only Linux tells
	}
	for line := range strings.Lines(string(data)) {
		if f := strings.Fields(line); len(f) > 1 && f[0] == "VmHWM:" {
			kb, _ := strconv.Atoi(f[1])
			c.rss = max(c.rss, kb>>10)
		}
	}
}

// end waits until nothing moves any more and holds the systems against each other, object by object.
func (c *drifting) end() {
	c.b.Helper()
	for _, p := range c.pairs {
		for _, s := range []*shelf{p.left, p.right} {
			n := s.polls.Load()
			if s == p.left && p.pushed() {
				continue
			}
			c.h.await("the last poll of "+p.entity, time.Minute, func() bool { return s.polls.Load() >= n+3 })
		}
	}
	c.quiet(5 * time.Minute)
	for _, p := range c.pairs {
		names := map[string]bool{}
		for _, s := range []*shelf{p.left, p.right} {
			s.mu.Lock()
			for no := range s.byNo {
				names[no] = true
			}
			s.mu.Unlock()
		}
		for _, no := range slices.Sorted(maps.Keys(names)) {
			if why := p.apart(no); why != "" {
				c.complain(&c.b.verdict.Lost, "%s %s: %s", p.entity, no, why)
			}
		}
	}
	runs := c.ask(nil)
	for i, p := range c.pairs {
		if run := c.over(p, runs[i]); run.State != string(state.RunAgreed) || run.Summary.Compared != run.Summary.Equal || len(run.Summary.Explained) > 0 {
			c.b.Errorf("%s: at rest a run ends as %s: %s; %+v", p.rec, run.State, run.Detail, run.Summary)
		}
	}
}

// beside measures how long a change takes from the hub's word that it has it to the target, with runs under way and without. Nothing fails meanwhile.
func (c *drifting) beside() {
	c.b.Helper()
	const length = 30 * time.Second
	var took [2][]time.Duration
	began := time.Now()
	for pass := 0; pass == 0 || pass < 3 && time.Since(began) < 5*time.Minute; pass++ {
		for n := range took {
			for _, p := range c.pairs {
				p.times()
			}
			began := time.Now()
			if n == 0 {
				time.Sleep(length) // what is measured is this time
			}
			for n == 1 && time.Since(began) < length {
				runs := c.ask(nil)
				for i, p := range c.pairs {
					c.over(p, runs[i])
				}
			}
			for _, p := range c.pairs {
				took[n] = append(took[n], p.times()...)
			}
		}
	}
	for n, what := range []string{"without a run", "with a run under way"} {
		c.b.Logf("from acceptance to delivery %s: p50 %s, p99 %s, of %d", what, quantile(took[n], 0.5), quantile(took[n], 0.99), len(took[n]))
	}
}
