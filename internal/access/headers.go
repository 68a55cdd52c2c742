package access

import "net/http"

// What browsers are told of every answer. The page loads its own scripts, styles and pictures and asks its own hub, and nothing else; an answer
// of the API is nothing to render at all.
const (
	// Scripts make no markup out of texts at all: trusted types without any policy forbid it.
	pagePolicy = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; form-action 'self'; " +
		"base-uri 'none'; object-src 'none'; frame-ancestors 'none'; require-trusted-types-for 'script'; trusted-types 'none'"
	// The viewer of the API's description is another's script, which makes its own markup, with pictures that stand in its styles. It loads and asks no more
	// than the page does.
	viewerPolicy = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; form-action 'none'; " +
		"base-uri 'none'; object-src 'none'; frame-ancestors 'none'"
	dataPolicy = "default-src 'none'; form-action 'none'; base-uri 'none'; object-src 'none'; frame-ancestors 'none'; sandbox"
)

// Shown is how an answer is seen.
type Shown int

const (
	// AsData: by programs.
	AsData Shown = iota
	// AsPage: by people, in a browser.
	AsPage
	// AsViewer: by people, as the viewer of the API's description.
	AsViewer
)

// Headers sets what every answer carries.
func Headers(h http.Header, as Shown) {
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("X-Frame-Options", "DENY")
	h.Set("Referrer-Policy", "same-origin") // with no-referrer a browser would not say which page sent a form
	h.Set("Cross-Origin-Resource-Policy", "same-origin")
	h.Set("Cross-Origin-Opener-Policy", "same-origin")
	// Everything shown is of this moment, and business data is nothing for a disk.
	h.Set("Cache-Control", "no-store")
	h.Set("Content-Security-Policy", [...]string{AsData: dataPolicy, AsPage: pagePolicy, AsViewer: viewerPolicy}[as])
}
