package cli

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/spf13/cobra"
	"golang.org/x/term"

	"github.com/waybill-hub/waybill/internal/access"
)

// mostTyped is how much of a line is read as a password.
const mostTyped = 4 << 10

// passwordCommand makes what a configuration says of a user's password.
func (e *env) passwordCommand() *cobra.Command {
	return &cobra.Command{Use: "password", Short: "Make the hash of a password for a user of http.users: asked for at a terminal, or the first line of what is piped in", Args: cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			typed, err := e.typed(c.InOrStdin())
			if err != nil {
				return err
			}
			hash, err := access.HashPassword(typed)
			if err != nil {
				return usage("%w", err)
			}
			fmt.Fprintln(e.out, hash)
			return nil
		}}
}

// typed reads a password: from a person twice, and without showing it.
func (e *env) typed(in io.Reader) (string, error) {
	f, ok := in.(*os.File)
	if !ok || !term.IsTerminal(int(f.Fd())) {
		line, err := bufio.NewReader(io.LimitReader(in, mostTyped)).ReadString('\n')
		if err != nil && !errors.Is(err, io.EOF) {
			return "", fmt.Errorf("the password cannot be read: %w", err)
		}
		return strings.TrimRight(line, "\r\n"), nil
	}
	ask := func(what string) (string, error) {
		fmt.Fprint(e.err, what)
		line, err := term.ReadPassword(int(f.Fd()))
		fmt.Fprintln(e.err)
		return string(line), err
	}
	first, err := ask("Password: ")
	if err != nil {
		return "", fmt.Errorf("the password cannot be read: %w", err)
	}
	again, err := ask("Once more: ")
	if err != nil {
		return "", fmt.Errorf("the password cannot be read: %w", err)
	}
	if first != again {
		return "", usage("the two are not the same: try again")
	}
	return first, nil
}
