//go:build unix

package cli

import (
	"bytes"
	"context"
	"errors"
	"os"
	"strings"
	"syscall"
	"testing"
	"time"
)

// TestReadInput: pipes are read, more than the bound is refused, and an interrupt ends what waits for a pipe that nobody writes to, opened or not.
func TestReadInput(t *testing.T) {
	t.Chdir(t.TempDir())
	write(t, "a.json", "0123456789")
	if data, err := readInput(t.Context(), "a.json", nil, 10); err != nil || string(data) != "0123456789" {
		t.Errorf("%q %v", data, err)
	}
	if data, err := readInput(t.Context(), "-", strings.NewReader("x"), 10); err != nil || string(data) != "x" {
		t.Errorf("%q %v", data, err)
	}
	for _, name := range []string{"a.json", "-"} {
		if _, err := readInput(t.Context(), name, bytes.NewReader(make([]byte, 10)), 9); err == nil || !strings.Contains(err.Error(), "is longer than 9") {
			t.Errorf("%s: %v", name, err)
		}
	}
	if err := syscall.Mkfifo("pipe", 0o600); err != nil {
		t.Fatal(err)
	}
	interrupted := errors.New("interrupt")
	ends := func(what, name string) {
		t.Helper()
		ctx, cancel := context.WithCancelCause(t.Context())
		done := make(chan error, 1)
		go func() { _, err := readInput(ctx, name, nil, 10); done <- err }()
		cancel(interrupted)
		select {
		case err := <-done:
			if !errors.Is(err, interrupted) {
				t.Errorf("%s: %v", what, err)
			}
		case <-time.After(10 * time.Second):
			t.Fatal(what + ": an interrupt does not end it")
		}
	}
	ends("nobody writes", "pipe")
	w, err := os.OpenFile("pipe", os.O_RDWR, 0) // lets the reader of before go on, too
	if err != nil {
		t.Fatal(err)
	}
	ends("a writer that is silent", "pipe")
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
}
