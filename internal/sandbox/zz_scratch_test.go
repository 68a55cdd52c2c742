package sandbox

import (
	"context"
	"os"
	"testing"
)

func TestZZ(t *testing.T) {
	d := os.Getenv("ZZ")
	s, err := ReadSnapshot(context.Background(), d, d+"/erp.db")
	if err != nil {
		t.Fatal(err)
	}
	t.Log(Compare(s, CompareOptions{}).String())
}
