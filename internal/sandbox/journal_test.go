package sandbox

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
)

// Whatever the CRM and the WMS have answered for, they still know after kill -9, and the log says so.
func TestLogsSurviveKill(t *testing.T) {
	dir := t.TempDir()
	child := exec.Command(os.Args[0])
	child.Env = append(os.Environ(), "SANDBOX_TEST_CHILD="+strings.Join([]string{"all", "--dir", dir, "--rate", "200", "--hook-url", "",
		"--listen-crm", "127.0.0.1:0", "--listen-erp", "127.0.0.1:0", "--listen-wms", "127.0.0.1:0", "--items", "20", "--accounts", "5", "--erp-customers", "5"}, "\x1f"))
	child.Stderr = os.Stderr
	out, err := child.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := child.Start(); err != nil {
		t.Fatal(err)
	}
	urls := map[string]string{}
	for lines := bufio.NewScanner(out); lines.Scan() && lines.Text() != "ready"; {
		name, url, _ := strings.Cut(lines.Text(), " ")
		urls[name] = url
	}
	var mu sync.Mutex
	answered := map[string][]string{} // system → external ids that were answered 201
	var wg sync.WaitGroup
	for n := range 4 {
		wg.Go(func() {
			crm := client{t, urls[CRM] + "/api/", "Bearer " + crmToken(1), "Authorization"}
			wms := client{t, urls[WMS] + "/v1/", wmsToken(1), "X-Api-Key"}
			for i := 0; ; i++ {
				id := fmt.Sprintf("kill-%d-%d", n, i)
				if r, err := crm.try("POST", "accounts", anAccount(map[string]any{"External_Id__c": id})); err != nil || r.status != 201 {
					return
				}
				mu.Lock()
				answered[CRM] = append(answered[CRM], id)
				mu.Unlock()
				if r, err := wms.try("POST", "products", map[string]any{"externalId": id, "sku": id, "name": id, "unit": "PCE"}); err != nil || r.status != 201 {
					return
				}
				mu.Lock()
				answered[WMS] = append(answered[WMS], id)
				enough := len(answered[WMS]) == 100
				mu.Unlock()
				if enough {
					_ = child.Process.Kill()
				}
			}
		})
	}
	wg.Wait()
	_ = child.Wait()

	s, err := ReadSnapshot(t.Context(), dir, "")
	if err != nil {
		t.Fatal(err)
	}
	for system, entity := range map[string]string{CRM: Customer, WMS: Product} {
		have := s.ByExternal(system, entity)
		logged := map[string]bool{}
		for e, err := range ReadLog(LogPath(dir, system)) {
			if err != nil {
				t.Fatal(err)
			}
			if e.Actor == "api" && e.Applied && e.Status == 201 {
				logged[e.External] = true
			}
		}
		for _, id := range answered[system] {
			if len(have[id]) != 1 || !logged[id] {
				t.Errorf("%s: %s was answered 201, and there are %d of it, logged %v", system, id, len(have[id]), logged[id])
			}
		}
	}
	if len(answered[WMS]) < 100 {
		t.Errorf("only %d answers", len(answered[WMS]))
	}
	// And it goes on from there.
	w := quiet(t, Options{Dir: dir, NoHooks: true})
	again, err := w.Snapshot()
	if err != nil {
		t.Fatal(err)
	}
	if again.Count(CRM, Customer) < s.Count(CRM, Customer) {
		t.Error("the restarted CRM knows less")
	}
	n := 0
	for _, err := range w.Logs(ERP) {
		if err != nil {
			t.Fatal(err)
		}
		n++
	}
	if want := one(t, w.outside(t), "SELECT COUNT(*) FROM _log"); want != fmt.Sprint(n) {
		t.Errorf("the ERP's log file has %d entries, its table %s", n, want)
	}
}

func TestTornLine(t *testing.T) {
	path := filepath.Join(t.TempDir(), "log.jsonl")
	j, err := openJournal(path, func(*Entry) error { return nil })
	if err != nil {
		t.Fatal(err)
	}
	for range 3 {
		if err := j.append(&Entry{System: CRM}); err != nil {
			t.Fatal(err)
		}
	}
	if err := j.Close(); err != nil {
		t.Fatal(err)
	}
	if err := j.append(&Entry{}); err == nil {
		t.Error("a closed log took an entry")
	}
	raw, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	for _, cut := range []int{1, 10, len(raw) / 3} {
		if err := os.WriteFile(path, raw[:len(raw)-cut], 0o644); err != nil {
			t.Fatal(err)
		}
		n := 0
		j, err := openJournal(path, func(*Entry) error { n++; return nil })
		if err != nil {
			t.Fatal(err)
		}
		e := Entry{System: CRM}
		if err := errors.Join(j.append(&e), j.Close()); err != nil {
			t.Fatal(err)
		}
		if want := 2; n != want || e.Seq != 3 {
			t.Errorf("cut %d: %d entries were left, the next is number %d", cut, n, e.Seq)
		}
	}
	if err := os.WriteFile(path, []byte("{}\nnonsense\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	if _, err := openJournal(path, func(*Entry) error { return nil }); err == nil || !strings.Contains(err.Error(), "byte 3") {
		t.Errorf("nonsense in the middle: %v", err)
	}
}

func FuzzScanEntries(f *testing.F) {
	f.Add([]byte("{\"seq\":1}\n{\"seq\":2"))
	f.Add([]byte("\n"))
	f.Fuzz(func(t *testing.T, data []byte) {
		end, err := scanEntries(bytes.NewReader(data), func(e *Entry) error {
			_, err := json.Marshal(e)
			return err
		})
		if end > int64(len(data)) || err == nil && end < int64(len(data)) && bytes.ContainsRune(data[end:], '\n') {
			t.Errorf("ended at %d of %d: %v", end, len(data), err)
		}
	})
}

func TestMainUsage(t *testing.T) {
	for _, args := range [][]string{{}, {"erm"}, {"crm", "--no-such-flag"}, {"crm", "more"}, {"crm", `--chaos={"errors":1}`}} {
		var out bytes.Buffer
		if err := Main(t.Context(), args, &out); !errors.Is(err, ErrUsage) {
			t.Errorf("%q: %v", args, err)
		}
	}
	var out bytes.Buffer
	if err := Main(t.Context(), []string{"env", "--dir", "/srv/x", "--seed", "7"}, &out); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"export WAYBILL_DEMO_CRM_URL='http://127.0.0.1:18071'", "export WAYBILL_DEMO_ERP_DB='/srv/x/erp.db'", "export WAYBILL_DEMO_WMS_DROP='/srv/x/drop'", "export WAYBILL_DEMO_CRM_HOOK_SECRET='" + HookSecret(7) + "'"} {
		if !strings.Contains(out.String(), want+"\n") {
			t.Errorf("no %s in\n%s", want, out.String())
		}
	}
}
