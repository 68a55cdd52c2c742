package access

import (
	"net"
	"net/http"
	"net/url"
	"strings"
)

// stranger refuses, where there are no tokens, what does not come straight from this machine. Whoever reaches such a hub may do everything.
func (n *rules) stranger(r *http.Request) *Refusal {
	if by := proxied(r); by != "" {
		return &Refusal{Status: http.StatusForbidden, Why: Proxied, Detail: "this request came through a proxy (" + by + "), and the hub has no tokens: " +
			"others would do everything that you may. Set http.tokens in its configuration, or ask it at its own address"}
	}
	// A page of somebody else's whose name is made to lead to this machine (DNS rebinding) sends that name.
	if host := hostOnly(r.Host); !Loopback(host) && (n.host == "" || !strings.EqualFold(host, n.host)) {
		return &Refusal{Status: http.StatusForbidden, Why: ForeignTo, Detail: "without tokens the hub answers on loopback names only, and this request was sent to " +
			clip(r.Host) + ": use 127.0.0.1, or set http.tokens in the configuration"}
	}
	// Pages of others have a browser read, too: what they get they may not see, but that it was asked for is an act in the audit, and takes the hub's time.
	if o := r.Header.Get("Origin"); o != "" && !n.own(o, r.Host) {
		return &Refusal{Status: http.StatusForbidden, Why: CrossSite, Detail: "without tokens the hub answers its own pages alone, and this request is from pages of " + clip(o)}
	}
	if site := r.Header.Get("Sec-Fetch-Site"); site != "" && site != "same-origin" && site != "none" && r.Header.Get("Sec-Fetch-Mode") != "navigate" {
		return &Refusal{Status: http.StatusForbidden, Why: CrossSite, Detail: "without tokens the hub answers its own pages alone, and this request is from a page of another site"}
	}
	return nil
}

// own reports whether an Origin header names the hub: as it was asked, or as http.origin has it. An origin that a browser will not tell ("null") is a stranger's.
func (n *rules) own(origin, host string) bool {
	u, err := url.Parse(origin)
	return err == nil && u.Host != "" && (strings.EqualFold(u.Host, host) || n.origin != "" && strings.EqualFold(origin, n.origin))
}

// Headers that proxies, load balancers and content networks add, beside all that begin with X-Forwarded-.
var proxyHeaders = map[string]bool{
	"Forwarded": true, "Via": true, "X-Real-Ip": true, "X-Client-Ip": true, "X-Cluster-Client-Ip": true, "X-Original-For": true, "X-Original-Host": true,
	"X-Original-Url": true, "X-Forwarded": true, "Forwarded-For": true, "True-Client-Ip": true, "Client-Ip": true, "Cdn-Loop": true, "Cf-Connecting-Ip": true,
	"Cf-Ray": true, "Fastly-Client-Ip": true, "Fly-Client-Ip": true, "X-Azure-Clientip": true, "X-Arr-Log-Id": true, "X-Proxyuser-Ip": true,
	"X-Envoy-External-Address": true, "X-Envoy-Internal": true, "Proxy-Connection": true, "X-Proxy-User": true,
	"X-Appengine-User-Ip": true, "X-Nf-Client-Connection-Ip": true, "X-Remote-Addr": true, "X-Remote-Ip": true, "X-Originating-Ip": true,
}

// proxied names what shows that a request came through a proxy; empty: nothing does.
func proxied(r *http.Request) string {
	for name := range r.Header {
		if proxyHeaders[http.CanonicalHeaderKey(name)] || strings.HasPrefix(http.CanonicalHeaderKey(name), "X-Forwarded-") {
			return http.CanonicalHeaderKey(name)
		}
	}
	if !r.ProtoAtLeast(1, 1) { // nginx says nothing of itself unless it is told to, but this
		return r.Proto
	}
	return ""
}

// Loopback reports whether a host is this machine by its name alone. Names below localhost are so for every browser (RFC 6761).
func Loopback(host string) bool {
	host = strings.ToLower(strings.TrimSuffix(host, "."))
	if host == "localhost" || strings.HasSuffix(host, ".localhost") {
		return true
	}
	ip := net.ParseIP(strings.Trim(host, "[]"))
	return ip != nil && ip.IsLoopback()
}

// hostOnly is a Host header without its port.
func hostOnly(hostport string) string {
	host, _, err := net.SplitHostPort(hostport)
	if err != nil {
		host = hostport
	}
	return strings.Trim(host, "[]")
}

// hostOf is the host of an origin; empty where it is none.
func hostOf(origin string) string {
	u, err := url.Parse(origin)
	if err != nil {
		return ""
	}
	return u.Hostname()
}

// clip shows what a stranger sent, as far as one wants to read it.
func clip(text string) string {
	const most = 100
	clean := strings.Map(func(r rune) rune {
		if r < ' ' || r == 0x7f || r == 0xfffd {
			return '?'
		}
		return r
	}, text)
	if r := []rune(clean); len(r) > most {
		return string(r[:most]) + "…"
	}
	return clean
}
