package bus

import "log/slog"

func repair(dir string, log *slog.Logger) (string, error) { return mintID() }
