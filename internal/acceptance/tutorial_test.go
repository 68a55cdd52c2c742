package acceptance

import (
	"bufio"
	"bytes"
	"flag"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/waybill-hub/waybill/internal/needtest"
)

var updatePages = flag.Bool("update", false, "write what the commands on pages print into the pages")

const (
	tutorialPage   = "../../docs/tutorial.md"
	operationsPage = "../../docs/operations.md"
	recoveryPage   = "../../docs/recovery.md"
	backupPage     = "../../docs/backup.md"
)

// A reader who types what docs/tutorial.md shows gets what it shows.
func TestTutorial(t *testing.T) { follow(t, tutorialPage, 10, 20) }

// An operator who types what docs/operations.md shows gets what it shows. What makes the hub and its messages is in the page too, in
// comments, where only this test reads it.
func TestOperations(t *testing.T) { follow(t, operationsPage, 7, 30) }

// The same of docs/recovery.md, whose comments also make the failure.
func TestRecovery(t *testing.T) { follow(t, recoveryPage, 5, 18) }

// The same of docs/backup.md.
func TestBackup(t *testing.T) { follow(t, backupPage, 5, 15) }

// follow does what a page shows, which has at least so many files and commands.
func follow(t *testing.T, name string, leastFiles, leastCommands int) {
	t.Parallel()
	for _, tool := range []string{"sh", "openssl", "curl", "sqlite3", "sed"} {
		if _, err := exec.LookPath(tool); err != nil {
			needtest.Missing(t, "the reader of %s has %s: install it", name, tool)
		}
	}
	data, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	r := newReader(t)
	page := &page{name: name, lines: strings.Split(string(data), "\n")}
	files, commands := 0, 0
	for {
		b, ok := page.next()
		if !ok {
			break
		}
		file, isFile := b.attrs["file"]
		switch {
		case isFile:
			r.p.write(t, file, r.there.Replace(strings.Join(page.lines[b.from:b.to], "\n")+"\n"))
			files++
		case b.lang == "console":
			commands += r.console(page, b)
		default:
			t.Errorf("%s:%d: a block that nobody tries: name it file=… or write it as console", name, b.from)
		}
	}
	if files < leastFiles || commands < leastCommands {
		t.Errorf("only %d files and %d commands were found", files, commands)
	}
	if *updatePages && !t.Failed() {
		if err := os.WriteFile(name, []byte(strings.Join(page.lines, "\n")), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	r.terminal("2").interrupt()
	if st := r.terminal("2").wait(60 * time.Second); st != nil {
		t.Errorf("the hub does not end in order at Ctrl-C: %v", st)
	}
}

// page is the tutorial's text; blocks are read from top to bottom.
type page struct {
	name  string
	lines []string
	at    int
}

// block is a fenced block: the lines from..to, without the fences.
type block struct {
	lang     string
	attrs    map[string]string
	from, to int
}

func (p *page) next() (block, bool) {
	for ; p.at < len(p.lines); p.at++ {
		info, ok := strings.CutPrefix(p.lines[p.at], "```")
		if !ok {
			continue
		}
		words := strings.Fields(info)
		b := block{attrs: map[string]string{}, from: p.at + 1, to: p.at + 1}
		if len(words) > 0 {
			b.lang = words[0]
		}
		for _, w := range words[min(1, len(words)):] {
			k, v, _ := strings.Cut(w, "=")
			b.attrs[k] = v
		}
		for b.to < len(p.lines) && p.lines[b.to] != "```" {
			b.to++
		}
		p.at = b.to + 1
		return b, true
	}
	return block{}, false
}

// reader is somebody who follows the tutorial, in an empty directory with two terminals.
type reader struct {
	t           *testing.T
	p           *project
	there, back *strings.Replacer // the tutorial's addresses and those of this run
	terminals   map[string]*terminal
}

func newReader(t *testing.T) *reader {
	p := &project{dir: t.TempDir(), http: freePort(t), hooks: freePort(t)}
	return &reader{t: t, p: p, terminals: map[string]*terminal{},
		there: strings.NewReplacer("127.0.0.1:8080", p.http, "127.0.0.1:8081", p.hooks),
		back:  strings.NewReplacer(p.http, "127.0.0.1:8080", p.hooks, "127.0.0.1:8081")}
}

func (r *reader) terminal(name string) *terminal {
	r.t.Helper()
	if r.terminals[name] == nil {
		r.terminals[name] = newTerminal(r.t, r.p)
	}
	return r.terminals[name]
}

// console types a block's commands and says how many they were.
func (r *reader) console(page *page, b block) int {
	r.t.Helper()
	term := r.terminal(b.attrs["terminal"])
	n := 0
	for i := b.from; i < b.to; {
		line, ok := strings.CutPrefix(page.lines[i], "$ ")
		if !ok {
			r.t.Fatalf("%s:%d: output without a command", page.name, i+1)
		}
		end := i + 1
		for end < b.to && !strings.HasPrefix(page.lines[end], "$ ") {
			end++
		}
		place := fmt.Sprintf("%s:%d: %s", page.name, i+1, line)
		want := strings.Join(page.lines[i+1:end], "\n")
		n++
		if b.attrs["terminal"] == "2" {
			term.start(r.there.Replace(line))
			r.appears(place, term, want)
			i = end
			continue
		}
		got, code := r.try(term, line, want)
		wantCode := "0"
		if end == b.to && b.attrs["exit"] != "" {
			wantCode = b.attrs["exit"]
		}
		if fmt.Sprint(code) != wantCode {
			r.t.Fatalf("%s: exits with %d, want %s\n%s", place, code, wantCode, got)
		}
		if !shows(want, got) {
			if !*updatePages {
				r.t.Errorf("%s: prints\n%s\n\nand the tutorial shows\n%s", place, got, want)
			} else {
				now := strings.Split(got, "\n")
				page.lines = append(page.lines[:i+1:i+1], append(now, page.lines[end:]...)...)
				shift := len(now) - (end - i - 1)
				b.to, page.at, end = b.to+shift, page.at+shift, end+shift
			}
		}
		i = end
	}
	return n
}

var reads = regexp.MustCompile(`^(waybill (status|trace|parked list|parked show)|sqlite3 .*SELECT)`)

// try runs a command. One that only looks is run again, as people do, until it shows what is expected.
func (r *reader) try(term *terminal, line, want string) (string, int) {
	deadline := time.NewTimer(30 * time.Second)
	defer deadline.Stop()
	look := time.NewTicker(100 * time.Millisecond)
	defer look.Stop()
	before, same := "", 0
	for {
		got, code := term.run(r.there.Replace(line))
		got = trimLines(r.back.Replace(got))
		if before == got {
			same++
		} else {
			before, same = got, 0
		}
		if !reads.MatchString(line) || shows(want, got) || *updatePages && same > 30 {
			return got, code
		}
		select {
		case <-look.C:
		case <-deadline.C:
			return got, code
		}
	}
}

// appears waits until a command that goes on has printed every line of want.
func (r *reader) appears(place string, term *terminal, want string) {
	r.t.Helper()
	deadline := time.NewTimer(60 * time.Second)
	defer deadline.Stop()
	var got []string
	for _, w := range strings.Split(want, "\n") {
		for {
			var line string
			select {
			case line = <-term.out:
			case <-deadline.C:
				r.t.Fatalf("%s: does not print %q but\n%s", place, w, strings.Join(got, "\n"))
			}
			got = append(got, r.back.Replace(line))
			if shows(w, got[len(got)-1]) {
				break
			}
		}
	}
}

var times = regexp.MustCompile(`\d{4}-\d\d-\d\d[ T]\d\d:\d\d:\d\d(\.\d+)?(Z|[+-]\d\d:\d\d)?`)

// shows reports whether got is what the tutorial shows: times may be others, and … is any text of a line.
func shows(want, got string) bool {
	pattern := regexp.QuoteMeta(times.ReplaceAllString(want, "<time>"))
	re := regexp.MustCompile("^" + strings.ReplaceAll(pattern, "…", ".*") + "$")
	return re.MatchString(times.ReplaceAllString(got, "<time>"))
}

func trimLines(s string) string {
	lines := strings.Split(strings.TrimRight(s, "\n"), "\n")
	for i := range lines {
		lines[i] = strings.TrimRight(lines[i], " ")
	}
	return strings.TrimRight(strings.Join(lines, "\n"), "\n")
}

// terminal is a shell that keeps what one command leaves to the next.
type terminal struct {
	t    *testing.T
	cmd  *exec.Cmd
	in   io.WriteCloser
	out  chan string // lines
	done chan struct{}
	once sync.Once
}

func newTerminal(t *testing.T, p *project) *terminal {
	t.Helper()
	cmd := exec.Command("sh")
	cmd.Dir = p.dir
	cmd.Env = append(os.Environ(), "PATH="+filepath.Dir(binary)+string(os.PathListSeparator)+os.Getenv("PATH"), "WAYBILL_URL=http://"+p.http,
		"WAYBILL_USER=ann", "EDITOR=false")
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	from, to, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	cmd.Stdout, cmd.Stderr = to, to
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	to.Close()
	x := &terminal{t: t, cmd: cmd, in: in, out: make(chan string, 10000), done: make(chan struct{})}
	go func() {
		defer from.Close()
		s := bufio.NewScanner(from)
		s.Buffer(make([]byte, 0, 64<<10), 4<<20)
		for s.Scan() {
			x.out <- s.Text()
		}
		close(x.out)
	}()
	go func() { _ = cmd.Wait(); close(x.done) }()
	t.Cleanup(func() {
		_ = syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL)
		<-x.done
	})
	return x
}

// start types a command and does not wait for it.
func (x *terminal) start(line string) {
	x.t.Helper()
	if _, err := io.WriteString(x.in, line+"\n"); err != nil {
		x.t.Fatal(err)
	}
}

const endMark = "\x1e"

// run types a command and gives what it prints, and its exit code.
func (x *terminal) run(line string) (string, int) {
	x.t.Helper()
	x.start("{ " + line + "\n} </dev/null; printf '\\036%d\\n' $?")
	var b bytes.Buffer
	deadline := time.NewTimer(2 * time.Minute)
	defer deadline.Stop()
	for {
		select {
		case got, ok := <-x.out:
			if !ok {
				x.t.Fatalf("%s: the shell has ended", line)
			}
			text, code, end := strings.Cut(got, endMark)
			b.WriteString(text)
			if end {
				n := 0
				if _, err := fmt.Sscan(code, &n); err != nil {
					x.t.Fatal(err)
				}
				return b.String(), n
			}
			b.WriteByte('\n')
		case <-deadline.C:
			x.t.Fatalf("%s: no end\n%s", line, b.String())
		}
	}
}

// interrupt is Ctrl-C.
func (x *terminal) interrupt() {
	x.once.Do(func() {
		_ = syscall.Kill(-x.cmd.Process.Pid, syscall.SIGINT)
		_ = x.in.Close()
	})
}

// wait gives an error unless what runs in the terminal ends within limit.
func (x *terminal) wait(limit time.Duration) error {
	deadline := time.NewTimer(limit)
	defer deadline.Stop()
	var last []string
	for {
		select {
		case line, ok := <-x.out:
			if !ok {
				return nil
			}
			last = append(last, line)
		case <-deadline.C:
			return fmt.Errorf("still running after %s\n%s", limit, strings.Join(last, "\n"))
		}
	}
}
