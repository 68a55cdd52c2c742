package cli

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/waybill-hub/waybill/internal/access"
)

// What is piped in becomes a hash that a configuration takes, and is not shown.
func TestPasswordCommand(t *testing.T) {
	for given, want := range map[string]int{"correct horse battery\n": 0, "correct horse battery\r\n": 0, "correct horse battery": 0, "short\n": exitUsage, "": exitUsage} {
		name := filepath.Join(t.TempDir(), "password")
		if err := os.WriteFile(name, []byte(given), 0o600); err != nil {
			t.Fatal(err)
		}
		in, err := os.Open(name)
		if err != nil {
			t.Fatal(err)
		}
		var out, errs strings.Builder
		root := newRoot(&env{out: &out, raw: &out, err: &errs, rawErr: &errs})
		root.SetArgs([]string{"password"})
		root.SetIn(in)
		root.SetOut(&out)
		root.SetErr(&errs)
		err = root.ExecuteContext(t.Context())
		in.Close()
		if (err == nil) != (want == 0) {
			t.Errorf("%q: %v", given, err)
			continue
		}
		if want != 0 {
			if strings.Contains(err.Error(), "short") {
				t.Errorf("the password is shown: %v", err)
			}
			continue
		}
		p, err := access.ParsePassword(strings.TrimSpace(out.String()))
		if err != nil || !p.Is("correct horse battery") || strings.Contains(out.String()+errs.String(), "horse") {
			t.Errorf("%q: %v %s", given, err, out.String())
		}
	}
}
