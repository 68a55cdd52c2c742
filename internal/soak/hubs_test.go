package soak

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"net"
	"net/http"
	"sync"
	"syscall"
	"time"
)

var hubsFaults = []fault{
	{Name: "three hubs share, hand over and are killed", Setups: []setup{onKafka}, Goal: 10, Every: true, Run: shareAndHandOver},
	{Name: "rolling restart of three hubs", Setups: []setup{onKafka}, Goal: 20, Run: rollingRestart},
	{Name: "rebalance every 5 s with three hubs", Setups: []setup{onKafka}, Goal: 60, Share: 2, Run: rebalance},
	{Name: "people at any of three hubs", Setups: []setup{onKafka}, Goal: 20, Share: 0.5, Run: peopleAnywhere},
	{Name: "a hub frozen for longer than its session", Setups: []setup{onKafka}, Goal: 20, Run: frozenHub},
	{Name: "a schedule of three hubs runs once", Setups: []setup{onKafka}, Goal: 20, Share: 0.5, Run: scheduledOnce},
}

// shareAndHandOver: all hubs work at the same flows, one of them polls and reads files, and a delivery that comes to all of them at
// once is taken once. Then the one that polls is stopped in order: another polls at once. Then it is killed: another polls when its lease is over.
func shareAndHandOver(b *budget) {
	f := newFleet(b, 3)
	since := time.Now()
	fed := f.feed()
	end := f.background(load{Rate: float64(b.size(100, 250)), Batch: 10, Keys: b.size(50, 500)})
	f.until("the first poll", time.Minute, func() bool { return f.poller() != nil })
	handOvers, sent := 0, 0
	for b.more(1) {
		f.everyone("customers-to-alpha", time.Minute)
		f.everyone("customers", time.Minute)
		for range b.size(10, 100) {
			f.everywhere(sent)
			sent++
		}
		h := f.poller()
		began := time.Now()
		h.signal(syscall.SIGTERM)
		stopped := f.taken(h, began, time.Minute)
		if code := h.stop(); code != 0 {
			b.Errorf("an orderly stop exits %d", code)
		}
		h.start()
		h = f.poller()
		began = time.Now()
		h.kill()
		killed := f.taken(h, began, takeOver+30*time.Second)
		h.start()
		handOvers += 2
		// Leases are given back when webhooks and polls have ended, and asked for every second.
		b.within("taking over from a hub that stopped", stopped, leave+5*time.Second)
		b.within("taking over from a hub that was killed", killed, takeOver+5*time.Second)
		b.happened(max(stopped, killed))
		b.Logf("polled again %s after a stop began, %s after a kill", stopped.Round(time.Millisecond), killed.Round(time.Millisecond))
	}
	end()
	fed()
	f.quiet(5 * time.Minute)
	b.judge(f.world, fleetRules)
	f.alone(handOvers, since)
}

// everywhere sends one delivery to every hub at once. One of them takes it, the others say that they know it.
func (f *fleet) everywhere(n int) {
	batch := []thing{{No: fmt.Sprintf("E%05d", n), Seq: 1, Text: "to all hubs at once"}}
	body, _ := json.Marshal(batch)
	f.ledger.try("customer", batch)
	said := make([]string, len(f.hubs))
	var wg sync.WaitGroup
	for i, h := range f.hubs {
		wg.Go(func() {
			var got struct{ Status string }
			status, answer, err := post(f.b.Context(), client, h.hooks, "customer", "everywhere-"+batch[0].No, body)
			if err != nil || status != http.StatusAccepted || json.Unmarshal([]byte(answer), &got) != nil {
				f.b.Errorf("a delivery to all hubs: %s answers %d %s %v", h.name, status, answer, err)
			}
			said[i] = got.Status
		})
	}
	wg.Wait()
	f.ledger.promise("customer", batch)
	count := map[string]int{}
	for _, s := range said {
		count[s]++
	}
	if count["accepted"] != 1 || count["duplicate"] != len(f.hubs)-1 {
		f.b.Errorf("a delivery to all hubs at once: %v", count)
	}
}

// rollingRestart stops and starts one hub after the other, under load. A hub that stops says first that it is not ready, still takes
// webhooks for a while, brings what it has taken to an end, and only then refuses. Senders try again once, and see no error.
func rollingRestart(b *budget) {
	f := newFleet(b, 3)
	fed := f.feed()
	end := f.background(load{Once: true, Workers: b.size(4, 8), Rate: float64(b.size(100, 250)), Batch: b.size(5, 10), Keys: b.size(50, 200)})
	n := 0
	for b.more(1) {
		for _, h := range f.hubs {
			f.delivered(50, time.Minute)
			h.signal(syscall.SIGTERM)
			h.await("not ready", 5*time.Second, func() bool { return !h.ready() })
			// The load balancer knows now; a sender that does not is still served.
			batch := []thing{{No: fmt.Sprintf("R%05d", n), Seq: 1}}
			n++
			body, _ := json.Marshal(batch)
			f.ledger.try("customer", batch)
			if status, answer, err := post(b.Context(), client, h.hooks, "customer", "rolling-"+batch[0].No, body); err != nil || status != http.StatusAccepted {
				b.Errorf("a hub that is about to stop: %d %s %v", status, answer, err)
			} else {
				f.ledger.promise("customer", batch)
			}
			began := time.Now()
			if code := h.stop(); code != 0 {
				b.Errorf("an orderly stop exits %d; the log ends with\n%s", code, tail(h.text(), 2000))
			}
			b.within("an orderly stop", time.Since(began), 45*time.Second)
			if c, err := net.DialTimeout("tcp", h.hooks, time.Second); err == nil {
				_ = c.Close()
				b.Error("a hub that has stopped takes connections")
			}
			took := h.start()
			b.within("getting ready", took, 10*time.Second)
			b.happened(took)
		}
	}
	end()
	fed()
	if n := f.senders.failed.Load(); n > 0 {
		b.Errorf("%d requests failed twice", n)
	}
	if f.senders.errors.Load() == 0 {
		b.Error("no request was sent a second time: the restarts came to nobody's notice")
	}
	b.Logf("%d requests were sent a second time", f.senders.errors.Load())
	f.quiet(5 * time.Minute)
	b.judge(f.world, fleetRules)
	f.b.notPoisoned(f.world, f.hubs[0])
}

// rebalance stops, kills and starts hubs in turn, so that partitions go from hub to hub all the time.
func rebalance(b *budget) {
	f := newFleet(b, 3)
	fed := f.feed()
	end := f.background(load{Rate: float64(b.size(100, 200)), Batch: 10, Keys: b.size(50, 500)})
	orders := f.background(load{Entity: "order", Rate: float64(b.size(20, 50)), Keys: b.size(50, 500), Customer: customerOf})
	pace := time.Duration(b.size(1500, 5000)) * time.Millisecond
	for i := 0; b.more(4); i++ {
		began := time.Now()
		h := f.hubs[i%len(f.hubs)]
		switch i % 4 {
		case 0, 2:
			if code := h.stop(); code != 0 {
				b.Errorf("an orderly stop exits %d; the log ends with\n%s", code, tail(h.text(), 2000))
			}
		case 1:
			h.kill()
		case 3: // frozen for less than its session
			h.signal(syscall.SIGSTOP)
			time.Sleep(rand.N(takeOver / 3)) // any time will do
			h.signal(syscall.SIGCONT)
		}
		if !h.alive() {
			took := h.start()
			b.within("getting ready", took, 10*time.Second)
			b.happened(took)
		} else {
			b.happened(0)
		}
		time.Sleep(pace - min(pace, time.Since(began))) // the beat of the rebalances
	}
	end()
	orders()
	fed()
	b.Logf("drained %s behind the last rebalance", f.quiet(5*time.Minute)) // senders have gone on all the while
	b.judge(f.world, fleetRules)
	moved := 0
	for _, h := range f.hubs {
		moved += int(h.worked("customers-to-alpha"))
	}
	if moved == 0 {
		b.Error("nobody has worked since the last start")
	}
}

// frozenHub stops a hub's process for longer than its session and leases, and lets it go on. Others have taken over meanwhile: what it was
// about to do, it must not do any more.
func frozenHub(b *budget) {
	f := newFleet(b, 3)
	fed := f.feed()
	// Few keys, so that the others have long written newer versions of whatever the frozen hub had in its hands.
	end := f.background(load{Rate: float64(b.size(100, 200)), Workers: 8, Keys: 5, Batch: 5})
	f.until("the first poll", time.Minute, func() bool { return f.poller() != nil })
	for _, g := range f.targets {
		g.be(wicked{Slow: 1, SlowFor: 20}) // calls are under way at any time
	}
	for b.more(1) {
		f.everyone("customers-to-alpha", time.Minute)
		h := f.poller()
		f.offer(h, false)
		time.Sleep(rand.N(100 * time.Millisecond)) // any point of the work will do
		began := time.Now()
		h.signal(syscall.SIGSTOP)
		took := f.taken(h, began, takeOver+30*time.Second)
		// Its partitions have gone over as well when the others deliver again.
		f.until("the others work", time.Minute, func() bool { return time.Since(began) > takeOver+2*time.Second })
		f.deliveredBy(h, 200)
		thawed := time.Now()
		newest := f.newest()
		h.signal(syscall.SIGCONT)
		f.until("the hub works again", time.Minute, func() bool { return h.ready() })
		f.everyone("customers-to-alpha", time.Minute)
		f.offer(h, true)
		f.noZombie(h, thawed, newest)
		b.happened(took)
	}
	end()
	fed()
	f.quiet(5 * time.Minute)
	b.judge(f.world, fleetRules)
}

// deliveredBy waits until hubs other than h have made n writes.
func (f *fleet) deliveredBy(h *hub, n float64) {
	f.b.Helper()
	others := func() (sum float64) {
		for _, o := range f.hubs {
			if o != h {
				sum += o.worked("customers-to-alpha")
			}
		}
		return sum
	}
	before := others()
	f.until("others deliver", time.Minute, func() bool { return others() >= before+n })
}

// newest is the newest version of each object that a target has applied, by target.
func (f *fleet) newest() map[string]map[objectKey]int64 {
	out := map[string]map[objectKey]int64{}
	for name, g := range f.targets {
		out[name] = map[objectKey]int64{}
		for _, c := range g.calls() {
			if k := (objectKey{c.Entity, c.No}); c.Applied {
				out[name][k] = max(out[name][k], c.Seq)
			}
		}
	}
	return out
}

// noZombie: after it could go on, the hub changed nothing at a target that was newer already. A request whose last look
// at the lease lies before the freeze and whose bytes lie behind it cannot be called back by the hub; where the target
// refused it, nothing came of it.
func (f *fleet) noZombie(h *hub, thawed time.Time, newest map[string]map[objectKey]int64) {
	f.b.Helper()
	after := 0
	for name, g := range f.targets {
		for _, c := range g.calls() {
			if c.Hub != h.name || c.At <= thawed.UnixNano() {
				continue
			}
			after++
			if now := newest[name][objectKey{c.Entity, c.No}]; c.Applied && c.Seq < now {
				f.b.Errorf("%s: %s came back from its freeze and wrote version %d of %s %s, which was at %d (answered %d)", name, h.name, c.Seq, c.Entity, c.No, now, c.Status)
			}
		}
	}
	if after == 0 {
		f.b.Error("the hub did nothing after its freeze")
	}
}

// peopleAnywhere: what a person asks of one hub, whichever it is, reaches the one that it concerns.
func peopleAnywhere(b *budget) {
	f := newFleet(b, 3)
	alpha, flow := f.targets["alpha"], f.p.flow("customers-to-alpha")
	say := func(h *hub, args ...string) {
		b.Helper()
		if out, code := h.command(args...); code != 0 {
			b.Fatalf("waybill %v at %s exits %d: %s", args, h.name, code, out)
		}
	}
	end := f.background(load{Rate: 200, Keys: 50})
	written := func() int64 {
		return count(alpha.calls(), func(c *call) bool { return c.Entity == "customer" && c.Applied })
	}
	for b.more(1) {
		f.everyone("customers-to-alpha", time.Minute)
		first, second, third := f.hubs[b.reps%3], f.hubs[(b.reps+1)%3], f.hubs[(b.reps+2)%3]
		began := time.Now()
		say(first, "pause", flow)
		// Every hub looks for it within a second; what it had in its hands then is brought to its end.
		f.until("a pause at one hub stops all", time.Minute, func() bool {
			before := written()
			time.Sleep(700 * time.Millisecond) // in which a hub that goes on would have written
			return written() == before
		})
		paused := time.Since(began)
		say(second, "resume", flow)
		f.everyone("customers-to-alpha", time.Minute)

		// A parked message belongs to whoever owns its partition: it is replayed through each hub in turn.
		alpha.be(wicked{Refuse: "wrong"})
		for i, h := range []*hub{first, second, third} {
			no := fmt.Sprintf("W%d-%d", b.reps, i)
			f.senders.deliver(load{Entity: "customer", Hubs: f.hooks, Client: client}, []thing{{No: no, Seq: 1, Text: "wrong"}})
			var id int64
			f.until(no+" is parked", 3*time.Minute, func() bool {
				for _, q := range h.queued(flow, "") {
					if q.Key == no {
						id = q.ID
					}
				}
				return id != 0
			})
			alpha.be(wicked{})
			say(h, "parked", "replay", fmt.Sprint(id))
			f.until(no+" is delivered", 3*time.Minute, func() bool {
				return count(alpha.calls(), func(c *call) bool { return c.No == no && c.Applied }) == 1
			})
			alpha.be(wicked{Refuse: "wrong"})
		}
		alpha.be(wicked{})
		b.happened(paused)
	}
	end()
	f.quiet(5 * time.Minute)
	b.judge(f.world, fleetRules)
}

const lineFlow = `---
flow: %P%invoices
entity: invoice
from: {system: pool, poll: {schedule: "* * * * *", timezone: Europe/Berlin}}
accept: soak/thing.v1
key: source.no
map: soak-customer
to: {topic: %P%canonical.invoice}
`

// scheduledOnce: a source that a cron line reads each minute is read by one of three hubs each time. Their clocks are set from minute to
// minute. When the one that reads is stopped or killed shortly before the next time, another reads it then, or as soon as it has taken over:
// also when the first had begun to read, for what it had not committed is read again.
func scheduledOnce(b *budget) {
	var clock *wallClock
	f := newFleet(b, 3, func(p *project) {
		p.Extra += lineFlow
		clock = newClock(b.T, p)
	})
	fed := f.feed()
	end := f.background(load{Rate: 100, Keys: 50})
	type read struct {
		hub        string
		at, minute time.Time
	}
	reads := func() (out []read) {
		f.pool.mu.Lock()
		defer f.pool.mu.Unlock()
		for _, p := range f.pool.lines {
			out = append(out, read{p.hub, clock.shown(p.from), clock.shown(p.from).Truncate(time.Minute)})
		}
		return out
	}
	f.until("the first read", time.Minute, func() bool { return len(reads()) > 0 })
	over := func() bool {
		all := reads()
		return !f.readUntil("invoices").Before(all[len(all)-1].at)
	}
	f.until("its end", time.Minute, over)
	time.Sleep(overSoon)
	var lived []time.Time
	ended := map[time.Time]string{} // who was stopped or killed shortly before
	// minute sets all clocks to just before the next minute, ends a hub, and gives who read then.
	minute := func(limit time.Duration, ends string, end func()) (who string) {
		b.Helper()
		at := clock.shown(time.Now()).Truncate(time.Minute).Add(time.Minute)
		lived, ended[at] = append(lived, at), ends
		clock.set(at.Add(-2 * time.Second))
		end()
		f.until("the read of "+at.String(), limit, func() bool {
			all := reads()
			last := all[len(all)-1]
			who = last.hub
			return !last.minute.Before(at) && over()
		})
		time.Sleep(300 * time.Millisecond) // in which another hub would have read as well
		return who
	}
	for b.more(2) {
		var who string
		for range 3 {
			who = minute(30*time.Second, "", func() {})
		}
		var h *hub
		for _, o := range f.hubs {
			if o.name == who {
				h = o
			}
		}
		began := time.Now()
		if b.reps%2 == 0 {
			minute(takeOver+30*time.Second, who, h.kill)
		} else {
			minute(takeOver+30*time.Second, who, func() { h.signal(syscall.SIGTERM) })
			if code := h.stop(); code != 0 {
				b.Errorf("an orderly stop exits %d", code)
			}
		}
		b.happened(time.Since(began))
		h.start()
	}
	end()
	fed()
	f.quiet(5 * time.Minute)
	times := map[time.Time][]string{}
	for _, r := range reads() {
		times[r.minute] = append(times[r.minute], r.hub)
	}
	var twice []string
	again := 0
	for at, by := range times {
		if first := by[0]; len(by) > 1 && first == ended[at] {
			by = by[1:]
		}
		if len(by) > 1 {
			again += len(by) - 1
			twice = append(twice, fmt.Sprintf("%s was read %d times, by %v", at, len(by), by))
		}
	}
	if slow := f.slow("poll/" + f.p.flow("invoices")); again > slow {
		b.Errorf("%d times too often, with %d leases not kept: %v", again, slow, twice)
	}
	for _, at := range lived {
		if len(times[at]) == 0 {
			b.Errorf("%s was not read", at)
		}
	}
	b.judge(f.world, fleetRules)
}
