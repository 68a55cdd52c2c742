package systemtest

import (
	"context"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/waybill-hub/waybill/internal/childtest"
	"github.com/waybill-hub/waybill/internal/needtest"
	"github.com/waybill-hub/waybill/internal/porttest"
)

// OpenSSH is Debian's SSH server, whose SFTP sessions see the files of this machine.
type OpenSSH struct {
	// Addr is where it listens, User who is let in, with the private key of the file KeyFile. HostKey is its public key, as it is written in authorized_keys.
	Addr, User, KeyFile, HostKey string

	dir   string
	child *childtest.Child
}

var openssh struct {
	once    sync.Once
	s       *OpenSSH
	missing string
	err     error
}

// StartOpenSSH starts one for all tests of a package; StopOpenSSH ends it.
func StartOpenSSH(t testing.TB) *OpenSSH {
	t.Helper()
	needtest.Systems(t, "openssh-server")
	openssh.once.Do(runOpenSSH)
	if openssh.missing != "" {
		needtest.Missing(t, "OpenSSH's server: %s", openssh.missing)
	}
	if openssh.err != nil {
		t.Fatal(openssh.err)
	}
	return openssh.s
}

func runOpenSSH() {
	program := ""
	for _, at := range []string{"/usr/sbin/sshd", "/usr/local/sbin/sshd"} { // it wants its own absolute path
		if _, err := os.Stat(at); err == nil {
			program = at
		}
	}
	if program == "" {
		openssh.missing = "sshd is missing: install the package openssh-server"
		return
	}
	if _, err := exec.LookPath("ssh-keygen"); err != nil {
		openssh.missing = "ssh-keygen is missing: install the package openssh-client"
		return
	}
	openssh.s, openssh.err = startOpenSSH(program)
}

func startOpenSSH(program string) (*OpenSSH, error) {
	if os.Geteuid() == 0 {
		if err := os.MkdirAll("/run/sshd", 0o755); err != nil { // it does not start as root without
			return nil, err
		}
	}
	me, err := user.Current()
	if err != nil {
		return nil, err
	}
	dir, err := os.MkdirTemp("", "sshd-")
	if err != nil {
		return nil, err
	}
	for _, name := range []string{"host", "client"} {
		if out, err := exec.Command("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", "", "-f", filepath.Join(dir, name)).CombinedOutput(); err != nil {
			return nil, fmt.Errorf("ssh-keygen: %w: %s", err, out)
		}
	}
	host, err := os.ReadFile(filepath.Join(dir, "host.pub"))
	if err != nil {
		return nil, err
	}
	addr, err := porttest.Addr()
	if err != nil {
		return nil, err
	}
	_, port, _ := net.SplitHostPort(addr)
	config := fmt.Sprintf("Port %s\nListenAddress 127.0.0.1\nHostKey %[2]s/host\nAuthorizedKeysFile %[2]s/client.pub\nPidFile none\nStrictModes no\nUsePAM no\nPasswordAuthentication no\nPermitRootLogin yes\n"+
		"MaxStartups 200\nLogLevel ERROR\nSubsystem sftp internal-sftp\n", port, dir)
	if err := os.WriteFile(filepath.Join(dir, "config"), []byte(config), 0o600); err != nil {
		return nil, err
	}
	child, err := childtest.Start("sshd", syscall.SIGTERM, exec.Command(program, "-D", "-e", "-f", filepath.Join(dir, "config")))
	if err != nil {
		return nil, err
	}
	s := &OpenSSH{Addr: addr, User: me.Username, KeyFile: filepath.Join(dir, "client"), HostKey: strings.TrimSpace(string(host)), dir: dir, child: child}
	return s, child.Await(20*time.Second, func(ctx context.Context) error {
		c, err := (&net.Dialer{}).DialContext(ctx, "tcp", addr)
		if err == nil {
			err = c.Close()
		}
		return err
	})
}

// Port is where it listens.
func (s *OpenSSH) Port() string {
	_, port, _ := net.SplitHostPort(s.Addr)
	return port
}

// Fingerprint is that of its key, as people compare it.
func (s *OpenSSH) Fingerprint() string {
	blob, _ := base64.StdEncoding.DecodeString(strings.Fields(s.HostKey)[1]) // it is what ssh-keygen has written
	sum := sha256.Sum256(blob)
	return "SHA256:" + base64.RawStdEncoding.EncodeToString(sum[:])
}

// Put puts a file there by OpenSSH's own client, under another name first.
func (s *OpenSSH) Put(t testing.TB, file, to string) {
	t.Helper()
	known := filepath.Join(t.TempDir(), "known_hosts")
	if err := os.WriteFile(known, []byte("[127.0.0.1]:"+s.Port()+" "+s.HostKey+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command("sftp", "-q", "-b", "-", "-i", s.KeyFile, "-P", s.Port(), "-o", "UserKnownHostsFile="+known, "-o", "IdentitiesOnly=yes", s.User+"@127.0.0.1")
	cmd.Stdin = strings.NewReader(fmt.Sprintf("put %q %q\nrename %q %q\n", file, to+".tmp", to+".tmp", to))
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("sftp: %v: %s", err, out)
	}
}

// StopOpenSSH ends it where it was started; a TestMain calls it behind all tests.
func StopOpenSSH() error {
	if openssh.s == nil {
		return nil
	}
	return errors.Join(openssh.s.child.Stop(), os.RemoveAll(openssh.s.dir))
}
