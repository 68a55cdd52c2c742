package httpclient

import (
	"net/url"
	"time"

	"github.com/waybill-hub/waybill/internal/connector"
	"github.com/waybill-hub/waybill/internal/strictyaml"
)

// Settings are those that all kinds of systems over HTTP share beside the address and the way to log in. Kinds embed them, inline.
type Settings struct {
	Headers map[string]string `yaml:"headers" doc:"HTTP headers of every request"`
	Timeout time.Duration     `yaml:"timeout" default:"30s" doc:"bound of one call, from the first byte sent to the last byte read"`
	Limit   Limit             `yaml:"limit" doc:"bounds of what the hub asks of the system"`
	MaxBody strictyaml.Size   `yaml:"max-body" default:"10MiB" doc:"bound of one answer, decompressed"`
	TLS     TLS               `yaml:"tls" doc:"certificates, where the machine's own do not do"`
	Proxy   string            `yaml:"proxy" doc:"URL of an HTTP proxy; the environment's is not used"`
}

// Check adds what is wrong with them, and with the address; n is the system's node.
func (set *Settings) Check(n strictyaml.Node, address string, p *strictyaml.Problems) {
	if address != "" {
		if _, err := BaseURL(address); err != nil {
			p.Add(n.Get("url").Pos(), "url: %s", err)
		}
	}
	if u, err := url.Parse(set.Proxy); err != nil || set.Proxy != "" && u.Host == "" {
		p.Add(n.Get("proxy").Pos(), "proxy: this is no URL")
	}
	set.TLS.Check(n.Get("tls"), p)
	set.Limit.Check(n.Get("limit"), p)
	connector.Positive(n.Get("timeout"), p)
}

// Config is that of a client of the system; what else its kind needs is added by it.
func (set *Settings) Config(s connector.Settings, address string, auth Auth) Config {
	login := s.Node.Get("auth").Get("login")
	var secrets []strictyaml.Secret
	for _, n := range []strictyaml.Node{s.Node.Get("headers"), s.Node.Get("parameters"), login.Get("query"), login.Get("headers"), login.Get("body")} { // whatever they are called there
		secrets = append(secrets, n.Filled()...)
	}
	return Config{System: s.Name, URL: address, Auth: auth, Headers: set.Headers, Timeout: set.Timeout, Limit: set.Limit, MaxBody: set.MaxBody, TLS: set.TLS.In(s.Path),
		Proxy: set.Proxy, Log: s.Log, Told: s.Told, Via: s.Via, Secrets: secrets}
}
