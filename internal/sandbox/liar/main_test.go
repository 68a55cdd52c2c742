package liar

import (
	"bufio"
	"context"
	"encoding/json"
	"io"
	"strings"
	"testing"
)

// TestMainServes: as a process of its own it serves, is calmed, and tells its verdict.
func TestMainServes(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	r, w := io.Pipe()
	ended := make(chan error, 1)
	go func() { ended <- Main(ctx, []string{"--listen", "127.0.0.1:0", "--items", "10", "--rate", "0"}, w) }()
	line, err := bufio.NewReader(r).ReadString('\n')
	if err != nil {
		t.Fatal(err)
	}
	go func() { _, _ = io.Copy(io.Discard, r) }()
	url := strings.TrimSpace(strings.TrimPrefix(line, "liar "))
	if got, err := send(t, "POST", url+"/_calm", ""); err != nil || !strings.HasPrefix(got, "everything can be read from ") {
		t.Errorf("%s %v", got, err)
	}
	if _, err := send(t, "POST", url+"/_grade", ""); err != nil {
		t.Error(err)
	}
	_, body := get(t, url+"/_verdict")
	var v Verdict
	if err := json.Unmarshal([]byte(body), &v); err != nil || v.Changes != 10 {
		t.Errorf("%v: %s", err, body)
	}
	cancel()
	if err := <-ended; err != nil {
		t.Error(err)
	}
	for _, args := range [][]string{{"x"}, {"--nope"}, {"--items", "0"}, {"--listen", "nowhere"}} {
		if err := Main(t.Context(), args, io.Discard); err == nil {
			t.Errorf("%v is taken", args)
		}
	}
	var help strings.Builder
	if err := Main(t.Context(), []string{"--help"}, &help); err != nil || !strings.Contains(help.String(), "-late") {
		t.Errorf("%v %s", err, help.String())
	}
}
