package alert

import (
	"bufio"
	"fmt"
	"net"
	"net/mail"
	"os/exec"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/waybill-hub/waybill/internal/config"
	"github.com/waybill-hub/waybill/internal/needtest"
	"github.com/waybill-hub/waybill/internal/porttest"
	"github.com/waybill-hub/waybill/internal/strictyaml"
)

// mailServer takes one mail without encryption, as RFC 5321 says, and gives it.
func mailServer(t *testing.T) (port int, got <-chan string) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	out := make(chan string, 10)
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			talk(c, out)
			_ = c.Close()
		}
	}()
	return l.Addr().(*net.TCPAddr).Port, out
}

func talk(c net.Conn, out chan<- string) {
	in, envelope := bufio.NewReader(c), ""
	say := func(text string) { _, _ = fmt.Fprintf(c, "%s\r\n", text) }
	say("220 mail.example.com ESMTP")
	for {
		line, err := in.ReadString('\n')
		if err != nil {
			return
		}
		switch verb := strings.ToUpper(strings.Fields(line + " x")[0]); verb {
		case "EHLO":
			say("250-mail.example.com")
			say("250 8BITMIME")
		case "MAIL", "RCPT":
			envelope += line
			say("250 ok")
		case "DATA":
			say("354 go on")
			for text := envelope; ; text += line {
				if line, err = in.ReadString('\n'); err != nil || line == ".\r\n" {
					out <- text
					break
				}
			}
			say("250 taken")
		case "QUIT":
			say("221 bye")
			return
		default:
			say("250 ok")
		}
	}
}

func mailTo(port int, tls string) *config.AlertReceiver {
	return &config.AlertReceiver{Name: "duty", Mail: &config.AlertMail{Host: "127.0.0.1", Port: port, TLS: tls, From: "Waybill <waybill@example.com>", To: []string{"ops@example.com", "duty@example.com"}}}
}

func TestMail(t *testing.T) {
	port, got := mailServer(t)
	m := message()
	if err := send(t.Context(), mailTo(port, "none"), m, nil); err != nil {
		t.Fatal(err)
	}
	text := <-got
	for _, to := range []string{"MAIL FROM:<waybill@example.com>", "RCPT TO:<ops@example.com>", "RCPT TO:<duty@example.com>"} {
		if !strings.Contains(text, to) {
			t.Errorf("%s is missing in\n%s", to, text)
		}
	}
	_, text, _ = strings.Cut(text, "RCPT TO:<duty@example.com>\r\n")
	read, err := mail.ReadMessage(strings.NewReader(text))
	if err != nil {
		t.Fatalf("%v\n%s", err, text)
	}
	if h := read.Header; h.Get("Subject") != "Waybill hub-1: 1 new, 1 over" || h.Get("Message-ID") != "<"+m.ID+"@example.com>" || h.Get("Auto-Submitted") != "auto-generated" {
		t.Errorf("%v", h)
	}
	if at, err := read.Header.Date(); err != nil || !at.Equal(noon) {
		t.Errorf("%s, %v", at, err)
	}
	if !strings.Contains(strings.ReplaceAll(text, "=\r\n", ""), "NEW late orders: the oldest is <20m> old & more") {
		t.Error(text)
	}
}

// A server that does not encrypt gets no mail, unless the settings say so, which they may on this machine alone.
func TestMailIsEncrypted(t *testing.T) {
	port, got := mailServer(t)
	r := mailTo(port, "starttls")
	r.Mail.User, r.Mail.Password = "waybill", strictyaml.NewSecret("very-secret")
	err := send(t.Context(), r, message(), nil)
	if err == nil || !strings.Contains(err.Error(), "STARTTLS") || strings.Contains(err.Error(), "very-secret") {
		t.Errorf("%v", err)
	}
	select {
	case text := <-got:
		t.Errorf("it was sent all the same:\n%s", text)
	default:
	}
}

// The same mail to another implementation: Python's own server, where Python still has one.
func TestMailToPython(t *testing.T) {
	python, err := exec.LookPath("python3")
	if err != nil || exec.CommandContext(t.Context(), python, "-W", "ignore", "-c", "import smtpd").Run() != nil {
		needtest.Skip(t, "there is no python3 with smtpd, which 3.12 has left out: mail was tried on the double alone; `make test-systems` sends some to aiosmtpd")
	}
	addr, err := porttest.Addr()
	if err != nil {
		t.Fatal(err)
	}
	c := exec.CommandContext(t.Context(), python, "-u", "-W", "ignore", "-m", "smtpd", "-n", "-c", "DebuggingServer", addr)
	out, err := c.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := c.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Process.Kill(); _ = c.Wait() })
	port := 0
	_, number, _ := net.SplitHostPort(addr)
	fmt.Sscan(number, &port)
	for {
		conn, err := net.DialTimeout("tcp", addr, time.Second)
		if err == nil {
			_ = conn.Close()
			break
		}
		if t.Context().Err() != nil {
			t.Fatal(err)
		}
	}
	if err := send(t.Context(), mailTo(port, "none"), message(), nil); err != nil {
		t.Fatal(err)
	}
	lines, text := bufio.NewScanner(out), ""
	for lines.Scan() && !strings.Contains(lines.Text(), "END MESSAGE") {
		text += lines.Text() + "\n"
	}
	if !regexp.MustCompile(`(?s)Subject: Waybill hub-1: 1 new, 1 over.*OVER down erp: it lasted 59m0s`).MatchString(text) {
		t.Error(text)
	}
}
