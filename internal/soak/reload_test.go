package soak

import (
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"time"
)

// versions of the project's files: what reloads change is the mappings, some flows, and a system.
type versions struct{ mapping, flows, config string }

// version writes the project's files in another version; the bad one has a mistake.
func (w *world) version(h *hub, good versions, n int) {
	w.t.Helper()
	v := good
	if n%2 == 1 {
		v.mapping = strings.ReplaceAll(v.mapping, "text?: source.text", "text?: upper(source.text)")
		v.flows = strings.ReplaceAll(v.flows, "backoff: 50ms..2s", "backoff: 60ms..1s")
		v.config = strings.ReplaceAll(v.config, "limit: {concurrency: 16}", "limit: {concurrency: 12}")
	}
	w.write(h, v)
}

func (w *world) write(h *hub, v versions) {
	w.t.Helper()
	w.p.write(w.t, "mappings/soak.yaml", v.mapping)
	w.p.write(w.t, "flows/soak.yaml", v.flows)
	w.p.write(w.t, "configs/"+filepath.Base(h.file), v.config)
}

func (w *world) versions(h *hub) versions {
	w.t.Helper()
	read := func(file string) string {
		b, err := os.ReadFile(file)
		if err != nil {
			w.t.Fatal(err)
		}
		return string(b)
	}
	return versions{read(filepath.Join(w.p.dir, "mappings", "soak.yaml")), read(filepath.Join(w.p.dir, "flows", "soak.yaml")), read(h.file)}
}

// reloadInFlight changes over between two versions of mappings, flows and systems under load; now and then a bad version comes in
// between, which must change nothing, and a kill -9 in the middle of a reload.
func reloadInFlight(b *budget) {
	w, h := newWide(b.T, b.setup)
	good := w.versions(h)
	h.start()
	end := w.feed(float64(b.size(150, 1000)), b.size(50, 2000))
	for n := 1; b.more(4); n++ {
		time.Sleep(rand.N(300 * time.Millisecond)) // any point of the work will do
		if n%2 == 0 {
			bad := good
			bad.mapping = strings.ReplaceAll(good.mapping, "text?: source.text", "text?: uper(source.text)")
			w.write(h, bad)
			if out, code := h.command("reload"); code == 0 || !strings.Contains(out, "upper") {
				b.Errorf("a bad version: reload exits %d: %s", code, out)
			}
			if !h.ready() {
				b.Error("a bad version has made the hub unready")
			}
		}
		w.version(h, good, n)
		began := time.Now()
		if n%4 == 3 {
			_ = h.cmd.Process.Signal(syscall.SIGHUP)
			time.Sleep(rand.N(300 * time.Millisecond)) // any point of the reload
			h.kill()
			w.bury()
			b.happened(h.start())
			continue
		}
		if out, code := h.command("reload"); code != 0 {
			b.Errorf("reload exits %d: %s", code, out)
		}
		b.happened(time.Since(began))
		if n%4 == 1 { // the new version is at work
			w.delivered(20, time.Minute)
			b.shows(w, n)
		}
	}
	end()
	w.quietWide(5 * time.Minute)
	b.judgeWide(w)
	b.notPoisoned(w, h)
	if code := h.stop(); code != 0 {
		b.Errorf("an orderly stop exits %d", code)
	}
}

// shows waits until a target holds what only version n writes.
func (b *budget) shows(w *world, n int) {
	b.Helper()
	deadline := time.Now().Add(time.Minute)
	for {
		for _, o := range w.targets["beta"].objects()["customer"] {
			if t := text(o.Doc["text"]); t != "" && (t == strings.ToUpper(t)) == (n%2 == 1) {
				return
			}
		}
		if time.Now().After(deadline) {
			b.Errorf("nothing at the target is of version %d", n%2)
			return
		}
		time.Sleep(50 * time.Millisecond)
	}
}

// reload changes over to the other version of the files.
func (s *sweep) reload(int) {
	s.done++
	if s.good == (versions{}) {
		s.good = s.w.versions(s.h)
	}
	s.w.version(s.h, s.good, s.done)
	_ = s.h.cmd.Process.Signal(syscall.SIGHUP)
}
