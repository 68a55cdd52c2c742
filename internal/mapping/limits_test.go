package mapping

import (
	"strings"
	"testing"
)

// TestExpressionLimits: an expression is read up to its limits of bytes and of parts, and refused just past them.
func TestExpressionLimits(t *testing.T) {
	long := func(n int) string { return `"` + strings.Repeat("x", n-2) + `"` }
	parts := func(n int) string { return "[" + strings.TrimSuffix(strings.Repeat("1,", n-1), ",") + "]" } // the list is one
	for _, tt := range []struct {
		what string
		text func(int) string
		most int
		want string
	}{
		{"bytes", long, maxExpression, "too long"},
		{"parts", parts, maxExprNodes, "too many parts"},
	} {
		if _, bad := parseExpression(tt.text(tt.most), false); bad != nil {
			t.Errorf("%d %s: %s", tt.most, tt.what, bad.message)
		}
		if _, bad := parseExpression(tt.text(tt.most+1), false); bad == nil || !strings.Contains(bad.message, tt.want) {
			t.Errorf("%d %s: %+v", tt.most+1, tt.what, bad)
		}
	}
}
