package app

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/waybill-hub/waybill/internal/api"
	"github.com/waybill-hub/waybill/internal/fault"
	"github.com/waybill-hub/waybill/internal/state"
	"github.com/waybill-hub/waybill/internal/strictyaml"
)

// FailedFiles looks into the folder for what failed now, at whichever hub.
func (h *Hub) FailedFiles(ctx context.Context, name string) (*api.FailedFiles, error) {
	f := h.plan().Flow(name)
	switch {
	case f == nil:
		return nil, h.unknownFlow(name)
	case f.From.Files == nil:
		return nil, &api.Invalid{Detail: fmt.Sprintf("flow %s reads no files: there are none that could have failed", name)}
	}
	files, more, err := h.intake.FailedFiles(ctx, name, api.MostFailed)
	if fault.KindOf(err) == fault.Invalid {
		return nil, &api.Invalid{Detail: err.Error()}
	}
	if err != nil {
		return nil, err
	}
	out := &api.FailedFiles{Files: make([]api.FailedFile, len(files)), More: more}
	for i := range files {
		x := &files[i]
		out.Files[i] = api.FailedFile{Name: x.Name, As: x.As, Bytes: x.Size, Modified: x.Modified, Why: x.Why}
	}
	return out, nil
}

// Retake has files that have failed taken again. The wishes are stored, each with its act, and carried out by whichever hub reads the source.
func (h *Hub) Retake(ctx context.Context, name string, q api.RetakeRequest, who string) (*api.Retaken, error) {
	failed, err := h.FailedFiles(ctx, name)
	if err != nil {
		return nil, err
	}
	there := make([]string, len(failed.Files))
	for i := range failed.Files {
		there[i] = failed.Files[i].Name
	}
	files := slices.Compact(slices.Sorted(slices.Values(q.Files)))
	if q.All {
		files = there
	}
	for _, file := range files {
		if slices.Contains(there, file) || failed.More && !strings.Contains(file, "/") { // more than is told of: whoever reads the source looks
			continue
		}
		return nil, &api.Invalid{Detail: fmt.Sprintf("flow %s has no failed file %q%s", name, file, strictyaml.Meant(file, there))}
	}
	if len(files) == 0 {
		return nil, &api.Invalid{Detail: fmt.Sprintf("flow %s has no failed files", name)}
	}
	for _, file := range files {
		if err := h.store.AskSource(ctx, state.SourceWish{Flow: name, Kind: state.WishRetake, Of: file, Who: who}, state.Why(file, q.Note)); err != nil {
			return nil, err
		}
	}
	h.intake.Asked(name)
	return &api.Retaken{Flow: name, Files: files, State: "asked", Text: "the files go back to where they came from, and are taken as if they had just come; what fails again is told of again"}, nil
}
