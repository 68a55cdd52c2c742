package soak

import (
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"time"
)

// tornTails leaves behind a kill what a power cut can: the ends of writes that were under way and not synced. Of the broker these are
// a part of a record batch, an entry of its groups' log, an index that is behind its segment, and files that were written beside
// their place to be renamed; of SQLite a frame behind the end of the write-ahead log, and no index of it. What was synced stands, and
// the hub has promised nothing on the rest. Then it runs under load and is killed once more.
func tornTails(b *budget) {
	w, h := newWide(b.T, b.setup)
	h.start()
	end := w.feed(float64(b.size(150, 1000)), b.size(50, 2000))
	cuts := 0
	for b.more(2) {
		w.delivered(int64(20+rand.IntN(200)), time.Minute)
		h.kill()
		for round := range 2 { // the second crash comes while the first one's work is taken up again
			b.tearAll(w)
			took := h.start()
			b.within("getting ready after torn tails", took, 10*time.Second)
			if round == 0 {
				time.Sleep(rand.N(time.Second)) // any point of the work will do
				h.kill()
			} else {
				b.happened(took)
			}
		}
		cuts += strings.Count(h.text(), "cutting off the torn end")
	}
	if cuts == 0 {
		b.Error("no torn end was cut off: nothing was torn")
	}
	end()
	w.quietWide(5 * time.Minute)
	b.judgeWide(w)
	b.notPoisoned(w, h)
	if code := h.stop(); code != 0 {
		b.Errorf("an orderly stop exits %d", code)
	}
}

// tearAll tears files at random.
func (b *budget) tearAll(w *world) {
	b.Helper()
	broker := filepath.Join(w.p.DataDir, "broker")
	segments := b.glob(filepath.Join(broker, "partitions", "*", "*.dat"))
	rand.Shuffle(len(segments), func(i, j int) { segments[i], segments[j] = segments[j], segments[i] })
	last := map[string]string{}
	for _, s := range segments { // only the last segment of a partition is written
		if dir := filepath.Dir(s); len(s) > len(last[dir]) || len(s) == len(last[dir]) && s > last[dir] {
			last[dir] = s
		}
	}
	n := 0
	for _, s := range last {
		if n++; n > 12 {
			break
		}
		appendTo(b.T, s, b.torn(s))
	}
	appendTo(b.T, filepath.Join(broker, "groups.log"), b.torn(filepath.Join(broker, "groups.log")))
	for i, f := range b.glob(filepath.Join(broker, "partitions", "*", "*.idx")) {
		if i%3 == 0 { // it is not synced with the segment
			b.truncate(f, rand.Int64N(40))
		}
	}
	if err := os.WriteFile(filepath.Join(broker, "topics.json.tmp"), []byte(`{"torn`), 0o600); err != nil {
		b.Fatal(err)
	}
	wal := filepath.Join(w.p.DataDir, "waybill.db-wal")
	if info, err := os.Stat(wal); err == nil && info.Size() > 0 {
		appendTo(b.T, wal, b.torn(wal))
	}
	_ = os.Remove(filepath.Join(w.p.DataDir, "waybill.db-shm")) // it is never synced, and made anew
}

func (b *budget) glob(pattern string) []string {
	b.Helper()
	files, err := filepath.Glob(pattern)
	if err != nil {
		b.Fatal(err)
	}
	return files
}

// torn is what an interrupted write may leave at the end of a file: a part of what such writes look like, zeros where the file was
// made longer before its data came, or what had been on the disk there before.
func (b *budget) torn(file string) []byte {
	text, err := os.ReadFile(file)
	if err != nil {
		b.Fatal(err)
	}
	switch n := 1 + rand.IntN(4000); {
	case len(text) > 100 && rand.IntN(2) == 0:
		return text[:1+rand.IntN(min(len(text)-1, 90))] // the beginning of an entry
	case rand.IntN(2) == 0:
		return make([]byte, n)
	default:
		junk := make([]byte, 1+rand.IntN(60))
		for i := range junk {
			junk[i] = byte(rand.Uint32())
		}
		return junk
	}
}

// truncate cuts the last bytes off a file.
func (b *budget) truncate(file string, n int64) {
	b.Helper()
	info, err := os.Stat(file)
	if err == nil {
		err = os.Truncate(file, max(0, info.Size()-n))
	}
	if err != nil {
		b.Fatal(err)
	}
}
