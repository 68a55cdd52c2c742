package kafka

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/pbkdf2"
	"crypto/rand"
	"crypto/sha512"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"math/big"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/waybill-hub/waybill/internal/connector"
	"github.com/waybill-hub/waybill/internal/fault"
	"github.com/waybill-hub/waybill/internal/needtest"
)

// secured is an Apache Kafka with four listeners: plain for the test itself, who is a superuser there, then SASL, TLS, and TLS with SASL.
type secured struct {
	plain, sasl, tls, both string
	ca, stranger           string // files of authorities: the broker's, and another one
}

const hubPassword, adminPassword = "right-pa55word", "admin-pa55word"

// securedKafka starts one. It ends with the test.
func securedKafka(t *testing.T) *secured {
	t.Helper()
	needtest.Kafka(t) // where Apache Kafka is tested at all
	for _, tool := range []string{"java", "mvn"} {
		if _, err := exec.LookPath(tool); err != nil {
			needtest.Missing(t, "%s is missing, and a Kafka with logins is started from Maven Central: install it", tool)
		}
	}
	dir, port := t.TempDir(), ports(t, 5)
	at := func(n int) string { return net.JoinHostPort("127.0.0.1", strconv.Itoa(port+n)) }
	s := &secured{plain: at(0), sasl: at(2), tls: at(3), both: at(4), ca: filepath.Join(dir, "ca.pem"), stranger: filepath.Join(dir, "stranger.pem")}
	chain := filepath.Join(dir, "broker.pem")
	certificates(t, s.ca, chain)
	certificates(t, s.stranger, filepath.Join(dir, "unused.pem"))
	var names, listeners []string
	for name, addr := range map[string]string{"PLAINTEXT": s.plain, "SASL_PLAINTEXT": s.sasl, "SSL": s.tls, "SASL_SSL": s.both} {
		listeners = append(listeners, name+"://"+addr)
		names = append(names, name+":"+name)
	}
	settings := []string{
		"listeners=" + strings.Join(listeners, ",") + ",CONTROLLER://" + at(1),
		"advertised.listeners=" + strings.Join(listeners, ","),
		"listener.security.protocol.map=CONTROLLER:PLAINTEXT," + strings.Join(names, ","),
		"sasl.enabled.mechanisms=PLAIN,SCRAM-SHA-512",
		"ssl.keystore.type=PEM", "ssl.keystore.location=" + chain, "ssl.client.auth=none",
		"authorizer.class.name=org.apache.kafka.metadata.authorizer.StandardAuthorizer", "super.users=User:ANONYMOUS",
	}
	for _, listener := range []string{"sasl_plaintext", "sasl_ssl"} {
		settings = append(settings,
			"listener.name."+listener+".plain.sasl.jaas.config=org.apache.kafka.common.security.plain.PlainLoginModule required "+
				`username="admin" password="`+adminPassword+`" user_hub="`+hubPassword+`";`,
			"listener.name."+listener+".scram-sha-512.sasl.jaas.config=org.apache.kafka.common.security.scram.ScramLoginModule required "+
				`username="admin" password="`+adminPassword+`";`)
	}
	run := func(arg string) {
		cmd := exec.Command("../../internal/test/systems/kafka.sh", arg)
		cmd.Env = append(os.Environ(), "WAYBILL_KAFKA_PORT="+strconv.Itoa(port), "WAYBILL_KAFKA_HEAP=256m", "WAYBILL_KAFKA_SETTINGS="+strings.Join(settings, "\n"))
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Errorf("kafka.sh %s: %v\n%s", arg, err, out)
		}
	}
	t.Cleanup(func() { run("stop") })
	run("start")
	if t.Failed() {
		t.FailNow()
	}
	return s
}

// ports finds so many ports in a row of 127.0.0.1 on which nobody listens.
func ports(t *testing.T, n int) int {
	t.Helper()
	for first := 20_100; first < 29_000; first += 10 {
		free := true
		for i := range n {
			l, err := net.Listen("tcp", net.JoinHostPort("127.0.0.1", strconv.Itoa(first+i)))
			if free = free && err == nil; err == nil {
				_ = l.Close()
			}
		}
		if free {
			return first
		}
	}
	t.Fatal("no ports are free")
	return 0
}

// certificates makes an authority's certificate, and a broker's with its key, by it.
func certificates(t *testing.T, ca, broker string) {
	t.Helper()
	key := func() *ecdsa.PrivateKey {
		k, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
		if err != nil {
			t.Fatal(err)
		}
		return k
	}
	from, to := time.Now().Add(-time.Hour), time.Now().Add(24*time.Hour)
	authority := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "authority of a test"}, NotBefore: from, NotAfter: to, IsCA: true, BasicConstraintsValid: true}
	caKey, leafKey := key(), key()
	root, err := x509.CreateCertificate(rand.Reader, authority, authority, caKey.Public(), caKey)
	if err != nil {
		t.Fatal(err)
	}
	leaf := &x509.Certificate{SerialNumber: big.NewInt(2), Subject: pkix.Name{CommonName: "broker"}, NotBefore: from, NotAfter: to, IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}}
	signed, err := x509.CreateCertificate(rand.Reader, leaf, authority, leafKey.Public(), caKey)
	if err != nil {
		t.Fatal(err)
	}
	private, err := x509.MarshalPKCS8PrivateKey(leafKey)
	if err != nil {
		t.Fatal(err)
	}
	block := func(kind string, b []byte) string {
		return string(pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: b}))
	}
	for path, text := range map[string]string{ca: block("CERTIFICATE", root), broker: block("PRIVATE KEY", private) + block("CERTIFICATE", signed) + block("CERTIFICATE", root)} {
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
}

// user makes a login by SCRAM.
func user(t *testing.T, o *other, name, password string) {
	t.Helper()
	salt := []byte("a salt of sixteen")
	salted, err := pbkdf2.Key(sha512.New, password, salt, 4096, sha512.Size)
	if err != nil {
		t.Fatal(err)
	}
	up := kmsg.NewAlterUserSCRAMCredentialsRequestUpsertion()
	up.Name, up.Mechanism, up.Iterations, up.Salt, up.SaltedPassword = name, 2, 4096, salt, salted
	req := kmsg.NewPtrAlterUserSCRAMCredentialsRequest()
	req.Upsertions = append(req.Upsertions, up)
	res, err := req.RequestWith(t.Context(), o.client)
	if err != nil {
		t.Fatal(err)
	}
	for _, r := range res.Results {
		if err := kerr.ErrorForCode(r.ErrorCode); err != nil {
			t.Fatal(err)
		}
	}
}

// allow gives a user rights on the topic.
func allow(t *testing.T, o *other, name string, ops ...kmsg.ACLOperation) {
	t.Helper()
	req := kmsg.NewPtrCreateACLsRequest()
	for _, op := range ops {
		c := kmsg.NewCreateACLsRequestCreation()
		c.ResourceType, c.ResourceName, c.ResourcePatternType = kmsg.ACLResourceTypeTopic, o.topic, kmsg.ACLResourcePatternTypeLiteral
		c.Principal, c.Host, c.Operation, c.PermissionType = "User:"+name, "*", op, kmsg.ACLPermissionTypeAllow
		req.Creations = append(req.Creations, c)
	}
	res, err := req.RequestWith(t.Context(), o.client)
	if err != nil {
		t.Fatal(err)
	}
	for _, r := range res.Results {
		if err := kerr.ErrorForCode(r.ErrorCode); err != nil {
			t.Fatal(err)
		}
	}
}

// TestSecured: logins, certificates and rights of a real cluster: what is right works, and what is wrong says what it is.
func TestSecured(t *testing.T) {
	k := securedKafka(t)
	o := cluster(t, k.plain, 2)
	user(t, o, "hub", hubPassword)
	allow(t, o, "hub", kmsg.ACLOperationRead, kmsg.ACLOperationWrite, kmsg.ACLOperationDescribe)
	t.Setenv("KAFKA_RIGHT", hubPassword)
	t.Setenv("KAFKA_WRONG", "wrong-pa55word")
	const right = "user: hub, password: \"${env:KAFKA_RIGHT}\""
	const wrong = "user: hub, password: \"${env:KAFKA_WRONG}\""
	system := func(t *testing.T, addr, topic string, lines ...string) *system {
		return open(t, parsed(t, fmt.Sprintf("connector: kafka\nbrokers: [%q]\ntimeout: 5s\nobjects: {order: {topic: %s}}\n%s\n", addr, topic, strings.Join(lines, "\n"))))
	}
	for name, c := range map[string]struct {
		addr string
		more []string
		want fault.Kind
		text string
	}{
		"SCRAM":                       {k.sasl, []string{"sasl: {" + right + "}"}, fault.None, ""},
		"PLAIN":                       {k.sasl, []string{"sasl: {mechanism: plain, " + right + "}"}, fault.None, ""},
		"TLS and SCRAM":               {k.both, []string{"tls: {ca: " + k.ca + "}", "sasl: {" + right + "}"}, fault.None, ""},
		"SCRAM, wrong password":       {k.sasl, []string{"sasl: {" + wrong + "}"}, fault.Auth, "correct the hub's user and password"},
		"PLAIN, wrong password":       {k.sasl, []string{"sasl: {mechanism: plain, " + wrong + "}"}, fault.Auth, "correct the hub's user and password"},
		"a mechanism that is not on":  {k.sasl, []string{"sasl: {mechanism: scram-sha-256, " + right + "}"}, fault.Auth, "choose a mechanism that the broker has"},
		"no login":                    {k.sasl, nil, fault.Unavailable, "for a login"},
		"a login where none is asked": {k.plain, []string{"sasl: {" + right + "}"}, fault.Auth, "leave sasl out"},
		"an authority nobody knows":   {k.both, []string{"tls: {}", "sasl: {" + right + "}"}, fault.Auth, "tls.ca"},
		"another authority":           {k.tls, []string{"tls: {ca: " + k.stranger + "}"}, fault.Auth, "tls.ca"},
		"another name":                {strings.Replace(k.tls, "127.0.0.1", "localhost", 1), []string{"tls: {ca: " + k.ca + "}"}, fault.Auth, "for another name"},
		"TLS where there is none":     {k.plain, []string{"tls: {ca: " + k.ca + "}"}, fault.Unavailable, "for TLS"},
		"no TLS where it is wanted":   {k.tls, nil, fault.Unavailable, ""},
	} {
		t.Run(name, func(t *testing.T) {
			sys := system(t, c.addr, o.topic, c.more...)
			err := sys.Probe(t.Context())
			if fault.KindOf(err) != c.want || err != nil && (strings.Contains(err.Error(), "pa55word") || !strings.Contains(err.Error(), c.text)) {
				t.Fatalf("%v, want %v", err, c.want)
			}
			if c.want != fault.None {
				return
			}
			if _, err := sys.Write(t.Context(), connector.Write{Object: "order", Action: connector.Create, External: "7f3e0000-0000-5000-8000-000000000001", Doc: []byte(`{}`)}); err != nil {
				t.Error(err)
			}
			p, err := sys.Poll(t.Context(), connector.PollRequest{Object: "order"})
			if err != nil || len(p.Records) == 0 {
				t.Errorf("%d records, %v", len(p.Records), err)
			}
		})
	}
	t.Run("rights", func(t *testing.T) { testRights(t, k, system, "sasl: {"+right+"}") })
}

// testRights: reading takes READ alone, writing WRITE alone, and what is refused is told and parks nothing.
func testRights(t *testing.T, k *secured, system func(t *testing.T, addr, topic string, lines ...string) *system, login string) {
	for name, c := range map[string]struct {
		ops         []kmsg.ACLOperation
		read, write bool
	}{
		"read":     {[]kmsg.ACLOperation{kmsg.ACLOperationRead}, true, false}, // DESCRIBE follows from it
		"write":    {[]kmsg.ACLOperation{kmsg.ACLOperationWrite}, false, true},
		"describe": {[]kmsg.ACLOperation{kmsg.ACLOperationDescribe}, false, false},
		"nothing":  {nil, false, false},
	} {
		t.Run(name, func(t *testing.T) {
			o := cluster(t, k.plain, 1)
			o.put(o.record(0, "K", `{}`))
			if len(c.ops) > 0 {
				allow(t, o, "hub", c.ops...)
			}
			sys := system(t, k.sasl, o.topic, login)
			ctx, end := context.WithTimeout(t.Context(), 30*time.Second)
			defer end()
			check := func(what string, err error, works bool) {
				t.Helper()
				if works != (err == nil) {
					t.Errorf("%s: %v", what, err)
				}
				if err != nil && (fault.KindOf(err) != fault.Unavailable || !strings.Contains(err.Error(), "TOPIC_AUTHORIZATION_FAILED") || !strings.Contains(err.Error(), "give the hub's user")) {
					t.Errorf("%s: %v", what, err)
				}
			}
			_, err := sys.Poll(ctx, connector.PollRequest{Object: "order"})
			check("poll", err, c.read)
			_, err = sys.Write(ctx, connector.Write{Object: "order", Action: connector.Create, External: "7f3e0000-0000-5000-8000-000000000001", Doc: []byte(`{}`)})
			check("write", err, c.write)
			if err := sys.Probe(ctx); err != nil {
				t.Errorf("the cluster answers: %v", err)
			}
		})
	}
}
