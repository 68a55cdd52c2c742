package drop

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestCopies: a copy has the bytes that were listed, comes once, is there for as long as it is read, and few are kept.
func TestCopies(t *testing.T) {
	at := filepath.Join(t.TempDir(), "five")
	if err := os.WriteFile(at, []byte("12345"), 0o600); err != nil {
		t.Fatal(err)
	}
	info, err := os.Stat(at)
	if err != nil {
		t.Fatal(err)
	}
	var c Copies
	gives := func(text string) func(int64, io.Writer) error {
		return func(from int64, to io.Writer) error {
			_, err := io.WriteString(to, text[from:])
			return err
		}
	}
	if _, err := c.Open("a", info, gives("123")); err == nil || !strings.Contains(err.Error(), "3 bytes came of 5 that were listed") {
		t.Errorf("half a file: %v", err)
	}
	in, err := c.Open("a", info, gives("1234567"))
	if err != nil {
		t.Fatal(err)
	}
	if err := c.Forget("a"); err != nil {
		t.Error(err)
	}
	if got, err := io.ReadAll(in); string(got) != "12345" || err != nil {
		t.Errorf("%q %v", got, err)
	}
	if err := in.Close(); err != nil {
		t.Error(err)
	}
	for n := range 2 * mostCopies {
		in, err := c.Open(fmt.Sprint(n), info, gives("12345"))
		if err != nil {
			t.Fatal(err)
		}
		if err := in.Close(); err != nil {
			t.Error(err)
		}
	}
	if len(c.held) != mostCopies {
		t.Errorf("%d copies are kept", len(c.held))
	}
	if in, err = c.Open("7", info, func(int64, io.Writer) error { return errors.New("it comes again") }); err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(in.Close(), c.Close()); err != nil {
		t.Error(err)
	}
}
