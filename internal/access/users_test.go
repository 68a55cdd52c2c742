package access

import (
	"context"
	"encoding/base64"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"golang.org/x/crypto/argon2"
)

// cheap is a hash that costs as little as may be.
func cheap(password string) string {
	text := base64.RawStdEncoding.EncodeToString
	return fmt.Sprintf("$argon2id$v=19$m=%d,t=1,p=1$%s$%s", leastMemory, text([]byte("saltsalt")), text(argon2.IDKey([]byte(password), []byte("saltsalt"), 1, leastMemory, 1, 32)))
}

// A hash is read as argon2's own programs write it, and only such; what is refused is never quoted.
func TestPassword(t *testing.T) {
	hash, err := HashPassword("correct horse battery")
	if err != nil {
		t.Fatal(err)
	}
	again, err := HashPassword("correct horse battery")
	if err != nil || again == hash {
		t.Errorf("two hashes of a password are the same, %v", err)
	}
	p, err := ParsePassword(hash)
	if err != nil || !p.Is("correct horse battery") || p.Is("correct horse batterz") || p.Is("") {
		t.Errorf("%v: %+v", err, p)
	}
	// What the reference program (libargon2, by PyPI argon2-cffi 25) makes of "password" and "somesalt".
	const known = "$argon2id$v=19$m=65536,t=2,p=1$c29tZXNhbHQ$CTFhFdXPJO1aFaMaO6Mm5c8y7cJHAph8ArZWb2GRPPc"
	if p, err := ParsePassword(known); err != nil || !p.Is("password") {
		t.Errorf("the reference's own hash: %v", err)
	}
	for change, want := range map[[2]string]string{
		{"argon2id", "argon2i"}:        "no hash of argon2id",
		{"$v=19", ""}:                  "no hash of argon2id",
		{"v=19", "v=16"}:               "another version",
		{"m=65536", "m=655360"}:        "m from",
		{"m=65536", "m=8"}:             "m from",
		{"t=2", "t=0"}:                 "t to",
		{"p=1", "p=200"}:               "p to",
		{"p=1", "p=1,x=2"}:             "cannot be read",
		{"p=1", "p=300"}:               "cannot be read",
		{"m=65536", "m=+65536"}:        "cannot be read",
		{"c29tZXNhbHQ", "c29t"}:        "its salt has 3 bytes",
		{"c29tZXNhbHQ", "c29%ZXNhbHQ"}: "no base64",
		{"CTFhFdXPJO1aFaMaO6Mm5c8y7cJHAph8ArZWb2GRPPc", "CTFhFdXP"}: "its key 6",
	} {
		if _, err := ParsePassword(strings.Replace(known, change[0], change[1], 1)); err == nil || !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "FdXP") {
			t.Errorf("%v: %v", change, err)
		}
	}
	for password, want := range map[string]string{"elevenchars": "at least 12", strings.Repeat("x", mostPassword+1): "at most", "correct horse \xff": "UTF-8", "": "at least 12"} {
		if _, err := HashPassword(password); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%.20q: %v", password, err)
		}
	}
}

func signInUser(w *world, from, name, password string) (*http.Cookie, *Refusal) {
	c, _, no := w.SignInUser(request("POST", from, ""), name, password)
	return c, no
}

// A user has a session under its own name and role, until the password is another one, or it is gone.
func TestSignInUser(t *testing.T) {
	ann, bob := User{Name: "ann", Role: Operator, Password: cheap("ann's own secret")}, User{Name: "bob", Role: Viewer, Password: cheap("bob's own secret")}
	w := guard(Rules{Users: []User{ann, bob}})
	if w.Open() || w.Ways() != (Ways{Users: true}) {
		t.Error("a hub with users alone asks nobody")
	}
	if _, no := w.Enter(request("GET", "127.0.0.1:1", "")); no == nil || no.Status != 401 {
		t.Errorf("%+v", no)
	}
	c, no := signInUser(w, "10.0.0.1:1", "ann", "ann's own secret")
	if no != nil {
		t.Fatalf("%+v", no)
	}
	if v, no := w.Enter(with(c)); no != nil || v.Name != "ann" || v.Role != Operator || !v.Session || v.CSRF == "" {
		t.Errorf("%+v %+v", v, no)
	}
	for name, given := range map[string][2]string{"another's": {"bob", "ann's own secret"}, "none": {"ann", ""}, "nobody's": {"eve", "ann's own secret"}, "no name": {"", "ann's own secret"}, "a long one": {"ann", strings.Repeat("x", mostPassword+1)},
		"a zero key": {"eve", ""}} {
		if _, no := signInUser(w, "10.0.0.2:1", given[0], given[1]); no == nil || no.Status != 401 || no.Why != WrongPassword {
			t.Errorf("%s: %+v", name, no)
		}
	}
	if got := w.Wrong(); got.Count != 6 || got.From != "10.0.0.2" {
		t.Errorf("%+v", got)
	}
	r := request("POST", "10.0.0.1:1", "")
	r.Header.Set("Sec-Fetch-Site", "cross-site")
	if _, _, no := w.SignInUser(r, "ann", "ann's own secret"); no == nil || no.Why != CrossSite {
		t.Errorf("from another site: %+v", no)
	}
	// A password is no token.
	if _, no := w.Enter(request("GET", "10.0.0.1:1", "ann's own secret")); no == nil {
		t.Error("a password was taken as a token")
	}
	w.Set(Rules{Users: []User{{Name: "ann", Role: Viewer, Password: ann.Password}, bob}})
	if v, no := w.Enter(with(c)); no != nil || v.Role != Viewer {
		t.Errorf("with another role: %+v %+v", v, no)
	}
	w.Set(Rules{Users: []User{{Name: "ann", Role: Operator, Password: cheap("another secret")}, bob}})
	if _, no := w.Enter(with(c)); no == nil {
		t.Error("a session outlives its password")
	}
	w.Set(Rules{Users: []User{{Name: "annex", Role: Admin, Password: ann.Password}}})
	if _, no := w.Enter(with(c)); no == nil {
		t.Error("a session is another user's, who has the same password")
	}
	w.Set(Rules{Users: []User{{Name: "ann", Role: Admin, Password: "no hash"}}})
	if _, no := signInUser(w, "10.0.0.9:1", "ann", "no hash"); no == nil || w.Open() {
		t.Error("what is no hash lets in, or opens the hub")
	}
}

// Wrong passwords are slowed by their name as well, wherever they come from, before anything is hashed; who has signed in from an address before is not kept out by others, and tokens never are.
func TestWrongPasswordsWait(t *testing.T) {
	w := guard(Rules{Tokens: []Token{{Name: "robot", Value: right, Role: Admin}}, Users: []User{{Name: "ann", Role: Operator, Password: cheap("ann's own secret")}}})
	if _, no := signInUser(w, "10.0.0.1:1", "ann", "ann's own secret"); no != nil {
		t.Fatalf("%+v", no)
	}
	guess := func(i int, name string) *Refusal {
		_, no := signInUser(w, fmt.Sprintf("10.1.%d.%d:1", i/200, i%200+1), name, "guess")
		return no
	}
	for _, name := range []string{"ann", "nobody"} { // which of them is a user nobody learns
		for i := range nameBurst {
			if no := guess(i, name); no == nil || no.Status != 401 {
				t.Fatalf("%s, guess %d: %+v", name, i, no)
			}
		}
		if no := guess(150, name); no == nil || no.Status != 429 || no.Why != Slowed || no.Retry != nameEvery {
			t.Fatalf("%s, one too many: %+v", name, no)
		}
	}
	if _, no := signInUser(w, "10.9.9.9:1", "ann", "ann's own secret"); no == nil || no.Status != 429 {
		t.Errorf("the right one from elsewhere waits as well: %+v", no)
	}
	if _, no := signInUser(w, "10.0.0.1:7", "ann", "ann's own secret"); no != nil {
		t.Errorf("the right one from where it came before: %+v", no)
	}
	if v, no := w.Enter(request("GET", "10.1.0.1:1", right)); no != nil || v.Name != "robot" {
		t.Errorf("a token waits for passwords: %+v", no)
	}
	w.clock.Advance(nameEvery)
	if _, no := signInUser(w, "10.9.9.9:1", "ann", "ann's own secret"); no != nil {
		t.Errorf("later: %+v", no)
	}
	// An address has its own bound, whatever names it tries.
	for i := range addressBurst {
		if _, no := signInUser(w, "10.2.2.2:1", fmt.Sprint("name", i), "guess"); no == nil || no.Status != 401 {
			t.Fatalf("%d: %+v", i, no)
		}
	}
	if _, no := signInUser(w, "10.2.2.2:1", "bob", "guess"); no == nil || no.Status != 429 {
		t.Errorf("%+v", no)
	}
	if log := w.log.String(); strings.Contains(log, "guess") || strings.Contains(log, "nobody") || !strings.Contains(log, "a wrong password was refused") || !strings.Contains(log, "user=ann") {
		t.Errorf("the log:\n%s", log)
	}
}

// Passwords are hashed one at a time, few wait for that, and a browser that has gone waits for nothing.
func TestPasswordsInTurn(t *testing.T) {
	w := guard(Rules{Users: []User{{Name: "ann", Role: Operator, Password: cheap("ann's own secret")}}})
	w.passwords.turn <- struct{}{} // somebody's password is being hashed
	for range mostHashing - 1 {
		w.passwords.queue <- struct{}{}
	}
	waiting := make(chan *Refusal, 1)
	go func() {
		_, no := signInUser(w, "10.0.0.1:1", "ann", "ann's own secret")
		waiting <- no
	}()
	for len(w.passwords.queue) < mostHashing {
		time.Sleep(time.Millisecond) // until it is in the queue, which tells nobody
	}
	if _, no := signInUser(w, "10.0.0.2:1", "ann", "ann's own secret"); no == nil || no.Status != 429 || no.Detail != "too many sign in at once: try again in a moment" {
		t.Errorf("%+v", no)
	}
	<-w.passwords.turn
	if no := <-waiting; no != nil {
		t.Errorf("%+v", no)
	}
	for range mostHashing - 1 {
		<-w.passwords.queue
	}
	w.passwords.turn <- struct{}{}
	gone, leave := context.WithCancel(t.Context())
	leave()
	if _, _, no := w.SignInUser(request("POST", "10.0.0.3:1", "").WithContext(gone), "ann", "ann's own secret"); no == nil || no.Detail != "the browser has gone" {
		t.Errorf("%+v", no)
	}
}

// A right password takes nothing from what wrong ones may cost: not from its address, and not from everybody's.
func TestRightPasswordsCostNothing(t *testing.T) {
	w := guard(Rules{Users: []User{{Name: "ann", Role: Operator, Password: cheap("ann's own secret")}}})
	for i := range addressBurst + 2 {
		if _, no := signInUser(w, "10.0.0.1:1", "ann", "ann's own secret"); no != nil {
			t.Fatalf("%d from one address: %+v", i, no)
		}
	}
	for i := range totalBurst + 2 {
		if _, no := signInUser(w, fmt.Sprintf("10.%d.%d.1:1", 1+i/200, i%200), "ann", "ann's own secret"); no != nil {
			t.Fatalf("%d from many addresses: %+v", i, no)
		}
	}
}
