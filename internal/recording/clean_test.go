package recording

import (
	"strings"
	"testing"
)

// TestTokensInAddresses: a token that goes in the query, and whose answer calls it id, stays in no recording; the same token has one stand-in, and what only looks like one stays.
func TestTokensInAddresses(t *testing.T) {
	r := &Recording{Steps: []*Step{{Exchanges: []*Exchange{
		{Ask: "GET /system/token?app_key=k1", Answer: `{"token":{"id":"26d2fc4a/0684"},"KDSVCSessionId":"b1cb56b5-cda4"}`},
		{Ask: "GET /api/customer/get?id=7&token=26d2fc4a%2F0684", Answer: `{"customer":{"code":"7"}}`},
		{Ask: "GET /api/customer/get?id=7&sessionid=b1cb56b5-cda4"},
	}}}}
	(&cleaner{stand: map[string]string{}}).clean(r)
	all := ""
	for _, e := range r.Steps[0].Exchanges {
		all += e.Ask + e.Answer + "\n"
	}
	if strings.Contains(all, "26d2fc4a") || strings.Contains(all, "b1cb56b5") || strings.Count(all, "stand-in-token-1") != 2 || strings.Count(all, "stand-in-token-2") != 2 || !strings.Contains(all, "app_key=k1") {
		t.Errorf("kept:\n%s", all)
	}
}

// TestSteadySignatures: what is signed anew each time is no difference between a recording and a replay, and times that nobody signs are one.
func TestSteadySignatures(t *testing.T) {
	for query, want := range map[string]string{
		"appKey=k&timestamp=1796032800000&signature=abc%3D":                         "appKey=k&timestamp=*&signature=*",
		"timestamp=1796032800000&page=1":                                            "timestamp=1796032800000&page=1",
		"client_assertion=a.b.c&client_assertion_type=jwt&grant_type=client_secret": "client_assertion=*&client_assertion_type=jwt&grant_type=client_secret",
	} {
		if got := steady(query); got != want {
			t.Errorf("%s is kept as %s, want %s", query, got, want)
		}
	}
}
