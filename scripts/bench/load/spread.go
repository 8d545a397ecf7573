package main

import (
	"slices"
	"time"
)

// spread tells how durations are distributed, in milliseconds.
type spread struct {
	Count int     `json:"count"`
	P50   float64 `json:"p50_ms"`
	P99   float64 `json:"p99_ms"`
	Max   float64 `json:"max_ms"`
}

// spreadOf sorts what it is given.
func spreadOf(taken []time.Duration) spread {
	if len(taken) == 0 {
		return spread{}
	}
	slices.Sort(taken)
	return spread{
		Count: len(taken),
		P50:   milliseconds(taken[len(taken)/2]),
		P99:   milliseconds(taken[len(taken)*99/100]),
		Max:   milliseconds(taken[len(taken)-1]),
	}
}

func milliseconds(taken time.Duration) float64 {
	return float64(taken.Microseconds()) / 1000
}

var begun = time.Now()

// now is the time on this process's own clock, which never jumps.
func now() time.Duration {
	return time.Since(begun)
}
