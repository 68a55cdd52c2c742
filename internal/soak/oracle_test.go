package soak

import (
	"fmt"
	"slices"
	"strconv"

	"github.com/waybill-hub/waybill/internal/api"
)

// verdict is what the checker found in one world.
type verdict struct {
	Messages    int64 // that the hub gave a fate, over all flows
	Lost        int64 // promised versions that no target applied and the hub does not name as skipped, parked, waiting or discarded
	Doubled     int64 // objects beyond one per external id
	Reordered   int64 // versions that a target applied after a newer one of the same object
	Unaccounted int64 // what the hub's equation leaves over, and where it disagrees with the one outside
	Named       int64 // promised versions that were not applied, each named by the hub with its reason
}

// rules change what the checker expects.
type rules struct {
	// Excused says that the hub need not name why a version was not applied: a newer one had been applied before.
	// By default a stale or duplicate one must be named by a skip.
	Targets map[string][]string // entities that each target takes; default: alpha customers and orders, beta customers
}

// check compares, after quiet, what the senders were promised with what the targets hold and have logged, and both with the
// hub's own account. Everything wrong fails the test.
func (w *world) check(r rules) verdict {
	w.t.Helper()
	if r.Targets == nil {
		r.Targets = map[string][]string{"alpha": {"customer", "order"}, "beta": {"customer"}}
	}
	st := w.status()
	if st == nil {
		w.t.Fatal("no hub answers")
	}
	var v verdict
	v.Messages = st.Totals.Accepted
	n := &st.Totals
	if got := n.Delivered + n.Skipped + n.Parked + n.Waiting + n.Discarded + n.InFlight; got != n.Accepted || n.InFlight != 0 {
		w.complain(&v.Unaccounted, "the hub's equation: accepted %d, fates %d, in flight %d", n.Accepted, got, n.InFlight)
	}
	if n.Unaccounted != 0 || n.Duplicates != 0 {
		w.complain(&v.Unaccounted, "the hub says: unaccounted %d, duplicates %d", n.Unaccounted, n.Duplicates)
	}
	w.ledger.mu.Lock()
	defer w.ledger.mu.Unlock()
	for _, name := range sortedNames(r.Targets) {
		w.checkTarget(&v, st, name, r.Targets[name])
	}
	w.checkIntake(&v, st)
	return v
}

// complain counts what is wrong and says the first twenty.
func (w *world) complain(count *int64, format string, args ...any) {
	w.t.Helper()
	if *count++; *count <= 20 {
		w.t.Errorf(format, args...)
	}
}

type objectKey struct{ entity, no string }

func (w *world) checkTarget(v *verdict, st *api.Status, name string, entities []string) {
	w.t.Helper()
	g := w.targets[name]
	applied := map[objectKey][]int64{}
	ids := map[objectKey]map[string]bool{}
	for _, c := range g.calls() {
		if !c.Applied || c.By != "" {
			continue
		}
		k := objectKey{c.Entity, c.No}
		applied[k] = append(applied[k], c.Seq)
		if ids[k] == nil {
			ids[k] = map[string]bool{}
		}
		ids[k][c.ID] = true
	}
	held := g.objects()
	for _, entity := range entities {
		distinct := int64(0)
		var missing []objectKey
		unnamed := map[objectKey][]int64{}
		last := map[objectKey]int64{}
		for no, promised := range w.ledger.promised[entity] {
			k := objectKey{entity, no}
			seen := map[int64]bool{}
			newest := int64(-1)
			for _, seq := range applied[k] {
				if seq < newest {
					w.complain(&v.Reordered, "%s: %s %s: version %d was applied after %d", name, entity, no, seq, newest)
				}
				newest = max(newest, seq)
				if !seen[seq] {
					distinct++
				}
				seen[seq] = true
				if seq > w.ledger.tried[entity][no] {
					w.complain(&v.Unaccounted, "%s: %s %s: version %d was applied and never sent", name, entity, no, seq)
				}
			}
			if len(ids[k]) > 1 {
				w.complain(&v.Doubled, "%s: %s %s is there %d times", name, entity, no, len(ids[k]))
			}
			for _, seq := range promised {
				if !seen[seq] {
					unnamed[k] = append(unnamed[k], seq)
				}
			}
			if len(unnamed[k]) > 0 {
				missing = append(missing, k)
				last[k] = newest
			}
		}
		for k := range applied {
			if k.entity == entity && len(w.ledger.promised[entity][k.no]) == 0 && w.ledger.tried[entity][k.no] == 0 {
				w.complain(&v.Unaccounted, "%s: %s %q was applied and never sent", name, entity, k.no)
			}
		}
		for _, o := range held[entity] {
			if last := applied[objectKey{entity, o.No}]; len(last) > 0 && o.Seq != last[len(last)-1] {
				w.complain(&v.Unaccounted, "%s: %s %s holds version %d, and the log's last is %d", name, entity, o.No, o.Seq, last[len(last)-1])
			}
		}
		w.checkMissing(v, name, entity, missing, unnamed, last)
		w.checkFlow(v, st, w.p.flow(entity+"s-to-"+name), distinct)
	}
}

// checkMissing asks the hub why promised versions were not applied: each must be named as parked, waiting or discarded, or
// as skipped with its reason. A version is stale only where a newer one was applied (last is the newest of each key), or is named for
// another reason.
func (w *world) checkMissing(v *verdict, name, entity string, missing []objectKey, versions map[objectKey][]int64, last map[objectKey]int64) {
	w.t.Helper()
	slices.SortFunc(missing, func(a, b objectKey) int {
		if a.no < b.no {
			return -1
		}
		return 1
	})
	for _, k := range missing {
		var m api.Message
		w.ask("/api/v1/messages?key="+k.no, &m)
		named := map[int64]string{}
		for _, q := range m.Queued {
			if q.Entity != entity {
				continue
			}
			// The document says its version itself: a follower's is not computed before its turn.
			var whole struct {
				Data struct {
					Seq int64 `json:"seq"`
				} `json:"data"`
			}
			if w.ask(fmt.Sprintf("/api/v1/parked/%d", q.ID), &whole) {
				named[whole.Data.Seq] = q.State + ": " + q.Reason
			}
		}
		for _, j := range m.Journal {
			if j.Entity == entity && (j.Outcome == "skipped" || j.Outcome == "discarded") && j.Reason != "" {
				named[versionNumber(j.Version)] = j.Outcome + ": " + j.Reason
			}
		}
		newest := last[k]
		for seq, why := range named {
			if why != staleSkip {
				newest = max(newest, seq)
			}
		}
		for _, seq := range versions[k] {
			if named[seq] == staleSkip && seq > newest {
				w.complain(&v.Lost, "%s: %s %s: version %d is said to be stale, and no newer one was applied", name, entity, k.no, seq)
			} else if named[seq] == "" {
				w.complain(&v.Lost, "%s: %s %s: version %d was promised, and is neither applied nor named", name, entity, k.no, seq)
			} else {
				v.Named++
			}
		}
	}
}

// ask gets a document from any hub that has it.
func (w *world) ask(path string, into any) bool {
	for _, h := range w.hubs {
		if h.alive() && h.get(path, into) == nil {
			return true
		}
	}
	return false
}

const staleSkip = "skipped: stale"

func versionNumber(s string) int64 {
	n, err := strconv.ParseInt(s, 10, 64)
	if err != nil {
		return -1
	}
	return n
}

// checkFlow compares what the hub says it delivered with what the target has applied. An answer that was lost may make a
// version be applied again under the same external id; it is one delivery.
func (w *world) checkFlow(v *verdict, st *api.Status, flow string, distinct int64) {
	w.t.Helper()
	for i := range st.Flows {
		f := &st.Flows[i]
		if f.Name != flow {
			continue
		}
		if f.Unaccounted != 0 || f.InFlight != 0 {
			w.complain(&v.Unaccounted, "%s: unaccounted %d, in flight %d", flow, f.Unaccounted, f.InFlight)
		}
		if f.Delivered < distinct {
			w.complain(&v.Unaccounted, "%s: the hub says %d delivered, the target has applied %d versions", flow, f.Delivered, distinct)
		}
		return
	}
	w.t.Errorf("the status has no flow %s", flow)
}

// checkIntake: every promised document was accepted by its intake flow, once.
func (w *world) checkIntake(v *verdict, st *api.Status) {
	w.t.Helper()
	for entity, all := range w.ledger.promised {
		promised := int64(0)
		for _, seqs := range all {
			promised += int64(len(seqs))
		}
		for i := range st.Flows {
			f := &st.Flows[i]
			if f.Name != w.p.flow(entity+"s") {
				continue
			}
			if once(f) != promised && f.Accepted < promised {
				w.complain(&v.Unaccounted, "%s: %d documents were promised, the hub has accepted %d (skipped %v)", f.Name, promised, f.Accepted, f.SkippedBy)
			}
		}
	}
}

// once is how many documents an intake flow has accepted. Records that the relay published twice around a crash are skipped as duplicates.
func once(f *api.Flow) int64 { return f.Accepted - f.SkippedBy["duplicate"] - f.SkippedBy["stale"] }

// hasRead reports whether an intake flow has read so many documents. While something is in flight it cannot be told: what is on the topic and not yet
// marked in the inbox is counted at both places.
func hasRead(f *api.Flow, documents int) bool {
	return f != nil && f.InFlight == 0 && once(f) >= int64(documents)
}

func (v verdict) String() string {
	return fmt.Sprintf("messages %d, lost %d, doubled %d, reordered %d, unaccounted %d, named %d", v.Messages, v.Lost, v.Doubled, v.Reordered, v.Unaccounted, v.Named)
}
