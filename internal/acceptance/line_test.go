package acceptance

import (
	"bytes"
	"io"
	"maps"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"sync"
	"testing"
)

// lossyLine stands before a system: of the calls that pass one in ten is not made and answered with 503, and of another one in ten the answer is lost.
type lossyLine struct {
	t   *testing.T
	to  string
	url string
	// free are calls that always pass, by their bodies.
	free func(body []byte) bool
	// refuse answers a call with a 200 in which the system says that it has not been made; nil: it does not.
	refuse func(body []byte) []byte

	mu                      sync.Mutex
	dice                    *rand.Rand
	all, lost, shut, denied int
}

// newLossyLine leads to a system; seed is that of its dice.
func newLossyLine(t *testing.T, to string, seed uint64) *lossyLine {
	l := &lossyLine{t: t, to: to, dice: rand.New(rand.NewPCG(11, seed))}
	srv := httptest.NewServer(l)
	t.Cleanup(srv.Close)
	l.url = srv.URL
	return l
}

const (
	shut = iota
	lost
	denied
	passes
)

// fate says what becomes of a call, and what a refusal of it looks like.
func (l *lossyLine) fate(body []byte) (int, []byte) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.all++
	if l.free != nil && l.free(body) {
		return passes, nil
	}
	switch l.dice.IntN(10) {
	case 0:
		l.shut++
		return shut, nil
	case 1:
		l.lost++
		return lost, nil
	case 2:
		if l.refuse != nil {
			if answer := l.refuse(body); answer != nil {
				l.denied++
				return denied, answer
			}
		}
	}
	return passes, nil
}

func (l *lossyLine) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, _ := io.ReadAll(r.Body)
	fate, refusal := l.fate(body)
	switch fate {
	case shut:
		w.WriteHeader(http.StatusServiceUnavailable)
		return
	case denied:
		w.Header().Set("Content-Type", "application/json")
		_, _ = w.Write(refusal)
		return
	}
	req, err := http.NewRequestWithContext(r.Context(), r.Method, l.to+r.RequestURI, bytes.NewReader(body))
	if err != nil {
		w.WriteHeader(http.StatusBadGateway)
		return
	}
	req.Header = r.Header.Clone()
	resp, err := http.DefaultTransport.RoundTrip(req)
	if err != nil {
		w.WriteHeader(http.StatusBadGateway)
		return
	}
	defer resp.Body.Close()
	answer, _ := io.ReadAll(resp.Body)
	if fate == lost {
		panic(http.ErrAbortHandler)
	}
	maps.Copy(w.Header(), resp.Header)
	w.WriteHeader(resp.StatusCode)
	_, _ = w.Write(answer)
}

// shown wants that enough went wrong on the line to show something.
func (l *lossyLine) shown() {
	l.t.Helper()
	l.mu.Lock()
	defer l.mu.Unlock()
	l.t.Logf("of %d calls %d had no answer, %d were shut out, and %d refused in a 200", l.all, l.lost, l.shut, l.denied)
	if l.lost == 0 || l.shut == 0 || l.refuse != nil && l.denied == 0 {
		l.t.Error("nothing was shown")
	}
}
