package cli

import (
	"bytes"
	"context"
	"crypto/x509"
	"encoding/pem"
	"net/http/httptest"
	"os"
	"strings"
	"sync"
	"testing"
	"time"
)

// untilReady ends a hub as soon as it says that it runs.
type untilReady struct {
	mu    sync.Mutex
	buf   bytes.Buffer
	ready context.CancelFunc
}

func (w *untilReady) Write(b []byte) (int, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if strings.Contains(string(b), "waybill runs") {
		w.ready()
	}
	return w.buf.Write(b)
}

// runs starts the project in the present directory and gives what it said before it would have gone on.
func runs(t *testing.T) (ok bool, said string) {
	t.Helper()
	ctx, ready := context.WithTimeout(t.Context(), 90*time.Second)
	defer ready()
	out := &untilReady{ready: ready}
	var errs bytes.Buffer
	code := Main(ctx, []string{"run", "--log-level", "error"}, out, &errs)
	return code == 0 && strings.Contains(out.buf.String(), "waybill runs"), errs.String()
}

const (
	listens = "http: {listen: 127.0.0.1:0}\nhooks: {listen: 127.0.0.1:0}\n"
	pushed  = "systems: {crm: {connector: webhook}}\n"
	hooked  = "flow: orders\nentity: order\nfrom:\n  system: crm\n  webhook: {path: crm/orders, verify: %s}\nkey: source.no\nto: {topic: orders}\n"
)

// served is a hub with a certificate of its own, whose files lie beside the configuration.
const served = "http: {listen: 127.0.0.1:0, tls: {cert: tls/tls.crt, key: tls/tls.key}}\nhooks: {listen: 127.0.0.1:0}\n"

// pair are such files.
func pair(t *testing.T) map[string]string {
	t.Helper()
	s := httptest.NewTLSServer(nil)
	defer s.Close()
	lent := s.TLS.Certificates[0]
	key, err := x509.MarshalPKCS8PrivateKey(lent.PrivateKey)
	if err != nil {
		t.Fatal(err)
	}
	return map[string]string{"configs/tls/tls.crt": string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: lent.Certificate[0]})),
		"configs/tls/tls.key": string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: key}))}
}

func verify(settings string) string { return strings.Replace(hooked, "%s", settings, 1) }

// TestCheckIsWhatRunSays: what a hub would refuse at its start is a problem, at its place, and what it runs is none.
func TestCheckIsWhatRunSays(t *testing.T) {
	for _, c := range []struct {
		name, conf, flow string
		files            map[string]string
		env              map[string]string
		says             string // by check; empty: it runs
	}{
		{name: "nothing is wrong", conf: pushed, flow: verify("{scheme: standard-webhooks, secret: \"${env:S}\"}"), env: map[string]string{"S": "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"}},
		{name: "a secret that is no base64", conf: pushed, flow: verify("{scheme: standard-webhooks, secret: \"${env:S}\"}"), env: map[string]string{"S": "not base64!"},
			says: "flows/f.yaml:5:75: verify: standard-webhooks: secret 1: it must be base64"},
		{name: "the second secret", conf: pushed, flow: verify("{scheme: standard-webhooks, secrets: [\"${env:S}\", \"${env:T}\"]}"), env: map[string]string{"S": "YWJj", "T": "*"},
			says: "flows/f.yaml:5:76: verify: standard-webhooks: secret 2"},
		{name: "too many secrets", conf: pushed, flow: verify("{scheme: hmac, header: X-Sig, secrets: [" + strings.Repeat("\"${env:S}\", ", 9) + "]}"), env: map[string]string{"S": "s"},
			says: "9 secrets are active at once"},
		{name: "no organization", conf: pushed, flow: verify("{scheme: salesforce-outbound, organization: \"?\"}"), says: "organization is needed"},
		{name: "no such scheme", conf: pushed, flow: verify("{scheme: stripes, secret: \"${env:S}\"}"), env: map[string]string{"S": "s"}, says: "did you mean"},
		{name: "one path twice", conf: pushed, flow: verify("{scheme: bearer, secret: \"${env:S}\"}") + "---\n" + strings.Replace(verify("{scheme: bearer, secret: \"${env:S}\"}"), "flow: orders", "flow: others", 1),
			env: map[string]string{"S": "s"}, says: "path: crm/orders is taken by another flow"},
		{name: "listen on no address", conf: "http: {listen: \"256.0.0.1:8080\", tokens: [{name: a, value: \"${env:S}\"}]}\n", env: map[string]string{"S": "0123456789abcdef0123"}, says: "configs/waybill.yaml:1:16: listen: \"256.0.0.1:8080\" is no address"},
		{name: "listen on another machine's address", conf: "http: {listen: 127.0.0.1:0}\nhooks: {listen: \"203.0.113.7:0\"}\n", says: "configs/waybill.yaml:2:17: listen: this machine has no address 203.0.113.7"},
		{name: "a database below a file", conf: listens + "store: {sqlite: {path: a.txt/waybill.db}}\n", files: map[string]string{"a.txt": "x"}, says: "configs/waybill.yaml:3:24: path: the directory of a.txt/waybill.db: a.txt is no directory"},
		{name: "a database that is a directory", conf: listens + "store: {sqlite: {path: flows}}\n", says: "configs/waybill.yaml:3:24: path: flows is a directory"},
		{name: "a database that has no name", conf: listens + "store: {sqlite: {path: \"\"}}\n", says: "path: \"\" is no file"},
		{name: "copies below a file", conf: listens + "backup: {dir: a.txt/copies}\n", files: map[string]string{"a.txt": "x"}, says: "configs/waybill.yaml:3:15: note: dir: a.txt/copies: a.txt is no directory"},
		{name: "a broker below a file", conf: listens + "broker: {embedded: {dir: a.txt/broker}}\n", files: map[string]string{"a.txt": "x"}, says: "configs/waybill.yaml:3:26: dir: a.txt/broker: a.txt is no directory"},
		{name: "a broker without a directory", conf: listens + "broker: {embedded: {dir: \"\"}}\n", says: "dir: no directory is named"},
		{name: "PostgreSQL behind no URL", conf: listens + "store: {postgres: {url: \"${env:PG}\"}}\n", env: map[string]string{"PG": "postgres://u:hunter2@:port/"}, says: "configs/waybill.yaml:3:25: url: this is no PostgreSQL connection URL"},
		{name: "certificates that are not there", conf: listens + "broker: {kafka: {brokers: [\"127.0.0.1:1\"], tls: {ca: ca.pem}}}\n", says: "configs/waybill.yaml:3:54: broker.kafka.tls.ca: "},
		{name: "certificates that are none", conf: listens + "broker: {kafka: {brokers: [\"127.0.0.1:1\"], tls: {ca: ca.pem}}}\n", files: map[string]string{"configs/ca.pem": "x"}, says: "holds no PEM certificate"},
		{name: "a key that does not fit", conf: listens + "broker: {kafka: {brokers: [\"127.0.0.1:1\"], tls: {cert: c.pem, key: \"${env:S}\"}}}\n", files: map[string]string{"configs/c.pem": "x"}, env: map[string]string{"S": "hunter2"},
			says: "cert and key do not fit together"},
		{name: "a system's certificate", conf: listens + "systems: {erp: {connector: rest, url: \"https://erp.example\", tls: {ca: no.pem}, objects: {order: {}}}}\n", says: "configs/waybill.yaml:3:11: system erp: "},
		{name: "a system's URL", conf: listens + "systems: {erp: {connector: rest, url: \"ftp://erp.example\", objects: {order: {}}}}\n", says: "configs/waybill.yaml:3:39: url: "},
		{name: "a database of another kind", conf: listens + "systems: {erp: {connector: sql, driver: postgres, url: \"${env:PG}\", objects: {order: {table: o, columns: {id: integer}}}}}\n", env: map[string]string{"PG": "mysql://u:hunter2@h/d"},
			says: "configs/waybill.yaml:3:11: system erp: open database: "},
		{name: "a folder that is not there yet", conf: listens + "systems: {drop: {connector: file, path: in, objects: {order: {}}}}\n"},
		{name: "a cron line", conf: listens + "systems: {erp: {connector: rest, url: \"https://erp.example\", objects: {order: {}}}}\n",
			flow: "flow: orders\nentity: order\nfrom: {system: erp, poll: {schedule: \"0 25 * * *\"}}\nto: {topic: orders}\n", says: "flows/f.yaml:3:38: schedule: "},
		{name: "a zone", conf: listens + "systems: {erp: {connector: rest, url: \"https://erp.example\", objects: {order: {}}}}\n",
			flow: "flow: orders\nentity: order\nfrom: {system: erp, poll: {schedule: \"0 2 * * *\", timezone: Asia/Shangai}}\nto: {topic: orders}\n", says: "timezone: \"Asia/Shangai\" is not known"},
		{name: "a topic of the broker's own", conf: listens, flow: "flow: orders\nentity: order\nfrom: {topic: orders}\nto: {topic: __consumer_offsets}\n", says: "the topic __consumer_offsets is the broker's own"},
		{name: "a topic that is no name", conf: listens, flow: "flow: orders\nentity: order\nfrom: {topic: orders}\nto: {topic: \"my orders\"}\n", says: "\"my orders\" cannot be a topic"},
		{name: "two topics that are one", conf: listens, flow: "flow: orders\nentity: order\nfrom: {topic: a.b}\nto: {topic: a_b}\n", says: "differ in dots and underscores alone"},
		{name: "the hub's own certificate", conf: served, files: pair(t)},
		{name: "the hub's own certificate that is not there", conf: served, says: "configs/waybill.yaml:1:41: cert: the file configs/tls/tls.crt cannot be read: no such file or directory"},
		{name: "the hub's own key that is not there", conf: served, files: map[string]string{"configs/tls/tls.crt": "x"}, says: "configs/waybill.yaml:1:59: key: the file configs/tls/tls.key cannot be read"},
		{name: "the hub's own certificate that is none", conf: served, files: map[string]string{"configs/tls/tls.crt": "x", "configs/tls/tls.key": "y"}, says: "configs/waybill.yaml:1:41: cert: tls/tls.crt holds no certificate in PEM"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Chdir(t.TempDir())
			for k, v := range c.env {
				t.Setenv(k, v)
			}
			conf := c.conf
			if !strings.Contains(conf, "listen") {
				conf = listens + conf
			}
			write(t, "configs/waybill.yaml", conf)
			if err := os.MkdirAll("flows", 0o755); err != nil {
				t.Fatal(err)
			}
			if c.flow != "" {
				write(t, "flows/f.yaml", c.flow)
			}
			for name, text := range c.files {
				write(t, name, text)
			}
			code, out, errs := command(t, "check")
			ok, said := runs(t)
			if strings.Contains(out+said, "hunter2") {
				t.Errorf("a secret is shown:\n%s%s", out, said)
			}
			if (code == 0) != ok {
				t.Errorf("check exits with %d, and run says %v\n%s%s---\n%s", code, ok, out, errs, said)
			}
			if c.says == "" && code != 0 || !strings.Contains(out, c.says) {
				t.Errorf("check: %d\n%s%swant %q", code, out, errs, c.says)
			}
		})
	}
}

// TestCheckLeavesNothing: looking makes no file.
func TestCheckLeavesNothing(t *testing.T) {
	project(t)
	if code, out, errs := command(t, "check"); code != 0 {
		t.Fatal(code, out, errs)
	}
	if _, err := os.Stat("data"); err == nil {
		t.Error("check made the data directory")
	}
}

// TestCheckWithoutTheSecrets: what is not set here is told as that, and nothing is said of its content.
func TestCheckWithoutTheSecrets(t *testing.T) {
	t.Chdir(t.TempDir())
	write(t, "configs/waybill.yaml", listens+`store: {postgres: {url: "${env:NO_PG}"}}
systems:
  crm: {connector: webhook}
  erp: {connector: rest, url: "${env:NO_ADDRESS}", timeout: "${env:NO_TIMEOUT}", limit: {concurrency: "${env:NO_LIMIT}"}, tls: {ca: "${env:NO_CA}"}, objects: {order: {}}}
  wms: {connector: sql, driver: postgres, url: "${file:no-such-file}", objects: {order: {table: o, columns: {id: integer}}}}
`)
	write(t, "flows/f.yaml", verify("{scheme: standard-webhooks, secret: \"${env:NO_SECRET}\"}"))
	code, out, errs := command(t, "check")
	if want := "no problems: 1 flows\nnot set here, so that what they hold is not checked: env:NO_ADDRESS, env:NO_CA, env:NO_LIMIT, env:NO_PG, env:NO_SECRET, env:NO_TIMEOUT, file:no-such-file\n"; code != 0 || !strings.HasSuffix(out, want) {
		t.Errorf("%d\n%s%s\nwant %s", code, out, errs, want)
	}
	t.Setenv("NO_TIMEOUT", "soon")
	if code, out, _ = command(t, "check"); code != 1 || !strings.Contains(out, "configs/waybill.yaml:6:61: timeout: ") {
		t.Errorf("%d\n%s", code, out)
	}
}

// TestCheckElsewhere: what this machine lacks is no problem of files for another one.
func TestCheckElsewhere(t *testing.T) {
	t.Chdir(t.TempDir())
	write(t, "a.txt", "x")
	write(t, "configs/waybill.yaml", "http: {listen: 127.0.0.1:0}\nhooks: {listen: \"203.0.113.7:0\"}\nstore: {sqlite: {path: a.txt/waybill.db}}\nbroker: {kafka: {brokers: [\"127.0.0.1:1\"], tls: {ca: ca.pem}}}\n")
	if code, out, _ := command(t, "check"); code != 1 || !strings.Contains(out, "3 problems in 1 file") {
		t.Errorf("%d\n%s", code, out)
	}
	if code, out, _ := command(t, "check", "--elsewhere"); code != 0 || strings.Count(out, ": note: ") != 4 {
		t.Errorf("%d\n%s", code, out)
	}
	write(t, "configs/waybill.yaml", served)
	if code, out, _ := command(t, "check", "--elsewhere"); code != 0 || strings.Count(out, ": note: ") != 3 || !strings.Contains(out, "note: key: the file configs/tls/tls.key cannot be read") {
		t.Errorf("%d\n%s", code, out)
	}
}
