package api

import "strings"

// UserHeader is by whom a request to a hub without tokens says that it is made. Nobody checks it: whoever reaches such a hub is on its
// machine already.
const UserHeader = "Waybill-User"

// HubHeader stands in every answer of a hub: any other server may answer what its commands ask, and would be a hub of which nothing is wrong.
const HubHeader = "Waybill-Hub"

// localName is the name that a request without a token acts under.
func localName(said string) string {
	const most = 64
	if said == "" || len(said) > most || strings.IndexFunc(said, func(r rune) bool {
		return !(r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || strings.ContainsRune("._-@", r))
	}) >= 0 {
		return "local"
	}
	return said + " (local)"
}
