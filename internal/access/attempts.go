package access

import (
	"container/list"
	"net/http"
	"net/netip"
	"sync"
	"time"

	"github.com/waybill-hub/waybill/internal/lifecycle"
)

// Bounds of wrong tokens. An address has some at once and then one in a while; so have all together. What is beyond waits, and is told to come
// later; of those that wait there are only so many, and the rest loses its connection at once.
const (
	addressBurst = 10
	addressEvery = 6 * time.Second
	totalBurst   = 100
	totalEvery   = 500 * time.Millisecond
	wait         = 2 * time.Second
	mostWaiting  = 64
	mostKnown    = 1024 // addresses
	logEvery     = time.Minute
)

// Wrong tells of wrong tokens and passwords since the start.
type Wrong struct {
	Count int64
	// Last is when the newest one came, and From where from; zero without any.
	Last time.Time
	From string
}

// attempts counts wrong tokens, slows them and has them logged. Its memory is bounded, whoever asks.
type attempts struct {
	clock lifecycle.Clock
	log   Logger

	mu      sync.Mutex
	wrong   Wrong
	total   allowance
	known   map[netip.Prefix]*list.Element // of *address
	newest  *list.List                     // the one that asked last is first
	waiting int
	logged  time.Duration // when, on the elapsed clock
	silent  int64         // wrong ones since then
	spoke   bool
}

type address struct {
	prefix netip.Prefix
	left   allowance
}

// allowance is a bucket of attempts that fills by one every so often.
type allowance struct {
	left float64
	at   time.Duration
}

func (a *allowance) take(now, every time.Duration, burst float64) bool {
	a.left = min(burst, a.left+float64(now-a.at)/float64(every))
	a.at = now
	if a.left < 1 {
		return false
	}
	a.left--
	return true
}

func newAttempts(clock lifecycle.Clock, log Logger) *attempts {
	return &attempts{clock: clock, log: log, total: allowance{left: totalBurst, at: clock.Elapsed()}, known: map[netip.Prefix]*list.Element{}, newest: list.New()}
}

func (a *attempts) seen() Wrong {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.wrong
}

// refuse answers a wrong token: at once while there are few, later when there are many.
func (a *attempts) refuse(r *http.Request) *Refusal {
	from := sender(r)
	slow, room := a.note(from, r)
	if !slow {
		return &Refusal{Status: http.StatusUnauthorized, Why: WrongToken, Challenge: true, Detail: "this is none of the hub's tokens (http.tokens in its configuration)"}
	}
	if room {
		_ = lifecycle.Sleep(r.Context(), a.clock, wait) // whoever has gone is told nothing
		a.mu.Lock()
		a.waiting--
		a.mu.Unlock()
	}
	return &Refusal{Status: http.StatusUnauthorized, Why: Slowed, Challenge: true, Retry: addressEvery, Close: true,
		Detail: "too many wrong tokens came from this address, or from everywhere: correct the token; a right one is answered at once"}
}

// spare reports whether an address, and everybody together, may give one more password, and takes it from them. trusted: the address alone is asked.
func (a *attempts) spare(r *http.Request, trusted bool) bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	now := a.clock.Elapsed()
	return a.address(sender(r), now).take(now, addressEvery, addressBurst) && (trusted || a.total.take(now, totalEvery, totalBurst))
}

// giveBack undoes spare: the password was right.
func (a *attempts) giveBack(r *http.Request, trusted bool) {
	a.mu.Lock()
	defer a.mu.Unlock()
	one := a.address(sender(r), a.clock.Elapsed())
	one.left = min(addressBurst, one.left+1)
	if !trusted {
		a.total.left = min(totalBurst, a.total.left+1)
	}
}

// wrongPassword counts a wrong password and has it logged. What was given as a name may be a password that went into the wrong field: it is logged where it is a user's.
func (a *attempts) wrongPassword(r *http.Request, name string, known bool) {
	a.mu.Lock()
	defer a.mu.Unlock()
	from := sender(r)
	a.wrong = Wrong{Count: a.wrong.Count + 1, Last: a.clock.Now(), From: from.String()}
	if !known {
		name = "(none that is known)"
	}
	a.tell("a wrong password was refused", from, r, a.clock.Elapsed(), "user", name)
}

// note counts a wrong token. slow: it is one too many; room: it may wait.
func (a *attempts) note(from netip.Addr, r *http.Request) (slow, room bool) {
	a.mu.Lock()
	defer a.mu.Unlock()
	now := a.clock.Elapsed()
	a.wrong = Wrong{Count: a.wrong.Count + 1, Last: a.clock.Now(), From: from.String()}
	a.tell("a wrong token was refused", from, r, now)
	// Both are asked: what an address is refused is not taken from the others.
	slow = !a.address(from, now).take(now, addressEvery, addressBurst) || !a.total.take(now, totalEvery, totalBurst)
	if slow && a.waiting < mostWaiting {
		a.waiting++
		room = true
	}
	return slow, room
}

// tell logs the first wrong token or password, and then how many there were, once in a while.
func (a *attempts) tell(what string, from netip.Addr, r *http.Request, now time.Duration, more ...any) {
	a.silent++
	if a.spoke && now-a.logged < logEvery {
		return
	}
	args := append(more, "from", from.String(), "path", clip(r.URL.Path), "count", a.silent, "total", a.wrong.Count)
	if f := r.Header.Get("X-Forwarded-For"); f != "" {
		args = append(args, "forwarded_for", clip(f)) // as it says: nobody has checked it
	}
	a.log.Warn(what, args...)
	a.spoke, a.logged, a.silent = true, now, 0
}

// address finds what is left to an address. Of IPv6 a whole network of 64 bits is one: a sender has that many to change among.
func (a *attempts) address(from netip.Addr, now time.Duration) *allowance {
	prefix := network(from)
	if e := a.known[prefix]; e != nil {
		a.newest.MoveToFront(e)
		return &e.Value.(*address).left
	}
	if a.newest.Len() >= mostKnown {
		oldest := a.newest.Back()
		delete(a.known, oldest.Value.(*address).prefix)
		a.newest.Remove(oldest)
	}
	one := &address{prefix: prefix, left: allowance{left: addressBurst, at: now}}
	a.known[prefix] = a.newest.PushFront(one)
	return &one.left
}

// network is an address, or of IPv6 the network of 64 bits that it is in.
func network(from netip.Addr) netip.Prefix {
	bits := from.BitLen()
	if from.Is6() {
		bits = 64
	}
	prefix, _ := from.Prefix(bits) // the zero address has the zero prefix
	return prefix
}

// sender is the address at the other end of the connection; what a header says of it is anybody's.
func sender(r *http.Request) netip.Addr {
	at, err := netip.ParseAddrPort(r.RemoteAddr)
	if err != nil {
		return netip.Addr{}
	}
	return at.Addr().Unmap().WithZone("")
}
