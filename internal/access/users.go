package access

import (
	"crypto/sha256"
	"hash/maphash"
	"net/http"
	"net/netip"
	"sync"
	"time"
)

// Bounds of wrong passwords, beside those of addresses. A password is shorter than a token, so a right one waits as well where too many wrong ones came for its name; from where somebody
// has signed in by that name before, it does not.
const (
	nameBurst    = 20
	nameEvery    = 30 * time.Second
	mostHashing  = 8 // that wait for their turn
	mostFamiliar = 1024
	strangeNames = 256
)

// User is a person with a password.
type User struct {
	Name     string
	Role     Role
	Password string // its hash
}

// user is one who may sign in.
type user struct {
	known
	password *Password
}

// nobodys is what passwords of names that are none are held against, so that they take as long.
var nobodys = sync.OnceValue(func() *Password {
	return &Password{memory: newMemory, passes: newPasses, threads: newThreads, salt: make([]byte, newSalt), key: make([]byte, newKey)}
})

// passwords counts wrong passwords and has them looked at one at a time.
type passwords struct {
	turn  chan struct{} // holds one while a password is hashed
	queue chan struct{}
	seed  maphash.Seed

	mu sync.Mutex
	// names are the allowances of users; those of names that are none share a few, so that nobody fills the memory, or learns by a refusal that a name is one.
	names   map[string]*allowance
	strange [strangeNames]allowance
	// familiar are the networks from which somebody has signed in by a name.
	familiar map[familiar]bool
}

type familiar struct {
	name string
	from netip.Prefix
}

func newPasswords() *passwords {
	p := &passwords{turn: make(chan struct{}, 1), queue: make(chan struct{}, mostHashing), seed: maphash.MakeSeed(), names: map[string]*allowance{}, familiar: map[familiar]bool{}}
	for i := range p.strange {
		p.strange[i].left = nameBurst
	}
	return p
}

// take takes one from a name's allowance; give gives it back.
func (p *passwords) take(name string, known bool, now time.Duration) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.of(name, known, now).take(now, nameEvery, nameBurst)
}

func (p *passwords) give(name string, now time.Duration) {
	p.mu.Lock()
	defer p.mu.Unlock()
	a := p.of(name, true, now)
	a.left = min(nameBurst, a.left+1)
}

func (p *passwords) of(name string, known bool, now time.Duration) *allowance {
	if !known {
		return &p.strange[maphash.String(p.seed, name)%strangeNames]
	}
	if p.names[name] == nil {
		p.names[name] = &allowance{left: nameBurst, at: now}
	}
	return p.names[name]
}

func (p *passwords) knows(f familiar) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.familiar[f]
}

func (p *passwords) learn(f familiar) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if len(p.familiar) >= mostFamiliar && !p.familiar[f] {
		for other := range p.familiar { // any: it waits with the others when it is under attack, and no longer
			delete(p.familiar, other)
			break
		}
	}
	p.familiar[f] = true
}

// SignInUser begins a session for whoever gives a user's name and password. It is refused as a wrong token is, and from pages of others.
func (g *Guard) SignInUser(r *http.Request, name, password string) (*http.Cookie, Visitor, *Refusal) {
	now := g.rules.Load()
	if no := g.Foreign(r); no != nil {
		return nil, Visitor{}, no
	}
	var u *user
	for i := range now.users {
		if now.users[i].name == name {
			u = &now.users[i]
		}
	}
	from := familiar{name, network(sender(r))}
	at := g.clock.Elapsed()
	trusted := u != nil && g.passwords.knows(from)
	// All are asked before anything is hashed: that is what makes guessing, and hashing, dear.
	if !g.wrong.spare(r, trusted) || !trusted && !g.passwords.take(name, u != nil, at) {
		return nil, Visitor{}, g.count(&Refusal{Status: http.StatusTooManyRequests, Why: Slowed, Challenge: true, Retry: nameEvery,
			Detail: "too many wrong passwords came for this name, from this address, or from everywhere: wait, and check the password"})
	}
	stands := nobodys()
	if u != nil {
		stands = u.password
	} else if len(now.users) > 0 { // what takes another time would be seen to be nobody's
		first := now.users[0].password
		stands = &Password{memory: first.memory, passes: first.passes, threads: first.threads, salt: stands.salt, key: stands.key}
	}
	right, no := g.hash(r, stands, u != nil, password)
	switch {
	case no != nil:
		return nil, Visitor{}, g.count(no)
	case !right:
		g.wrong.wrongPassword(r, name, u != nil)
		return nil, Visitor{}, g.count(&Refusal{Status: http.StatusUnauthorized, Why: WrongPassword, Challenge: true, Detail: "the name or the password is wrong"})
	}
	if g.wrong.giveBack(r, trusted); !trusted {
		g.passwords.give(name, g.clock.Elapsed())
	}
	g.passwords.learn(from)
	return g.begin(r, now, sessionKey(u.sum), nil, sessionLasts), u.visitor(), nil
}

// hash looks at a password when its turn comes.
func (g *Guard) hash(r *http.Request, stands *Password, known bool, password string) (right bool, no *Refusal) {
	p := g.passwords
	select {
	case p.queue <- struct{}{}:
		defer func() { <-p.queue }()
	default:
		return false, &Refusal{Status: http.StatusTooManyRequests, Why: Slowed, Challenge: true, Retry: addressEvery, Detail: "too many sign in at once: try again in a moment"}
	}
	select {
	case p.turn <- struct{}{}:
		defer func() { <-p.turn }()
	case <-r.Context().Done():
		return false, &Refusal{Status: http.StatusTooManyRequests, Why: Slowed, Challenge: true, Detail: "the browser has gone"}
	}
	if len(password) > mostPassword {
		password = "" // which is nobody's
	}
	return stands.Is(password) && known, nil
}

// userSum is what a user's sessions hang on: they end when the password is another one.
func userSum(u *User) [sha256.Size]byte {
	return sha256.Sum256([]byte("user " + u.Name + "\x00" + u.Password))
}
