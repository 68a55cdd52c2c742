package console

import (
	"net/http"
	"strconv"
	"strings"

	"github.com/waybill-hub/waybill/internal/access"
	"github.com/waybill-hub/waybill/internal/api"
)

// signInBody is the page that asks for a token. To is the address that was asked for.
type signInBody struct {
	To    string
	Wrong string
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
	_ = p.show("sign-in", p.T("signin.title"), signInBody{To: to})
	p.write(w)
}

// signIn takes a token from that page.
func (c *Console) signIn(p *page) error {
	p.r.Body = http.MaxBytesReader(p.w, p.r.Body, 64<<10)
	if err := p.r.ParseForm(); err != nil {
		return &problem{api.Problem{Status: http.StatusBadRequest, Detail: p.T("form.unreadable") + " " + err.Error()}}
	}
	to := ownPath(p.r.PostForm.Get("to"))
	if !c.hub.Tokens() {
		return &redirect{to}
	}
	cookie, no := c.hub.SignIn(p.r, strings.TrimSpace(p.r.PostForm.Get("token")))
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
		wrong := p.T("signin.wrong")
		if no.Why == access.Slowed {
			wrong = p.T("signin.slowed")
		}
		return p.show("sign-in", p.T("signin.title"), signInBody{To: to, Wrong: wrong})
	}
	http.SetCookie(p.w, cookie)
	return &redirect{to}
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
