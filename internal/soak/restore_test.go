package soak

import (
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/waybill-hub/waybill/internal/api"
)

// way is how an operator copies the hub and puts the copy back.
type way struct {
	name  string
	setup setup
	// copy makes a copy of a hub that works; still says that it is stopped for it.
	still bool
	copy  func(d *drill)
	// back puts it back after the hub was killed.
	back func(d *drill)
	sign string
}

// drill is one restore drill. The target alpha can be asked for what it holds, beta cannot.
type drill struct {
	*testing.T
	w *world
	h *hub

	mu   sync.Mutex
	sent []thing // what was promised
}

// TestRestoreDrill copies a hub under load, lets it go on, kills it, puts the copy back and has the senders send again what was promised in between. Nothing
// is there twice, also where the target cannot be asked; nothing is lost that was sent again; and all that nobody can tell is parked by name. Nobody says to
// the hub that it was restored.
func TestRestoreDrill(t *testing.T) {
	if testing.Short() {
		t.Skip("-short leaves the drill out")
	}
	shortForms([]way{
		{name: "backup and restore", setup: embedded, copy: (*drill).backup, back: (*drill).restore, sign: "copy"},
		{name: "the folder copied by hand", setup: embedded, still: true, copy: (*drill).copyFolder, back: (*drill).replaceFolder, sign: "file"},
		{name: "the folder copied by hand over what is there", setup: embedded, still: true, copy: (*drill).copyFolder, back: (*drill).overFolder, sign: "folder"},
		{name: "the folder copied while the hub works", setup: embedded, copy: (*drill).copyFolder, back: (*drill).replaceFolder, sign: "file"},
		{name: "pg_dump and pg_restore", setup: onKafka, copy: (*drill).dump, back: (*drill).readDump, sign: "database"},
	}, func(way way) {
		t.Run(way.name+"/"+string(way.setup), func(t *testing.T) { (&drill{T: t}).run(way) })
	})
}

func (d *drill) run(way way) {
	d.w = newWorld(d.T, way.setup, func(p *project) {
		p.Blind, p.Timeout, p.Backups = map[string]bool{"beta": true}, "1s", filepath.Join(p.dir, "copies")
	})
	if way.setup == onKafka {
		d.w = newWorld(d.T, way.setup, func(p *project) { p.Blind, p.Timeout = map[string]bool{"beta": true}, "1s" })
	}
	d.h = d.w.hub()
	d.h.start()
	before := d.load("B", 400)
	d.w.delivered(200, time.Minute)
	if way.still {
		before()
		d.w.quiet(time.Minute)
		d.h.stop()
		way.copy(d)
		d.h.start()
	} else {
		way.copy(d)
		before()
	}
	end := d.load("A", 150)
	d.w.delivered(50, time.Minute) // counted while it comes: at its end all may be there
	end()
	d.h.kill()
	held, news := d.count("beta"), 0
	for no := range d.count("alpha") {
		if strings.HasPrefix(no, "A") {
			news++
		}
	}
	way.back(d)
	d.h.start()

	d.h.await("the restoration to be noticed", time.Minute, func() bool { return d.restored() != nil })
	first := d.restored()
	if !slices.Contains(first.Signs, way.sign) || first.AsOf == nil || !strings.Contains(first.Lost, "webhooks answered 202 between "+first.AsOf.Format(time.RFC3339)) {
		d.Errorf("noticed as %+v", first)
	}
	d.resend()
	asked := false
	d.h.await("the positions to be passed", 3*time.Minute, func() bool {
		// A folder that was copied at work may hold a store that is newer than the broker's logs beside it: then all stands still until an operator has looked.
		if !way.still && !asked && way.setup == embedded && slices.ContainsFunc(d.h.status().Flows, func(f api.Flow) bool { return f.State == api.StateAlarm }) {
			asked = true
			if out, code := d.h.command("recover", "--yes", "--note", "the copy was made at work", "--wait", "0s"); code > 1 { // 1: the records are still on their way
				d.Fatalf("recover exits %d: %s", code, out)
			}
		}
		return d.restored().State == "watching"
	})
	d.w.quiet(3 * time.Minute)
	r := d.restored()
	d.Logf("%s: %d looked up, %d of them there, %d parked, %d again", r.Why, r.LookedUp, r.Found, r.Parked, r.Again)
	// How many are looked up because of it depends on whether the positions are passed before or after they come: the rest is looked up because
	// everything is before it is created.
	if news == 0 || r.Parked == 0 {
		d.Errorf("%d were in alpha that the copy does not know, %d parked: the drill has tried nothing", news, r.Parked)
	}
	d.judge(held)
	d.repair()
}

// load sends documents of numbers that begin with a prefix; the function it gives waits until all are promised.
func (d *drill) load(prefix string, n int64) (wait func()) {
	promised := func(batch []thing) {
		d.mu.Lock()
		defer d.mu.Unlock()
		d.sent = append(d.sent, batch...)
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		d.w.senders.send(d.Context(), load{Prefix: prefix, Count: n, Keys: 30, Batch: 5, Rate: 150, Promised: promised})
	}()
	return func() { <-done }
}

// resend sends again what was promised, each version of an object in its order, as a person would from the sender's own list: also some of what the copy
// holds, for nobody knows the moment exactly.
func (d *drill) resend() {
	d.Helper()
	for i, doc := range d.sent {
		body, err := json.Marshal(doc)
		if err != nil {
			d.Fatal(err)
		}
		status, text, err := post(d.Context(), http.DefaultClient, d.h.hooks, "customer", fmt.Sprintf("again-%d", i), body)
		if err != nil || status != http.StatusAccepted {
			d.Fatalf("sent again: %d %s %v", status, text, err)
		}
	}
}

func (d *drill) restored() *api.Restored {
	if st := d.h.status(); st != nil {
		return st.Restored
	}
	return nil
}

// count is how often each number is there in a target.
func (d *drill) count(target string) map[string]int {
	out := map[string]int{}
	for _, o := range d.w.targets[target].objects()["customer"] {
		out[o.No]++
	}
	return out
}

// judge: nothing is there twice; alpha holds the newest of all that was promised, because everything was sent again; and what beta does not hold as it was
// promised is parked.
func (d *drill) judge(held map[string]int) {
	d.Helper()
	for _, name := range []string{"alpha", "beta"} {
		for no, n := range d.count(name) {
			if n > 1 {
				d.Errorf("%s holds %s %d times", name, no, n)
			}
		}
	}
	d.w.ledger.mu.Lock()
	promised := maps.Clone(d.w.ledger.promised["customer"])
	d.w.ledger.mu.Unlock()
	seqs := map[string]int64{}
	for _, o := range d.w.targets["alpha"].objects()["customer"] {
		seqs[o.No] = o.Seq
	}
	there := d.count("beta")
	parked := d.parked()
	for no, all := range promised {
		if newest := slices.Max(all); seqs[no] != newest {
			d.Errorf("alpha holds version %d of %s, and %d was promised", seqs[no], no, newest)
		}
		if there[no] == 0 && parked[no] == "" {
			d.Errorf("%s is neither in beta nor parked", no)
		}
		if held[no] > 0 && there[no] == 0 {
			d.Errorf("beta has lost %s", no)
		}
	}
	for no, why := range parked {
		// A call that was under way at the moment of the copy is in doubt for itself.
		if !strings.Contains(why, "the store was restored") && !strings.Contains(why, "cannot be asked whether it was applied") {
			d.Errorf("%s is parked for another reason: %s", no, why)
		}
	}
	if st := d.h.status(); st.Totals.Unaccounted != 0 || st.Totals.Duplicates != 0 {
		d.Errorf("the hub says %+v", st.Totals)
	}
}

// parked are the heads of what is parked, by number.
func (d *drill) parked() map[string]string {
	var all struct {
		Parked []api.Queued `json:"parked"`
	}
	if err := d.h.get("/api/v1/parked?limit=1000&state=parked&flow="+url.QueryEscape(d.w.p.flow("customers-to-beta")), &all); err != nil {
		d.Fatal(err)
	}
	out := map[string]string{}
	for _, q := range all.Parked {
		out[q.Key] = q.Reason
	}
	return out
}

// repair does what the sentence of a parked message says: a person looks in beta, and replays what is not there.
func (d *drill) repair() {
	d.Helper()
	there := d.count("beta")
	var absent string
	for no, why := range d.parked() {
		if there[no] == 0 && strings.Contains(why, "the store was restored") {
			absent = no
		}
	}
	if out, code := d.h.command("restored", "--done", "--note", "nothing more is sent again"); code != 0 || !strings.Contains(out, "settled") {
		d.Errorf("restored --done exits %d: %s", code, out)
	}
	if r := d.restored(); r == nil || r.State != "settled" || r.Ended == nil {
		d.Errorf("after --done: %+v", r)
	}
	if absent == "" {
		return
	}
	if out, code := d.h.command("parked", "replay", "--key", absent, "--yes"); code != 0 {
		d.Fatalf("replay exits %d: %s", code, out)
	}
	d.h.await("the replayed message to be in beta", time.Minute, func() bool { return d.count("beta")[absent] == 1 })
}

// backup is `waybill backup`, under load.
func (d *drill) backup() {
	if out, code := d.h.command("backup", "monday"); code != 0 || !strings.Contains(out, "is whole") {
		d.Fatalf("backup exits %d: %s", code, out)
	}
	if out, code := d.h.command("backup", "monday"); code != 1 || !strings.Contains(out, "there is a copy of that name") || !strings.Contains(out, "give this one another name") {
		d.Errorf("a second copy of the name exits %d: %s", code, out)
	}
	if out, code := d.h.command("backup", "--verify", filepath.Join(d.w.p.Backups, "monday")); code != 0 {
		d.Errorf("--verify exits %d: %s", code, out)
	}
	if out, code := d.h.command("restore", filepath.Join(d.w.p.Backups, "monday"), "-c", d.h.file, "--replace"); code != 1 || !strings.Contains(out, "is in use by another hub") {
		d.Errorf("a restore under a running hub exits %d: %s", code, out)
	}
}

func (d *drill) restore() {
	dir := filepath.Join(d.w.p.Backups, "monday")
	if out, code := d.h.command("restore", dir, "-c", d.h.file); code != 1 || !strings.Contains(out, "there is data already") {
		d.Errorf("a restore over data exits %d: %s", code, out)
	}
	if out, code := d.h.command("restore", dir, "-c", d.h.file, "--replace"); code != 0 {
		d.Fatalf("restore exits %d: %s", code, out)
	}
}

func (d *drill) sh(args ...string) {
	d.Helper()
	if out, err := exec.Command(args[0], args[1:]...).CombinedOutput(); err != nil {
		d.Fatalf("%s: %v: %s", strings.Join(args, " "), err, out)
	}
}

func (d *drill) copied() string { return filepath.Join(d.w.p.dir, "copied") }
func (d *drill) copyFolder()    { d.sh("cp", "-a", d.w.p.DataDir, d.copied()) }
func (d *drill) overFolder()    { d.sh("cp", "-r", d.copied()+"/.", d.w.p.DataDir) }

func (d *drill) replaceFolder() {
	if err := os.RemoveAll(d.w.p.DataDir); err != nil {
		d.Fatal(err)
	}
	d.sh("cp", "-a", d.copied(), d.w.p.DataDir)
}

// tool is one of PostgreSQL's programs, of the server's version.
func tool(name string) string {
	if found, _ := filepath.Glob("/usr/lib/postgresql/*/bin/" + name); len(found) > 0 {
		return found[len(found)-1]
	}
	return name
}

// database is the server's address, and the schema of it that is this test's.
func (d *drill) database() (address, schema string) {
	u, err := url.Parse(d.w.p.Store)
	if err != nil {
		d.Fatal(err)
	}
	q := u.Query()
	schema = q.Get("search_path")
	q.Del("search_path")
	u.RawQuery = q.Encode()
	return u.String(), schema
}

// asWritten runs the command of the page that begins with a word, as an operator would paste it.
func (d *drill) asWritten(word, address, schema string) {
	d.Helper()
	page, err := os.ReadFile("../../docs/backup.md")
	if err != nil {
		d.Fatal(err)
	}
	for line := range strings.Lines(string(page)) {
		if !strings.HasPrefix(line, "    "+word+" ") {
			continue
		}
		if schema != "" { // many tests share one database
			line = strings.Replace(line, word, word+" --schema "+schema, 1)
		}
		cmd := exec.Command("sh", "-c", strings.TrimSpace(line))
		cmd.Dir = d.w.p.dir
		cmd.Env = append(os.Environ(), "STORE="+address, "PATH="+filepath.Dir(tool(word))+":"+os.Getenv("PATH"))
		if out, err := cmd.CombinedOutput(); err != nil {
			d.Fatalf("%s: %v: %s", line, err, out)
		}
		return
	}
	d.Fatalf("docs/backup.md shows no %s", word)
}

func (d *drill) dump() {
	address, schema := d.database()
	d.asWritten("pg_dump", address, schema)
}

func (d *drill) readDump() {
	address, _ := d.database()
	d.asWritten("pg_restore", address, "")
}
