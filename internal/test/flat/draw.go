package main

import (
	"encoding/csv"
	"os"
	"path/filepath"
	"strconv"

	"gonum.org/v1/plot"
	"gonum.org/v1/plot/plotter"
	"gonum.org/v1/plot/plotutil"
	"gonum.org/v1/plot/vg"
)

// draw writes one thing's lines as a picture, twice, and as a table.
func draw(o *options, t *thing, all []line) error {
	if err := os.MkdirAll(o.out, 0o755); err != nil {
		return err
	}
	name := "flat-" + t.name
	if o.postgres != "" {
		name += "-postgres"
	}
	p := plot.New()
	p.Title.Text = t.name
	p.X.Label.Text, p.Y.Label.Text = t.of, all[0].unit
	p.X.Scale, p.Y.Scale = plot.LogScale{}, plot.LogScale{}
	p.X.Tick.Marker, p.Y.Tick.Marker = plot.LogTicks{Prec: -1}, plot.LogTicks{Prec: -1}
	p.Legend.Top, p.Legend.Left = true, true
	var args []any
	low, high := all[0].cost[0], all[0].cost[0]
	for _, l := range all {
		points := make(plotter.XYs, len(l.cost))
		for i, c := range l.cost {
			c = max(c, 0.01) // an axis of powers has no place for nothing
			points[i].X, points[i].Y = float64(l.sizes[i]), c
			low, high = min(low, c), max(high, c)
		}
		args = append(args, l.work, points)
	}
	if err := plotutil.AddLinePoints(p, args...); err != nil {
		return err
	}
	p.Y.Min, p.Y.Max = low/2, high*10 // the names of the lines stand above them
	for _, kind := range []string{".svg", ".png"} {
		if err := p.Save(9*vg.Inch, 6*vg.Inch, filepath.Join(o.out, name+kind)); err != nil {
			return err
		}
	}
	return table(filepath.Join(o.out, name+".csv"), t, all)
}

func table(file string, t *thing, all []line) error {
	f, err := os.Create(file)
	if err != nil {
		return err
	}
	defer f.Close()
	w := csv.NewWriter(f)
	_ = w.Write([]string{t.of, "work", "cost", "unit"})
	for _, l := range all {
		for i, c := range l.cost {
			_ = w.Write([]string{strconv.Itoa(l.sizes[i]), l.work, number(c), l.unit})
		}
	}
	w.Flush()
	if err := w.Error(); err != nil {
		return err
	}
	return f.Close()
}
