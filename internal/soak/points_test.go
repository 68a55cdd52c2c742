package soak

import (
	"encoding/json"
	"fmt"
	"maps"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/waybill-hub/waybill/internal/failpoint"
)

// A point says how the hub is brought to a failpoint.
type point struct {
	most   int // hits that are counted on; the hit that kills is one of the first so many
	env    []string
	before func(s *sweep)        // while the hub is down
	after  func(s *sweep)        // once it runs again
	reach  func(s *sweep, n int) // once it is started with its point; nil: the load that always runs comes there
	launch bool                  // the point is reached before the hub is ready
	fresh  bool                  // it needs a store that is empty
	absent map[setup]string      // the set-ups that have no such point, and why
}

const noBroker = "the broker's files are in the hub's hands only where it is embedded"

// points lists what needs more than load. The load has every kind of work in it: see world.feed.
var points = map[failpoint.Name]point{
	failpoint.LeaseTaken:          {most: 3},
	failpoint.PositionTaken:       {most: 10},
	failpoint.FileClaimed:         {most: 3},
	failpoint.FileTaken:           {most: 3},
	failpoint.FileMoved:           {most: 3},
	failpoint.Pruned:              {most: 2, env: []string{"WAYBILL_PRUNE_EVERY=300ms"}},
	failpoint.TopicsEnsured:       {most: 1, launch: true},
	failpoint.Started:             {most: 1, launch: true},
	failpoint.BrokerIdentified:    {most: 1, launch: true, absent: map[setup]string{onKafka: noBroker}},
	failpoint.BrokerCut:           {most: 1, launch: true, before: (*sweep).tear, absent: map[setup]string{onKafka: noBroker}},
	failpoint.MigrationStatement:  {most: 12, launch: true, fresh: true},
	failpoint.MigrationDone:       {most: 1, launch: true, fresh: true},
	failpoint.StopStep:            {most: 8, reach: (*sweep).term},
	failpoint.FlowStopping:        {most: 5, reach: (*sweep).term},
	failpoint.GroupLeave:          {most: 5, reach: (*sweep).term},
	failpoint.MarkStored:          {most: 1, reach: (*sweep).repairKey, after: (*sweep).repairRest},
	failpoint.EditStored:          {most: 1, reach: (*sweep).repairKey, after: (*sweep).repairRest},
	failpoint.ReplayPublished:     {most: 1, reach: (*sweep).repairKey, after: (*sweep).repairRest},
	failpoint.Resubmitted:         {most: 1, reach: (*sweep).repairList, after: (*sweep).repairRest},
	failpoint.ReloadAudited:       {most: 1, reach: (*sweep).reload},
	failpoint.ReloadSourcesClosed: {most: 1, reach: (*sweep).reload},
	failpoint.ReloadFlowsStopped:  {most: 1, reach: (*sweep).reload},
	failpoint.ReloadSystemsClosed: {most: 1, reach: (*sweep).reload},
	failpoint.ReloadFlowsStarted:  {most: 1, reach: (*sweep).reload},
	failpoint.ReloadDone:          {most: 1, reach: (*sweep).reload},
	failpoint.SubmitStored:        {most: 1, reach: (*sweep).resend, after: (*sweep).resent},
	failpoint.BackfillSubmitted:   {most: 2, reach: (*sweep).sendAll},
	failpoint.PauseStored:         {most: 1, reach: (*sweep).pause, after: (*sweep).resume},
	failpoint.DrainBegun:          {most: 10, reach: (*sweep).replayRefused, after: (*sweep).replayRest},
	failpoint.DrainDecided:        {most: 10, reach: (*sweep).replayRefused, after: (*sweep).replayRest},
	failpoint.Drained:             {most: 10, reach: (*sweep).replayRefused, after: (*sweep).replayRest},
}

// pointsOf gives the failpoints that a set-up has, and why it has not the others.
func pointsOf(s setup) (have []failpoint.Name, absent map[failpoint.Name]string) {
	absent = map[failpoint.Name]string{}
	for _, n := range failpoint.All() {
		if why := points[n].absent[s]; why != "" {
			absent[n] = why
			continue
		}
		have = append(have, n)
	}
	return have, absent
}

// sweep is one hub that is brought to one failpoint after the other.
type sweep struct {
	*budget
	w    *world
	h    *hub
	done int      // numbers what comes
	good versions // of the files, as they were made
	// What a person still has to repair, by the delivery: promised once it is known to be.
	repairs map[string]*broken
	// wish is the last object that was asked for again, as the command says it.
	wish []string
}

// broken is a delivery that the intake refuses, and the document by which a person repairs it.
type broken struct {
	entity, text string
	owed         []thing
	seen         bool // it was parked
}

// killAtPoints kills the hub at every failpoint.
func killAtPoints(b *budget) {
	have, absent := pointsOf(b.setup)
	for n, why := range absent {
		b.Logf("%s is not there on %s: %s", n, b.setup, why)
	}
	rand.Shuffle(len(have), func(i, j int) { have[i], have[j] = have[j], have[i] })
	s := &sweep{budget: b, repairs: map[string]*broken{}}
	s.w, s.h = newWide(b.T, b.setup)
	s.h.start()
	end := s.w.feed(float64(b.size(100, 500)), b.size(50, 2000))
	hit := map[failpoint.Name]int{}
	for i := 0; b.more(b.size(4, len(have))); i++ {
		name := have[i%len(have)]
		p := points[name]
		n := 1
		if round := i / len(have); round > 0 || b.short {
			n += rand.IntN(or(p.most, 20))
		}
		if p.fresh {
			b.freshKill(name, n)
		} else {
			s.kill(name, p, n)
		}
		hit[name]++
	}
	end()
	if len(s.repairs) > 0 {
		s.w.quietWide(5 * time.Minute) // what was refused is parked by now, or repaired
		s.repair(30*time.Second, true)
		for _, r := range s.repairs {
			s.w.ledger.promise(r.entity, r.owed)
		}
	}
	s.w.quietWide(5 * time.Minute)
	b.judgeWide(s.w)
	b.Logf("killed at %d points: %v", len(hit), slices.Sorted(maps.Keys(hit)))
	if code := s.h.stop(); code != 0 {
		b.Errorf("an orderly stop exits %d", code)
	}
}

// kill starts the hub with the point set, sees it die there, and starts it again.
func (s *sweep) kill(name failpoint.Name, p point, n int) {
	s.Helper()
	s.h.kill()
	s.w.bury()
	if p.before != nil {
		p.before(s)
	}
	env := append([]string{fmt.Sprintf("%s=%s=kill@%d", failpoint.Variable, name, n)}, p.env...)
	if p.launch {
		s.h.launch(env...)
	} else if s.h.launch(env...); p.reach != nil && s.up() {
		p.reach(s, n)
	}
	s.died(s.h, name, n)
	if s.Failed() {
		s.FailNow()
	}
	s.w.bury()
	took := s.h.start()
	s.within(fmt.Sprintf("getting ready after kill -9 at %s", name), took, 10*time.Second)
	s.happened(took)
	if p.after != nil {
		p.after(s)
	}
}

// up waits until the hub is ready or dead, and says whether it is ready.
func (s *sweep) up() bool {
	deadline := time.Now().Add(time.Minute)
	for !s.h.ready() {
		select {
		case <-s.h.done:
			return false
		case <-time.After(20 * time.Millisecond):
		}
		if time.Now().After(deadline) {
			s.Fatalf("not ready: %s", tail(s.h.text(), 3000))
		}
	}
	return true
}

// died waits until the hub has killed itself at its point.
func (b *budget) died(h *hub, name failpoint.Name, n int) {
	b.Helper()
	select {
	case <-h.done:
	case <-time.After(time.Minute):
		b.Fatalf("%s was not hit %d times", name, n)
	}
	status, ok := h.cmd.ProcessState.Sys().(syscall.WaitStatus)
	if !ok || !status.Signaled() || status.Signal() != syscall.SIGKILL {
		b.Errorf("%s: the hub has ended with %v, not by its own SIGKILL", name, h.cmd.ProcessState)
	}
	if said := fmt.Sprintf("failpoint %s: killed at hit %d", name, n); !strings.Contains(h.text(), said) {
		b.Errorf("the hub has died, and does not say %q; its log ends with\n%s", said, tail(h.text(), 2000))
	}
}

// freshKill is a kill at a point that only a hub with an empty store comes to.
func (b *budget) freshKill(name failpoint.Name, n int) {
	b.Helper()
	w := newWorld(b.T, b.setup)
	h := w.hub()
	h.launch(fmt.Sprintf("%s=%s=kill@%d", failpoint.Variable, name, n))
	b.died(h, name, n)
	took := h.start()
	b.within(fmt.Sprintf("getting ready after kill -9 at %s", name), took, 10*time.Second)
	w.senders.send(b.Context(), load{Count: 200})
	w.quiet(time.Minute)
	b.judge(w, rules{})
	if code := h.stop(); code != 0 {
		b.Errorf("an orderly stop exits %d", code)
	}
	b.happened(took)
}

// tear leaves a torn end in one of the embedded broker's files.
func (s *sweep) tear() {
	files, err := filepath.Glob(filepath.Join(s.w.p.DataDir, "broker", "partitions", "*", "*.dat"))
	if err != nil || len(files) == 0 {
		s.Fatalf("the broker has no segments: %v", err)
	}
	appendTo(s.T, files[rand.IntN(len(files))], make([]byte, 5))
}

// term stops the hub in order.
func (s *sweep) term(int) { _ = s.h.cmd.Process.Signal(syscall.SIGTERM) }

// repairKey makes an event without a key, and repairs it.
func (s *sweep) repairKey(int) {
	s.done++
	d := thing{No: fmt.Sprintf("K%d", s.done), Seq: 1, Text: "repaired"}
	s.refused("customer", fmt.Sprintf("keyless-%d", s.done), `[{"seq":1}]`, d, []thing{d})
}

// repairList makes a delivery that cannot be split, and repairs it but for one of its documents.
func (s *sweep) repairList(int) {
	s.done++
	d := thing{No: fmt.Sprintf("IK%d", s.done), Seq: 1, Text: "repaired"}
	s.refused("invoice", fmt.Sprintf("listless-%d", s.done), `{"none":1}`, map[string]any{"items": []any{d, map[string]any{"seq": 2}}}, []thing{d})
}

// refused sends a delivery that the intake refuses and repairs it as a person would, as far as the hub lives to see it.
func (s *sweep) refused(entity, delivery, body string, repaired any, owed []thing) {
	if !s.w.insist(entity, delivery, []byte(body)) {
		return
	}
	text, _ := json.Marshal(repaired)
	s.repairs[delivery] = &broken{entity, string(text), owed, false}
	s.w.ledger.try(entity, owed)
	s.repair(15*time.Second, false)
}

// repair edits and replays what was refused, until nothing of it is left that was seen or the hub dies; what cannot be repaired is discarded, with all.
func (s *sweep) repair(limit time.Duration, all bool) {
	deadline := time.Now().Add(limit)
	flows := map[string]bool{}
	for _, r := range s.repairs {
		flows[s.w.p.flow(r.entity+"s")] = true
	}
	for seen := false; s.h.alive(); {
		left := 0
		for flow := range flows {
			for _, q := range s.h.queued(flow, "") {
				delivery, _, _ := strings.Cut(q.Event, ".")
				r := s.repairs[delivery]
				if r == nil {
					continue
				}
				r.seen = true
				left++
				id := fmt.Sprint(q.ID)
				switch {
				case q.Mark != "":
				case q.Code == "key" && strings.HasPrefix(q.Event, "listless-"): // what is left of a list
					left--
					if all {
						left++
						s.h.command("parked", "discard", id, "--note", "cannot be repaired")
					}
				default:
					file := filepath.Join(s.w.p.dir, "repaired.json")
					if err := os.WriteFile(file, []byte(r.text), 0o644); err != nil {
						s.Fatal(err)
					}
					// A kill may have come behind the edit: the document is there then.
					if out, code := s.h.command("parked", "edit", id, "--file", file, "--note", "a test"); code == 0 || strings.Contains(out, "to try it again, replay it") {
						s.h.command("parked", "replay", id, "--note", "a test")
					}
				}
			}
		}
		seen = seen || left > 0
		if left == 0 && (seen || all) {
			return
		}
		if time.Now().After(deadline) {
			s.Errorf("what was to be repaired is not, within %s\n%s", limit, s.w.unfinished())
			return
		}
		select {
		case <-s.h.done:
		case <-time.After(50 * time.Millisecond):
		}
	}
}

// repairRest brings to an end what a kill has interrupted. What was owed is promised now; but for what nobody has seen parked: the refusal may still
// be on its way to the flow, or may have been repaired before the kill. The end of the sweep looks for it.
func (s *sweep) repairRest() {
	s.repair(30*time.Second, true)
	for delivery, r := range s.repairs {
		if r.seen && s.h.alive() {
			s.w.ledger.promise(r.entity, r.owed)
			delete(s.repairs, delivery)
		}
	}
}

// resend has an object of the polled system sent again, whether its poll has come first or not.
func (s *sweep) resend(int) {
	s.done++
	d := thing{No: fmt.Sprintf("RS%d", s.done), Seq: 1, Text: "sent again"}
	s.w.ledger.try("product", []thing{d})
	id, err := s.w.targets["beta"].person(s.Context(), "product", "", map[string]any{"no": d.No, "seq": d.Seq, "text": d.Text})
	if err != nil {
		s.Fatal(err)
	}
	s.w.ledger.promise("product", []thing{d})
	s.wish = []string{"resend", "product", id, "--id", d.No, "--note", "a test"}
	s.h.command(s.wish...)
}

// resent asks for the same again, as whoever had no answer does: it is stored, and nothing more is.
func (s *sweep) resent() {
	if out, code := s.h.command(s.wish...); code != 0 || !strings.Contains(out, "was asked for before") {
		s.Errorf("the same resend exits %d: %s", code, out)
	}
}

// sendAll has everything of one kind sent again. One that was broken off before is gone on with as soon as the hub is there, and meets the point by itself.
func (s *sweep) sendAll(int) {
	s.h.command("resend", "product", "--all", "--detach", "--note", "a test")
}

// pause asks for a flow to be paused; resume lets it go on.
func (s *sweep) pause(int) { s.h.command("pause", s.w.p.flow("customers-to-beta")) }
func (s *sweep) resume() {
	if out, code := s.h.command("resume", s.w.p.flow("customers-to-beta")); code != 0 {
		s.Errorf("resume exits %d: %s", code, out)
	}
}

// replayRefused lets the target refuse some messages and then has them replayed, with those that queue behind them.
func (s *sweep) replayRefused(n int) {
	s.done++
	s.w.targets["alpha"].be(wicked{Refuse: "refuse me"})
	for i := range n {
		things := []thing{{No: fmt.Sprintf("D%d-%d", s.done, i), Seq: 1, Text: "refuse me"}, {No: fmt.Sprintf("D%d-%d", s.done, i), Seq: 2, Text: "behind it"}}
		s.w.senders.deliver(load{Entity: "customer", Hubs: s.w.hooks, Client: client}, things)
		if !s.h.alive() {
			break // killed by what waits for customers, which is drained as well
		}
	}
	s.replay(func(parked int) bool { return parked >= n })
}

// replayRest replays what is left.
func (s *sweep) replayRest() { s.replay(func(int) bool { return true }) }

// replay waits until enough is parked and replays it, until nothing is left or the hub dies.
func (s *sweep) replay(enough func(parked int) bool) {
	deadline := time.Now().Add(time.Minute)
	flow, began := s.w.p.flow("customers-to-alpha"), false
	for s.h.alive() {
		parked := s.h.queued(flow, "")
		if !began && enough(len(parked)) {
			began = true
			s.w.targets["alpha"].be(wicked{})
		}
		if began {
			args := []string{"parked", "replay", "--note", "a test"}
			for _, q := range parked {
				if q.Mark == "" && !q.Follower {
					args = append(args, fmt.Sprint(q.ID))
				}
			}
			if len(args) > 4 {
				s.h.command(args...)
			}
			if len(parked) == 0 && s.h.ready() {
				return
			}
		}
		if time.Now().After(deadline) {
			s.Errorf("what was refused is not replayed\n%s", s.w.unfinished())
			return
		}
		select {
		case <-s.h.done:
		case <-time.After(50 * time.Millisecond):
		}
	}
	s.w.targets["alpha"].be(wicked{})
}
