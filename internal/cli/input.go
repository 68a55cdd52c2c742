package cli

import (
	"context"
	"fmt"
	"io"
	"os"

	"github.com/waybill-hub/waybill/internal/strictyaml"
)

// mostInput bounds what a command reads of a file that was named to it.
const mostInput = 64 << 20

// readInput reads a file that a command was given, or standard input for "-". Pipes are read, too (`--sample <(curl …)`): so nobody knows whether one
// ever ends, and an interrupt ends the command, not only the file. More than most bytes are an error.
func readInput(ctx context.Context, name string, stdin io.Reader, most int64) ([]byte, error) {
	type result struct {
		data []byte
		err  error
	}
	done := make(chan result, 1)
	go func() { // opening a pipe that nobody writes to blocks and cannot be called off: the process's end ends it
		data, err := readAtMost(name, stdin, most)
		done <- result{data, err}
	}()
	select {
	case r := <-done:
		return r.data, r.err
	case <-ctx.Done():
		return nil, fmt.Errorf("%s was not read to its end: %w", name, context.Cause(ctx))
	}
}

func readAtMost(name string, stdin io.Reader, most int64) ([]byte, error) {
	in := stdin
	if name != "-" {
		f, err := os.Open(name)
		if err != nil {
			return nil, err
		}
		defer f.Close()
		in = f
	}
	data, err := io.ReadAll(io.LimitReader(in, most+1))
	if err == nil && int64(len(data)) > most {
		err = fmt.Errorf("%s is longer than %s", name, strictyaml.Size(most))
	}
	return data, err
}
