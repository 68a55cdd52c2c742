// Command provider is an OpenID provider for tests: zitadel/oidc's, which the OpenID Foundation has certified, with its own page to sign in and with users in memory. It is a
// module of its own, so that the hub does not depend on it. Its first line says where it is.
package main

import (
	"context"
	"flag"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/zitadel/oidc/v3/example/server/exampleop"
	"github.com/zitadel/oidc/v3/example/server/storage"
	"github.com/zitadel/oidc/v3/pkg/oidc"
)

// users are those who can sign in, each with the password "verysecure".
type users map[string]*storage.User

func (u users) GetUserByID(id string) *storage.User { return u[id] }

func (u users) GetUserByUsername(name string) *storage.User { return u[name] }

func (users) ExampleClientID() string { return "service" }

var groups = map[string][]string{"olga": {"everybody", "shift"}, "ada": {"hub-admins", "everybody"}, "nora": {"everybody"}}

// grouped tells the groups of a user when it is asked who that is.
type grouped struct{ *storage.Storage }

func (g grouped) SetUserinfoFromToken(ctx context.Context, info *oidc.UserInfo, token, subject, origin string) error {
	if err := g.Storage.SetUserinfoFromToken(ctx, info, token, subject, origin); err != nil {
		return err
	}
	info.AppendClaims("groups", groups[subject])
	return nil
}

func main() {
	listen := flag.String("listen", "127.0.0.1:0", "where to listen")
	back := flag.String("redirect", "", "where people come back to")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM, syscall.SIGINT)
	defer stop()
	if err := run(ctx, *listen, *back); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func run(ctx context.Context, listen, back string) error {
	l, err := net.Listen("tcp", listen)
	if err != nil {
		return err
	}
	issuer := "http://" + l.Addr().String() + "/"
	all := users{}
	for name := range groups {
		all[name] = &storage.User{ID: name, Username: name, Password: "verysecure", FirstName: name, LastName: "Test", Email: name + "@example.com", EmailVerified: true}
	}
	storage.RegisterClients(storage.WebClient("waybill", "a secret of the tests", back))
	srv := &http.Server{Handler: exampleop.SetupServer(issuer, grouped{storage.NewStorage(all)}, slog.New(slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: slog.LevelWarn})), false), ReadHeaderTimeout: 5 * time.Second}
	fmt.Println("issuer", issuer)
	ended := make(chan error, 1)
	go func() { ended <- srv.Serve(l) }()
	select {
	case err := <-ended:
		return err
	case <-ctx.Done():
		return srv.Close()
	}
}
