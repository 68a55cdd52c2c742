package console

import (
	"net/http"
	"strconv"
	"strings"

	"github.com/waybill-hub/waybill/internal/access"
	"github.com/waybill-hub/waybill/internal/api"
)

// signInBody is the page that asks who somebody is. To is the address that was asked for.
type signInBody struct {
	To   string
	Ways access.Ways
	// Wrong is what is wrong with what was given; ByToken: with the token, and not the password. User is the name that was given.
	Wrong   string
	ByToken bool
	User    string
	// Elsewhere is why the provider has signed nobody in.
	Elsewhere string
}

// Stranger asks a browser for a token, at the address that it wants to see.
func (c *Console) Stranger(w http.ResponseWriter, r *http.Request, no *access.Refusal) {
	p := c.page(w, r)
	p.status = no.Status
	w.Header().Set("WWW-Authenticate", `Bearer realm="waybill"`) // no browser knows that one, and so shows the page
	to := "/"
	if r.Method == http.MethodGet {
		to = r.URL.RequestURI()
	}
	_ = p.show("sign-in", p.T("signin.title"), signInBody{To: to, Ways: c.hub.Ways()})
	p.make().answer(p)
}

// signIn takes a token, or a name and a password, from that page.
func (c *Console) signIn(p *page) error {
	p.r.Body = http.MaxBytesReader(p.w, p.r.Body, 64<<10)
	if err := p.r.ParseForm(); err != nil {
		return &problem{api.Problem{Status: http.StatusBadRequest, Detail: p.T("form.unreadable") + " " + err.Error()}}
	}
	form := p.r.PostForm
	b := signInBody{To: ownPath(form.Get("to")), Ways: c.hub.Ways(), User: form.Get("user"), ByToken: !form.Has("user")}
	if b.Ways == (access.Ways{}) {
		return &redirect{b.To}
	}
	var cookie *http.Cookie
	var no *access.Refusal
	if b.ByToken {
		cookie, no = c.hub.SignIn(p.r, strings.TrimSpace(form.Get("token")))
	} else {
		cookie, no = c.hub.SignInUser(p.r, strings.TrimSpace(b.User), form.Get("password"))
	}
	if no != nil {
		p.status = no.Status
		if no.Retry > 0 {
			p.w.Header().Set("Retry-After", strconv.Itoa(int(no.Retry.Seconds())))
		}
		if no.Close {
			p.w.Header().Set("Connection", "close")
		}
		if !no.Challenge {
			return &problem{api.Problem{Status: no.Status, Detail: no.Detail}}
		}
		p.w.Header().Set("WWW-Authenticate", `Bearer realm="waybill"`)
		switch {
		case no.Why == access.Slowed:
			b.Wrong = p.T("signin.slowed")
		case b.ByToken:
			b.Wrong = p.T("signin.wrong")
		default:
			b.Wrong = p.T("signin.wrong.password")
		}
		return p.show("sign-in", p.T("signin.title"), b)
	}
	http.SetCookie(p.w, cookie)
	return &redirect{b.To}
}

// leave sends a browser to the provider.
func (c *Console) leave(p *page) error {
	at, cookie, no := c.hub.Leave(p.r, ownPath(p.r.URL.Query().Get("to")))
	if no != nil {
		return c.notSignedIn(p, no, ownPath(p.r.URL.Query().Get("to")))
	}
	http.SetCookie(p.w, cookie)
	return &redirect{at}
}

// comeBack takes a browser that the provider has sent back. The page that it wanted follows from a page of the hub's own: a browser gives the session's cookie, which is for the hub's own pages alone, to no page that
// another site has led to.
func (c *Console) comeBack(p *page) error {
	cookies, to, no := c.hub.Return(p.r)
	for _, cookie := range cookies {
		http.SetCookie(p.w, cookie)
	}
	if no != nil {
		return c.notSignedIn(p, no, ownPath(to))
	}
	return p.show("signed-in", p.T("signin.done"), ownPath(to))
}

// notSignedIn asks again, and says why.
func (c *Console) notSignedIn(p *page, no *access.Refusal, to string) error {
	if !no.Challenge {
		return &problem{api.Problem{Status: no.Status, Detail: no.Detail}}
	}
	if p.status = no.Status; no.Status == http.StatusUnauthorized {
		p.w.Header().Set("WWW-Authenticate", `Bearer realm="waybill"`)
	}
	return p.show("sign-in", p.T("signin.title"), signInBody{To: to, Ways: c.hub.Ways(), Elsewhere: no.Detail})
}

// ownPath is a path of this hub, and / where a form gives anything else.
func ownPath(to string) string {
	if !strings.HasPrefix(to, "/") || strings.HasPrefix(to, "//") || strings.ContainsAny(to, "\\\r\n\t") {
		return "/"
	}
	return to
}

func (c *Console) signOut(p *page) error {
	http.SetCookie(p.w, c.hub.SignOut(p.r))
	return &redirect{"/"}
}
