package storetest

import (
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/waybill-hub/waybill/internal/state"
)

// testExchangeNumbers: many ask at once, some again and again, and no number is given twice or left out.
func testExchangeNumbers(t *testing.T, b *bench) {
	const each, askers = 25, 4
	got := make([]map[string]int64, askers)
	var all sync.WaitGroup
	for i := range askers {
		got[i] = map[string]int64{}
		all.Go(func() {
			for n := range each {
				token := fmt.Sprint("own ", i, " ", n)
				if n%5 == 0 { // what all send is one
					token = fmt.Sprint("shared ", n)
				}
				for range 2 {
					number, err := b.NumberSent(b.ctx(), state.Sent{Pair: "a>b", Token: token, Message: "855"}, 1, time.Hour)
					if err != nil {
						t.Error(err)
						return
					}
					if was, ok := got[i][token]; ok && was != number {
						t.Errorf("%s has the numbers %d and %d", token, was, number)
					}
					got[i][token] = number
				}
			}
		})
	}
	all.Wait()
	byToken := map[string]int64{}
	for _, m := range got {
		for token, number := range m {
			if was, ok := byToken[token]; ok && was != number {
				t.Errorf("%s has the numbers %d and %d", token, was, number)
			}
			byToken[token] = number
		}
	}
	var numbers []int64
	for _, n := range byToken {
		numbers = append(numbers, n)
	}
	slices.Sort(numbers)
	for i, n := range numbers {
		if n != int64(i)+1 {
			t.Fatalf("the numbers are %v", numbers)
		}
	}
	if n, err := b.NumberSent(b.ctx(), state.Sent{Pair: "a>c", Token: "x"}, 500, 0); n != 500 || err != nil {
		t.Errorf("another pair begins with %d: %v", n, err)
	}
	if n, err := b.NumberSent(b.ctx(), state.Sent{Pair: "a>c", Token: "y"}, 1, 0); n != 501 || err != nil {
		t.Errorf("then %d: %v", n, err)
	}
}

func testExchangeAnswers(t *testing.T, b *bench) {
	send := func(token string, due time.Duration) int64 {
		t.Helper()
		n, err := b.NumberSent(b.ctx(), state.Sent{Pair: "a>b", Token: token, Message: "810"}, 1, due)
		b.no(err)
		return n
	}
	troubled := func(want ...string) {
		t.Helper()
		list, err := b.TroubledSent(b.ctx(), "a>b")
		b.no(err)
		var got []string
		for _, s := range list {
			got = append(got, fmt.Sprint(s.Number, s.Answer, s.Message))
		}
		if !slices.Equal(got, want) {
			t.Errorf("troubled are %q, want %q", got, want)
		}
	}
	send("1", time.Hour)
	send("2", 2*time.Hour)
	send("3", 0)
	send("4", time.Hour)
	troubled()
	b.clock.Add(time.Hour + time.Second)
	troubled("1810", "4810")
	for _, a := range []struct {
		number int64
		answer string
		known  bool
	}{{1, state.AnswerAccepted, true}, {4, state.AnswerRejected, true}, {4, state.AnswerRejected, true}, {3, state.AnswerPartly, true}, {9, state.AnswerAccepted, false}} {
		if known, err := b.AnswerSent(b.ctx(), "a>b", a.number, a.answer); known != a.known || err != nil {
			t.Errorf("%+v: %v %v", a, known, err)
		}
	}
	troubled("3partly810", "4rejected810")
	b.clock.Add(8 * 24 * time.Hour)
	troubled("2810")
	if list, err := b.TroubledSent(b.ctx(), "a>b"); err != nil || len(list) != 1 || list[0].Due.Sub(list[0].At) != 2*time.Hour || !list[0].Answered.IsZero() {
		t.Errorf("%+v %v", list, err)
	}
}

// testExchangeReceived: an interchange comes in one file. What came with one that is refused may come again, and so may what is in a file that was written to before it was settled.
func testExchangeReceived(t *testing.T, b *bench) {
	one := func(pair, control, token, file string) state.Received {
		return state.Received{Pair: pair, Control: control, Token: token, File: file}
	}
	for _, c := range []struct {
		came    []state.Received
		settled bool
		want    int
	}{
		{[]state.Received{one("a>b", "000000001", "1", "x")}, false, -1},
		{[]state.Received{one("a>b", "000000001", "1", "x")}, false, -1},
		{[]state.Received{one("a>b", "000000001", "2", "x")}, false, -1}, // written to
		{[]state.Received{one("a>b", "000000001", "2", "xy")}, true, 0},
		{[]state.Received{one("a>b", "000000001", "3", "x")}, false, -1},
		{[]state.Received{one("a>b", "000000001", "3", "x")}, true, -1},
		{[]state.Received{one("a>b", "000000001", "3", "x")}, true, -1}, // a hub ended before it moved the file
		{[]state.Received{one("a>b", "000000001", "4", "x")}, false, 0},
		{[]state.Received{one("a>b", "000000002", "5", "y"), one("a>b", "000000001", "5", "y")}, false, 1},
		{[]state.Received{one("a>b", "000000002", "6", "z")}, true, -1},
		{[]state.Received{one("a>b", "000000003", "7#0", "y"), one("a>b", "000000003", "7#1", "y")}, false, 1},
		{[]state.Received{one("a>b", "000000004", "8", "y"), one("c>b", "000000001", "8", "y")}, false, -1},
		{nil, true, -1},
	} {
		known, err := b.NoteReceived(b.ctx(), c.came)
		if known != c.want || err != nil {
			t.Errorf("%+v: %d %v, want %d", c.came, known, err, c.want)
		}
		if c.settled {
			if err := b.SettleReceived(b.ctx(), c.came); err != nil {
				t.Error(err)
			}
		}
	}
}
