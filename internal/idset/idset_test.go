package idset

import (
	"errors"
	"fmt"
	"iter"
	"slices"
	"testing"

	"pgregory.net/rapid"
)

func side(ids []string, end error) iter.Seq2[string, error] {
	return func(yield func(string, error) bool) {
		for _, id := range ids {
			if !yield(id, nil) {
				return
			}
		}
		if end != nil {
			yield("", end)
		}
	}
}

func itself(id string) string { return id }

// TestLacking: exactly what only the other side holds is lacking, in its order, whatever the ids are.
func TestLacking(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		ids := rapid.SliceOf(rapid.OneOf(rapid.String(), rapid.SampledFrom([]string{"", "1", "01", " 1", "é", "é"})))
		here, there := ids.Draw(t, "here"), ids.Draw(t, "there")
		limit := rapid.IntRange(0, 5).Draw(t, "limit")
		var s Set
		for _, id := range here {
			s.Add(id)
		}
		var want []string
		for _, id := range there {
			if !slices.Contains(here, id) {
				want = append(want, id)
			}
		}
		first, n, err := Lacking(&s, side(there, nil), itself, limit)
		if err != nil || n != len(want) || fmt.Sprint(first) != fmt.Sprint(want[:min(limit, len(want))]) {
			t.Fatalf("%q %d %v, want %q", first, n, err, want)
		}
	})
}

// TestBrokenSide: half a listing says nothing.
func TestBrokenSide(t *testing.T) {
	var s Set
	s.Add("1")
	down := errors.New("down")
	first, n, err := Lacking(&s, side([]string{"1", "2"}, down), itself, 10)
	if !errors.Is(err, down) || n != 0 || len(first) != 0 || s.Len() != 1 {
		t.Errorf("%v %d %v", first, n, err)
	}
}
