package cli

import (
	"errors"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestWrongUsage: what is wrong with a command line is said before a hub is asked, and exits with 2.
func TestWrongUsage(t *testing.T) {
	bad := filepath.Join(t.TempDir(), "bad.json")
	if err := os.WriteFile(bad, []byte("{\n  \"no\": 1,\n  \"seq\" 2\n}\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	t.Setenv("VISUAL", "")
	t.Setenv("EDITOR", "")
	for _, c := range []struct {
		args []string
		code int
		says string
	}{
		{[]string{"trace"}, 2, "waybill trace: give a KEY"},
		{[]string{"xref", "a", "b"}, 2, "waybill xref takes one argument, and 2 are given"},
		{[]string{"pause"}, 2, "waybill pause: give a FLOW"},
		{[]string{"rewind"}, 2, "waybill rewind: give a FLOW"},
		{[]string{"rewind", "sales"}, 2, "waybill rewind: give --to: a time such as 2026-11-01T00:00:00Z"},
		{[]string{"resend", "order"}, 2, "waybill resend: give an ENTITY and the KEYs of objects, such as order SO-1000, or --all in place of keys"},
		{[]string{"resend", "order", "SO-1", "--all"}, 2, "waybill resend: --all stands for every object: leave the KEYs out"},
		{[]string{"resend", "order", "SO-1", "SO-2", "--id", "x"}, 2, "waybill resend: --id names one wish, and 2 KEYs are given"},
		{[]string{"resend", "order", "--all", "--dry-run"}, 2, "waybill resend: --dry-run and --id are of single objects"},
		{[]string{"resend", "order", "SO-1", "--since", "3d"}, 2, "waybill resend: --since and --detach go with --all"},
		{[]string{"resend", "order", "--all", "--since", "yesterday"}, 2, "waybill resend: --since: "},
		{[]string{"resend", "order", "--all", "--url", "http://127.0.0.1:1"}, 3, "no hub answers at"},
		{[]string{"backfill", "a", "b"}, 2, "waybill backfill takes one FLOW, and 2 words are given"},
		{[]string{"backfill", "--note", "x"}, 2, "waybill backfill: give a FLOW for --note"},
		{[]string{"backfill", "orders", "--since", "yesterday"}, 2, "waybill backfill: --since: "},
		{[]string{"backfill", "show", "x"}, 2, `waybill backfill show: "x" is no backfill's number`},
		{[]string{"backfill", "cancel"}, 2, "waybill backfill cancel: give the NUMBER of a backfill"},
		{[]string{"backfill", "orders", "--url", "http://127.0.0.1:1"}, 3, "no hub answers at"},
		{[]string{"resend", "order", "SO-1", "--url", "http://127.0.0.1:1"}, 3, "no hub answers at"},
		{[]string{"bench", "--work", "idl"}, 2, "--work is orders, road or idle, not idl"},
		{[]string{"bench", "--work", "idle", "--for", "0s", "--delay", "5s"}, 2, "--delay is for --work road, and says nothing to idle"},
		{[]string{"bench", "--work", "idle", "--for", "0s", "--runs", "3"}, 2, "--runs is for --work orders or road, and says nothing to idle"},
		{[]string{"bench", "--runs", "0", "--against", "other"}, 2, "--against is for --work road or idle, and says nothing to orders"},
		{[]string{"bench", "--work", "road", "--runs", "0", "--flows", "3"}, 2, "--flows is for --work idle, and says nothing to road"},
		{[]string{"bench", "--work", "idle", "--for", "0s", "--flows", "3", "--against", "other"}, 2, "--flows is at least 2, and --for at least 1s"},
		{[]string{"bench", "--work", "road", "--runs", "0", "--against", "other", "--delay", "1s", "--syncs"}, 2, "--orders and --runs must be at least 1"},
		{[]string{"bench", "--work", "road", "--beside", "lazy"}, 2, "--beside is dead, slow or consoles, not lazy"},
		{[]string{"bench", "--work", "road", "--lines", "2"}, 2, "--lines is at least 3"},
		{[]string{"bench", "--lines", "4"}, 2, "--lines is for --work road, and says nothing to orders"},
		{[]string{"sweep"}, 2, "waybill sweep: give a FLOW"},
		{[]string{"sweep", "sales", "--at-most", "half"}, 2, `--at-most: "half" is neither: write a share or a number: 5% or 100`},
		{[]string{"files", "retake", "stock"}, 2, "name the files as `waybill files list stock` does, or give --all"},
		{[]string{"files", "retake", "stock", "a.csv", "--all"}, 2, "or give --all"},
		{[]string{"files", "retake"}, 2, "give a FLOW, and a FILE or --all"},
		{[]string{"files", "list", "stock", "--url", "http://127.0.0.1:1"}, 3, "no hub answers at"},
		{[]string{"sweep", "sales", "--url", "http://127.0.0.1:1"}, 3, "no hub answers at"},
		{[]string{"rewind", "sales", "--to", "start", "--url", "http://127.0.0.1:1"}, 3, "no hub answers at"},
		{[]string{"reconcile", "a", "b"}, 2, "waybill reconcile takes one NAME, and 2 words are given"},
		{[]string{"reconcile", "--key", "C-1"}, 2, "waybill reconcile: give a NAME for --key"},
		{[]string{"reconcile", "customers", "--dry-run"}, 2, "--dry-run says how to repair: add --repair"},
		{[]string{"reconcile", "customers", "--repair", "--at-most", "0"}, 2, "--at-most 0: a number from 1 on"},
		{[]string{"reconcile", "customers", "--since", "yesterday"}, 2, `--since: "yesterday" is neither a time with its zone`},
		{[]string{"reconcile", "customers", "--report", "a.pdf"}, 2, "its ending must be .json, .csv or .xlsx"},
		{[]string{"reconcile", "customers", "--report", "nowhere/a.csv"}, 2, "there is no such folder"},
		{[]string{"reconcile", "customers", "--report", "a.csv", "--detach"}, 2, "--report needs the end of the run"},
		{[]string{"reconcile", "runs"}, 2, "waybill reconcile runs: give a NAME"},
		{[]string{"reconcile", "show", "x"}, 2, `"x" is no run's number`},
		{[]string{"reconcile", "show", "7", "--limit", "0"}, 2, "--limit 0: from 1 to 1000"},
		{[]string{"reconcile", "cancel"}, 2, "give the number of a RUN"},
		{[]string{"reconcile", "repair"}, 2, "give the number of a RUN"},
		{[]string{"reconcile", "repair", "7"}, 2, "say what is to be repaired: numbers, --reason or --all"},
		{[]string{"reconcile", "repair", "7", "1", "--all"}, 2, "give numbers, --reason or --all, one of them"},
		{[]string{"reconcile", "repair", "7", "0"}, 2, `"0" is no difference's number`},
		{[]string{"rule", "shipped", "--repair"}, 2, "unknown flag: --repair"},
		{[]string{"reconcile", "customers", "--url", "http://127.0.0.1:1"}, 3, "no hub answers at"},
		{[]string{"rule", "--url", "http://127.0.0.1:1"}, 3, "no hub answers at"},
		{[]string{"parked", "show"}, 2, "waybill parked show: give the ID of a message"},
		{[]string{"status", "--url", "foo"}, 2, `--url "foo": write for example`},
		{[]string{"help", "nope"}, 2, `there is no command "nope" under waybill`},
		{[]string{"help", "parked", "lst"}, 2, `there is no command "lst" under waybill parked (did you mean list?)`},
		{[]string{"parked", "edit", "1", "--note", "x", "--file", bad}, 1, bad + ":3:9: this is no JSON"},
		{[]string{"status", "--url", "http://127.0.0.1:1"}, 3, "no hub answers at"},
	} {
		code, out, err := command(t, c.args...)
		if code != c.code || !strings.Contains(err, c.says) || out != "" {
			t.Errorf("waybill %s: %d\n%s%s\nwant %d and %q", strings.Join(c.args, " "), code, out, err, c.code, c.says)
		}
	}
	if code, out, err := command(t, "help", "parked", "list"); code != 0 || !strings.Contains(out, "waybill parked list") {
		t.Errorf("help parked list: %d %s %s", code, out, err)
	}
}

// TestTokenIsAskedFor: a hub that wants a token, or does not know the one that was given, is no flow that is late.
func TestTokenIsAskedFor(t *testing.T) {
	hub := hubServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/problem+json")
		w.WriteHeader(http.StatusUnauthorized)
		_, _ = w.Write([]byte(`{"title":"Unauthorized","status":401}`)) // a test's answer
	}))
	defer hub.Close()
	for _, c := range []struct{ token, says string }{
		{"", " wants a token: give one with --token or in WAYBILL_TOKEN"},
		{"wrong", " does not know this token: give one with --token or in WAYBILL_TOKEN"},
	} {
		code, out, err := command(t, "status", "--url", hub.URL, "--token", c.token)
		if code != 2 || out != "" || !strings.Contains(err, c.says) || strings.Contains(err, "wrong") {
			t.Errorf("token %q: %d %s%s", c.token, code, out, err)
		}
	}
}

// TestMessageIsNamedOnce: a failure says which message it is about, and another message's does not count.
func TestMessageIsNamedOnce(t *testing.T) {
	for said, want := range map[string]string{
		"not found":                     "message 1: not found",
		"message 1: not found":          "message 1: not found",
		"message 1 queues behind 7":     "message 1 queues behind 7",
		"message 12 is being worked on": "message 1: message 12 is being worked on",
	} {
		if got := ofMessage("1", errors.New(said)).Error(); got != want {
			t.Errorf("%q: %q, want %q", said, got, want)
		}
	}
}

// TestRemarks: what is no problem, and nobody will have wanted, is said.
func TestRemarks(t *testing.T) {
	project(t)
	if err := os.RemoveAll("flows"); err != nil {
		t.Fatal(err)
	}
	if code, out, err := command(t, "check"); code != 0 || !strings.Contains(out, "configs/waybill.yaml: note: no flows were found") {
		t.Errorf("%d %s%s", code, out, err)
	}
	if code, out, err := command(t, "check", "--strict"); code != 1 || !strings.Contains(out, "no flows were found") {
		t.Errorf("--strict: %d %s%s", code, out, err)
	}
	if code, out, err := command(t, "check", "--format", "json"); code != 0 || !strings.Contains(out, `"level": "note"`) {
		t.Errorf("json: %d %s%s", code, out, err)
	}
}

// TestNoTerminalNoEditor: /dev/null is a device, and no terminal.
func TestNoTerminalNoEditor(t *testing.T) {
	null, err := os.Open(os.DevNull)
	if err != nil {
		t.Fatal(err)
	}
	defer null.Close()
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	defer w.Close()
	for name, in := range map[string]io.Reader{"/dev/null": null, "a pipe": r, "a text": strings.NewReader("x")} {
		if isTerminal(in) {
			t.Errorf("%s counts as a terminal", name)
		}
	}
}
