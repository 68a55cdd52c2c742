package soak

import (
	"math/rand/v2"
	"time"
)

var killFaults = []fault{
	{Name: "kill -9 at a random point", Setups: both, Goal: 200, Share: 3, Run: killAtRandom},
}

func killAtRandom(b *budget) {
	w := newWorld(b.T, b.setup)
	h := w.hub()
	h.start()
	end := w.background(load{Rate: 600})
	orders := w.background(load{Entity: "order", Rate: 100, Customer: func(no string) string { return "C" + no[1:] }})
	for b.more(4) {
		w.delivered(int64(50+rand.IntN(400)), time.Minute)
		time.Sleep(time.Duration(rand.IntN(200)) * time.Millisecond) // any point of the work will do
		h.kill()
		took := h.start()
		b.within("getting ready after kill -9", took, 10*time.Second)
		b.happened(took)
	}
	end()
	orders()
	w.quiet(2 * time.Minute)
	b.judge(w, rules{})
	if code := h.stop(); code != 0 {
		b.Errorf("an orderly stop exits %d", code)
	}
}
